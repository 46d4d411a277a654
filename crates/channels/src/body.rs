//! Bodies: unpacked within bounds, and read for what they are rather than for what their header says.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use jaq_json::Val;

use crate::{form, json};

/// What a preset's bodies are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON, or several JSON values one after another. An empty body is null.
    Json,
    /// A form, or JSON.
    Urlencoded,
    /// JSON where it is JSON, else a text.
    Any,
}

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    TooLarge,
    BadGzip(String),
    BadJson(String),
}

/// The body without its packing. Gzip is known by its first two bytes: some clients name it in no header.
pub(crate) fn unpack(body: &[u8], most: usize) -> Result<std::borrow::Cow<'_, [u8]>, Fault> {
    if body.len() > most {
        return Err(Fault::TooLarge);
    }
    if !body.starts_with(&[0x1f, 0x8b]) {
        return Ok(body.into());
    }
    let mut unpacked = Vec::with_capacity(body.len().saturating_mul(4).min(most));
    let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = MultiGzDecoder::new(body).take(bound).read_to_end(&mut unpacked);
    read.map_err(|error| Fault::BadGzip(error.to_string()))?;
    if unpacked.len() > most { Err(Fault::TooLarge) } else { Ok(unpacked.into()) }
}

/// The value of an unpacked body.
pub(crate) fn read(body: &[u8], form: Form) -> Result<Val, Fault> {
    if body.trim_ascii().is_empty() {
        return Ok(Val::Null);
    }
    let first = match json::read(body) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    match form {
        Form::Urlencoded => Ok(form::parse(&String::from_utf8_lossy(body))),
        Form::Any => Ok(Val::from(String::from_utf8_lossy(body).into_owned())),
        Form::Json => match json::read_all(body) {
            Ok(values) => Ok(Val::Arr(values.into())),
            Err(_) => Err(Fault::BadJson(first.to_string())),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        writer.write_all(bytes).expect("memory");
        writer.finish().expect("memory")
    }

    #[test]
    fn gzip_is_known_by_its_bytes_and_bounded_in_what_it_becomes() {
        assert_eq!(unpack(&packed(b"{}"), 100).as_deref(), Ok(b"{}".as_slice()));
        assert_eq!(unpack(b"{}", 10).as_deref(), Ok(b"{}".as_slice()));
        assert_eq!(unpack(&packed(&[b'x'; 1_000_000]), 10_000), Err(Fault::TooLarge));
        assert_eq!(unpack(&[b'x'; 11], 10), Err(Fault::TooLarge));
        assert!(matches!(unpack(&packed(b"{}")[..15], 10_000), Err(Fault::BadGzip(_))));
    }

    #[test]
    fn a_body_is_what_it_reads_as() {
        assert_eq!(read(b" \n", Form::Json), Ok(Val::Null));
        assert_eq!(read(b"{}\n{}\n", Form::Json).map(|value| json::kind(&value)), Ok("a list"));
        assert_eq!(read(b"a=1", Form::Urlencoded).map(|value| json::kind(&value)), Ok("an object"));
        assert_eq!(read(b"hello", Form::Any).map(|value| json::kind(&value)), Ok("a text"));
        assert!(matches!(read(b"{\"a\":", Form::Json), Err(Fault::BadJson(_))));
    }
}
