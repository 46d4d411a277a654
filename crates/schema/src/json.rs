//! JSON written straight into bytes: objects, lists, texts, numbers and instants, without a tree in between.

use std::io::Write as _;
use std::sync::Arc;

use musubi_core::decimal::{Decimal, Parts};
use musubi_core::packed::{Borrowed, Unpacker};
use musubi_core::time::Timestamp;
use musubi_core::value::Value;

use crate::time::render_time;

/// An object being written.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Writes a name that needs no escapes, and gives the place for its value. `name` is ours, never a sender's.
    pub(crate) fn field(&mut self, name: &'static str) -> &mut Vec<u8> {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Writes a sender's name, and gives the place for its value.
    pub(crate) fn named(&mut self, name: &str) -> &mut Vec<u8> {
        self.comma();
        text(self.out, name);
        self.out.push(b':');
        self.out
    }

    pub(crate) fn text(&mut self, name: &'static str, value: &str) {
        text(self.field(name), value);
    }

    pub(crate) fn time(&mut self, name: &'static str, value: Timestamp) {
        time(self.field(name), value);
    }

    pub(crate) fn number(&mut self, name: &'static str, value: u64) {
        number(self.field(name), value);
    }

    pub(crate) fn close(self) {
        self.out.push(b'}');
    }

    fn comma(&mut self) {
        if !std::mem::replace(&mut self.empty, false) {
            self.out.push(b',');
        }
    }
}

/// Writes a list.
pub(crate) fn list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Writes `{"namespace":…,"value":…}`.
pub(crate) fn identifier(out: &mut Vec<u8>, namespace: &str, value: &str) {
    let mut object = Object::open(out);
    object.text("namespace", namespace);
    object.text("value", value);
    object.close();
}

/// Writes an object of values.
pub(crate) fn fields(out: &mut Vec<u8>, fields: &[(Arc<str>, Value)]) {
    let mut object = Object::open(out);
    for (name, value) in fields {
        self::value(object.named(name), value);
    }
    object.close();
}

/// Writes a value. Nesting is as deep as the value, which [`crate::MAX_DEPTH`] bounded.
pub(crate) fn value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(truth) => boolean(out, *truth),
        Value::Number(number) => decimal(out, number),
        Value::Text(value) => text(out, value),
        Value::List(items) => list(out, items, self::value),
        Value::Map(entries) => fields(out, entries),
    }
}

/// Writes an object of packed values, of which there are `count`.
pub(crate) fn packed_fields(out: &mut Vec<u8>, mut fields: Unpacker<'_>, count: usize) {
    let mut object = Object::open(out);
    for (name, value) in (0..count).map_while(|_| fields.field()) {
        packed(object.named(name), value);
    }
    object.close();
}

/// Writes a packed value.
fn packed(out: &mut Vec<u8>, value: Borrowed<'_>) {
    match value {
        Borrowed::Null => out.extend_from_slice(b"null"),
        Borrowed::Bool(truth) => boolean(out, truth),
        Borrowed::Small(mantissa, 0) => whole(out, mantissa),
        Borrowed::Text(value) => text(out, value),
        Borrowed::Map(fields, count) => packed_fields(out, fields, count),
        Borrowed::List(mut items, count) => {
            out.push(b'[');
            for (place, item) in (0..count).map_while(|place| Some((place, items.value()?))) {
                if place > 0 {
                    out.push(b',');
                }
                packed(out, item);
            }
            out.push(b']');
        }
        Borrowed::Small(..) | Borrowed::Large(..) => self::value(out, &value.value().unwrap_or(Value::Null)),
    }
}

fn whole(out: &mut Vec<u8>, mantissa: i64) {
    if mantissa < 0 {
        out.push(b'-');
    }
    number(out, mantissa.unsigned_abs());
}

pub(crate) fn boolean(out: &mut Vec<u8>, truth: bool) {
    out.extend_from_slice(if truth { b"true" } else { b"false" });
}

/// Writes a number, exactly.
pub(crate) fn decimal(out: &mut Vec<u8>, decimal: &Decimal) {
    match decimal.to_parts() {
        Parts::Small { mantissa, scale: 0 } => whole(out, mantissa),
        Parts::Small { .. } | Parts::Large { .. } => {
            write!(out, "{decimal}").expect("bytes in memory take what is written");
        }
    }
}

/// Writes a whole number.
pub(crate) fn number(out: &mut Vec<u8>, number: u64) {
    /// 2^64 has so many digits.
    const DIGITS: usize = 20;
    let (mut text, mut start, mut rest) = ([0; DIGITS], DIGITS, number);
    loop {
        start -= 1;
        text[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[start..]);
}

pub(crate) fn time(out: &mut Vec<u8>, time: Timestamp) {
    out.push(b'"');
    render_time(time, out);
    out.push(b'"');
}

/// Writes a text in quotes, with JSON's escapes.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Writes a text with JSON's escapes. Nearly none needs any, and then it is looked through eight bytes at a time.
pub(crate) fn escaped(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    let (words, tail) = rest.as_chunks::<8>();
    let clean = words.iter().all(|word| !holds_special(u64::from_le_bytes(*word)))
        && !tail.iter().any(|byte| is_special(*byte));
    if !clean {
        while let Some(place) = rest.iter().position(|byte| is_special(*byte)) {
            out.extend_from_slice(&rest[..place]);
            escape(out, rest[place]);
            rest = &rest[place + 1..];
        }
    }
    out.extend_from_slice(rest);
}

const fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..b' ')
}

/// Whether one of eight bytes is special: the usual test for a zero byte, and for one below a blank.
const fn holds_special(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    const fn zero(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGHS
    }
    let control = word.wrapping_sub(ONES * b' ' as u64) & !word & HIGHS;
    control | zero(word ^ (ONES * b'"' as u64)) | zero(word ^ (ONES * b'\\' as u64)) != 0
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        control => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(control >> 4)], HEX[usize::from(control & 0x0f)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_escaped_text_reads_back(text in "([a-z]{0,9}|[\\PC]|[\"\\\\\u{0}-\u{21}\u{7f}-\u{ff}]){0,12}") {
            let mut out = Vec::new();
            super::text(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).expect("JSON"), text);
        }
    }
}
