//! Person ids.

use std::fmt;

use crate::identifier::IdentifierKey;

/// The stable id of a person: a UUIDv8 whose bits are the keyed hash of the person's anchor identifier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId(pub [u8; 16]);

impl PersonId {
    /// The id of the person whose anchor has this key (RFC 9562, section 5.8: version 8, variant 10).
    pub const fn of(anchor: IdentifierKey) -> Self {
        let mut bytes = anchor.0;
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }
}

impl PersonId {
    /// The 36 characters of its text, in ASCII.
    pub fn text(self) -> [u8; 36] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut place = 0;
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                place += 1;
            }
            text[place] = HEX[usize::from(byte >> 4)];
            text[place + 1] = HEX[usize::from(byte & 0x0f)];
            place += 2;
        }
        text
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).expect("hexadecimal digits are ASCII"))
    }
}

impl fmt::Debug for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
