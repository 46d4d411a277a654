//! A writer of JSON straight into bytes: a generator that outruns what it feeds cannot afford a tree for every line.

/// Writes a number in decimal.
pub(crate) fn number(out: &mut Vec<u8>, value: u64) {
    padded(out, value, 1);
}

/// Writes a number in decimal with leading zeros up to `width` digits.
pub(crate) fn padded(out: &mut Vec<u8>, mut value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while value > 0 {
        at -= 1;
        digits[at] = b'0' + u8::try_from(value % 10).expect("a digit");
        value /= 10;
    }
    out.extend_from_slice(&digits[at.min(digits.len() - width)..]);
}

/// Writes the lowest `digits` hexadecimal digits of a word.
pub(crate) fn hexadecimal(out: &mut Vec<u8>, value: u64, digits: u32) {
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[usize::try_from((value >> (place * 4)) & 15).expect("a digit")]);
    }
}

/// Writes a string with its quotes, escaped where JSON asks for it.
pub(crate) fn text(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                hexadecimal(out, u64::from(byte), 2);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// The inside of a JSON object, written member by member. Kept and cleared rather than made anew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object(Vec<u8>);

impl Object {
    /// Forgets its members.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether it has no members.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A member whose value is a string.
    pub(crate) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.raw(name, |out| text(out, value))
    }

    /// A member whose value is a whole number.
    pub(crate) fn number(&mut self, name: &str, value: u64) -> &mut Self {
        self.raw(name, |out| number(out, value))
    }

    /// A member whose value is true or false.
    pub(crate) fn flag(&mut self, name: &str, value: bool) -> &mut Self {
        self.raw(name, |out| out.extend_from_slice(if value { b"true" } else { b"false" }))
    }

    /// A member whose value is a string that `write` spells without needing an escape: a prefix and a number, say.
    pub(crate) fn spelled(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        self.raw(name, |out| {
            out.push(b'"');
            write(out);
            out.push(b'"');
        })
    }

    /// A member whose value `write` writes as JSON.
    pub(crate) fn raw(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
        text(&mut self.0, name);
        self.0.push(b':');
        write(&mut self.0);
        self
    }

    /// Writes the object with its braces.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        out.extend_from_slice(&self.0);
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_full_and_padded() {
        let mut out = Vec::new();
        number(&mut out, 0);
        out.push(b' ');
        number(&mut out, u64::MAX);
        out.push(b' ');
        padded(&mut out, 42, 5);
        out.push(b' ');
        padded(&mut out, 123_456, 3);
        assert_eq!(out, b"0 18446744073709551615 00042 123456");
    }

    #[test]
    fn strings_are_escaped_so_that_a_parser_reads_them_back() {
        let original = "a \"quote\", a \\, a\ttab and 佐藤";
        let mut out = Vec::new();
        text(&mut out, original);
        assert_eq!(serde_json::from_slice::<String>(&out).ok().as_deref(), Some(original));
    }
}
