//! Bodies of requests: unpacked where they are packed, and cut into items.
//!
//! A body is one JSON value, an array of them, or one a line; which it is can be seen, so no content type is asked for.

use std::io::Read as _;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use flate2::read::MultiGzDecoder;
use serde::de::IgnoredAny;

use crate::problem::Problem;

/// The largest body, as it was sent and as it is unpacked, in bytes.
pub(crate) const MOST_BYTES: usize = 10 * 1024 * 1024;
/// The most items of one body: each may have to be answered one by one.
const MOST_ITEMS: usize = 100_000;

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The body, where all of it came and it is not too large.
pub(crate) fn whole(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(format!("wanted at most {MOST_BYTES} bytes")),
        _ => Problem::bad_request("broken-body", rejection.body_text()),
    })
}

/// The body as it was before it was packed.
pub(crate) fn unpack(body: &[u8]) -> Result<std::borrow::Cow<'_, [u8]>, Problem> {
    if !body.starts_with(&GZIP) {
        return Ok(body.into());
    }
    let mut unpacked = Vec::with_capacity(body.len().saturating_mul(4).min(MOST_BYTES));
    let limit = MOST_BYTES as u64 + 1;
    let read = MultiGzDecoder::new(body).take(limit).read_to_end(&mut unpacked);
    read.map_err(|why| Problem::bad_request("invalid-gzip", format!("the body is not gzip to its end: {why}")))?;
    if unpacked.len() > MOST_BYTES {
        return Err(Problem::too_large(format!("wanted at most {MOST_BYTES} bytes unpacked")));
    }
    Ok(unpacked.into())
}

/// The items of a body. What an item holds is not looked at: only an array that is none from end to end is refused as a
/// whole, because nobody can say where its items begin.
pub(crate) fn items(body: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body).trim_ascii();
    let items = match body.first() {
        None => {
            return Err(Problem::bad_request("empty-body", "wanted one JSON object, an array or one a line".into()));
        }
        Some(b'[') => array(body)?,
        Some(_) if value_end(body) == Some(body.len()) => vec![body],
        Some(_) => body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect(),
    };
    if items.len() > MOST_ITEMS {
        let detail = format!("wanted at most {MOST_ITEMS} items, found {}", items.len());
        return Err(Problem::too_large(detail));
    }
    Ok(items)
}

fn array(body: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    let broken = |at: usize, wanted: &str| {
        Problem::bad_request("invalid-json", format!("the array is broken at byte {at}: wanted {wanted}"))
    };
    let mut items = Vec::new();
    let mut at = 1;
    loop {
        at += white(&body[at..]);
        if items.is_empty() && body.get(at) == Some(&b']') {
            at += 1;
            break;
        }
        let length = value_end(&body[at..]).ok_or_else(|| broken(at, "a JSON value"))?;
        items.push(&body[at..at + length]);
        at += length;
        at += white(&body[at..]);
        match body.get(at) {
            Some(b',') => at += 1,
            Some(b']') => {
                at += 1;
                break;
            }
            Some(_) | None => return Err(broken(at, "`,` or `]`")),
        }
    }
    if at == body.len() { Ok(items) } else { Err(broken(at, "the end of the body")) }
}

fn white(text: &[u8]) -> usize {
    text.len() - text.trim_ascii_start().len()
}

/// Where the JSON value that the text begins with ends; none where it begins with none.
fn value_end(text: &[u8]) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(body: &str) -> Vec<String> {
        let items = items(body.as_bytes()).expect("a body");
        items.into_iter().map(|item| String::from_utf8_lossy(item).into_owned()).collect()
    }

    #[test]
    fn one_value_an_array_and_lines_are_cut_alike() {
        assert_eq!(cut(" {\"a\":\n 1} \n"), ["{\"a\":\n 1}"]);
        assert_eq!(cut("[{\"a\":\"],[\"} , 2,\n\"x\"]"), ["{\"a\":\"],[\"}", "2", "\"x\""]);
        assert_eq!(cut("[]"), Vec::<String>::new());
        assert_eq!(cut("{\"a\":1}\r\n\n{\"b\":2}\n"), ["{\"a\":1}", "{\"b\":2}"]);
    }

    #[test]
    fn a_broken_line_does_not_take_the_next_one_with_it() {
        assert_eq!(cut("{\"a\":\n{\"b\":2}"), ["{\"a\":", "{\"b\":2}"]);
        assert_eq!(cut("nonsense"), ["nonsense"]);
    }

    #[test]
    fn a_broken_array_is_refused_and_says_where() {
        for body in ["[1,", "[1 2]", "[1]]", "[,1]", "[1,]", "[", "[{\"a\":1}"] {
            assert!(items(body.as_bytes()).is_err(), "{body}");
        }
        assert!(items(b" \n").is_err());
    }

    #[test]
    fn deep_nesting_is_no_deeper_for_us() {
        let deep = format!("[{}{}]", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(cut(&deep).len(), 1);
    }

    #[test]
    fn what_unpacks_to_more_than_we_take_is_refused() {
        use std::io::Write as _;
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        bomb.write_all(&vec![b' '; MOST_BYTES + 1]).expect("written");
        assert!(unpack(&bomb.finish().expect("packed")).is_err());
        assert!(unpack(&[0x1f, 0x8b, 1, 2]).is_err());
        assert_eq!(unpack(b"{}").expect("plain").as_ref(), b"{}");
    }
}
