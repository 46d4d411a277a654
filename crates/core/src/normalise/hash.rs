//! Hashes under which advertisers and messengers know mail addresses and telephone numbers, and ids of devices.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;
/// Hexadecimal digits of a UUID, and where its hyphens stand.
const UUID_DIGITS: usize = 32;
const HYPHENS: [usize; 4] = [8, 12, 16, 20];
/// The SHA-256 of the empty text, which tags send where they have nothing to hash.
const OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// How a system spells a value before it hashes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// Google: a mail address at gmail.com or googlemail.com without dots and plus tag, as gmail.com; a telephone number
    /// in E.164 with its plus.
    Google,
    /// Meta, and most others: a mail address as it is, trimmed and in lower case; a telephone number in E.164 without
    /// its plus.
    Meta,
}

impl Spelling {
    /// The SHA-256, in lower-case hexadecimal digits, of a mail address in its one spelling.
    pub fn of_email(self, address: &str) -> String {
        match self {
            Self::Google => digest(mailbox(address).as_deref().unwrap_or(address)),
            Self::Meta => digest(address),
        }
    }

    /// The SHA-256, in lower-case hexadecimal digits, of a telephone number in E.164.
    pub fn of_phone(self, number: &str) -> String {
        match self {
            Self::Google => digest(number),
            Self::Meta => digest(number.strip_prefix('+').unwrap_or(number)),
        }
    }
}

/// The mailbox at Google that an address leads to: no dots, no plus tag, gmail.com. None where it is not Google's.
fn mailbox(address: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    let mailbox = local.split('+').next()?.replace('.', "");
    (matches!(domain, "gmail.com" | "googlemail.com") && !mailbox.is_empty()).then(|| format!("{mailbox}@gmail.com"))
}

fn digest(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|half| char::from(HEX[usize::from(half)])).collect()
}

/// A SHA-256 in lower-case hexadecimal digits; none where it is none, or that of nothing.
pub(super) fn sha256(value: &str) -> Option<Cow<'_, str>> {
    let value = value.trim();
    let is_hash = value.len() == DIGITS && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hash && !value.eq_ignore_ascii_case(OF_NOTHING)).then(|| lower(value))
}

/// A UUID in lower case with its hyphens; none where it is none, or is that of zeros alone, which telephones give where
/// their owner does not want to be known.
pub(super) fn uuid(value: &str) -> Option<Cow<'_, str>> {
    let value = value.trim();
    let bare = value.strip_prefix('{').and_then(|bare| bare.strip_suffix('}')).unwrap_or(value);
    if is_uuid(bare) {
        return Some(lower(bare)).filter(|uuid| uuid.bytes().any(|byte| !matches!(byte, b'0' | b'-')));
    }
    let is_bare = bare.len() == UUID_DIGITS && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_bare || bare.bytes().all(|byte| byte == b'0') {
        return None;
    }
    let mut uuid = bare.to_ascii_lowercase();
    HYPHENS.into_iter().rev().for_each(|place| uuid.insert(place, '-'));
    Some(Cow::Owned(uuid))
}

fn is_uuid(value: &str) -> bool {
    let fits = |(place, byte): (usize, u8)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    value.len() == UUID_DIGITS + HYPHENS.len() && value.bytes().enumerate().all(fits)
}

fn lower(value: &str) -> Cow<'_, str> {
    if value.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(value.to_ascii_lowercase())
    } else {
        Cow::Borrowed(value)
    }
}
