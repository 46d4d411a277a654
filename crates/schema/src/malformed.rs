//! Lines that are no touchpoint and no directive: why, and whose they were as far as anybody can tell.

use std::fmt;

/// Why a line could not be read. The words are part of the contract of the quarantine topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The bytes are not UTF-8.
    InvalidUtf8,
    /// The text is not one JSON value.
    InvalidJson,
    /// A field that must be there is absent, null or empty.
    MissingField,
    /// A field holds another type than it must, or a word that is none of those it may be.
    WrongType,
    /// Not an RFC 3339 instant with an offset, or outside the years 1900 to 2199.
    InvalidTime,
    /// A number of more digits or a greater exponent than we take.
    InvalidNumber,
    /// Nested deeper than [`crate::MAX_DEPTH`].
    TooDeep,
    /// Longer than [`crate::MAX_LINE`].
    LineTooLong,
}

impl Reason {
    /// The reason as it stands on the quarantine topic.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidUtf8 => "invalid-utf8",
            Self::InvalidJson => "invalid-json",
            Self::MissingField => "missing-field",
            Self::WrongType => "wrong-type",
            Self::InvalidTime => "invalid-time",
            Self::InvalidNumber => "invalid-number",
            Self::TooDeep => "too-deep",
            Self::LineTooLong => "line-too-long",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The reason in one of a few words.
    pub reason: &'static str,
    /// What was wanted and what was found, for a person to read.
    pub detail: String,
    /// The source, where it could be read.
    pub source: Option<String>,
    /// The event id (of a directive, the directive id), where it could be read.
    pub event_id: Option<String>,
}

impl Malformed {
    /// The same, of this event. An empty text is none.
    pub(crate) fn of(self, source: &str, event_id: &str) -> Self {
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self { source: known(source), event_id: known(event_id), ..self }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

impl std::error::Error for Malformed {}

/// What is wrong with one field.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn missing(field: &str) -> Self {
        Self { reason: Reason::MissingField, detail: format!("wanted a text in `{field}`, found nothing") }
    }

    pub(crate) fn wrong_type(field: &str, wanted: &str, found: &str) -> Self {
        Self { reason: Reason::WrongType, detail: format!("wanted {wanted} in `{field}`, found {found}") }
    }
}

/// The source and the event id of a line that did not parse, by looking for the keys alone. A guess for people who
/// look for the sender: nothing is decided by it.
pub(crate) fn glean(line: &[u8]) -> (Option<String>, Option<String>) {
    /// Where the keys of every sender we know stand.
    const FAR_ENOUGH: usize = 64 * 1_024;
    let head = &line[..line.len().min(FAR_ENOUGH)];
    let event_id = text_after(head, b"\"event_id\"").or_else(|| text_after(head, b"\"directive_id\""));
    (text_after(head, b"\"source\""), event_id)
}

fn text_after(line: &[u8], key: &[u8]) -> Option<String> {
    let after = &line[memchr::memmem::find(line, key)? + key.len()..];
    let value = after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let text = match value.strip_prefix(b"\"") {
        Some(text) => &text[..memchr::memchr2(b'"', b'\\', text).filter(|end| text[*end] == b'"')?],
        None => &value[..value.iter().position(|byte| !byte.is_ascii_digit())?],
    };
    let text = std::str::from_utf8(text).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}
