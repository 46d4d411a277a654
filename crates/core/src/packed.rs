//! Values packed into bytes: what is remembered of many, read seldom, and compared or digested as it stands.
//!
//! The form is canonical (equal values are equal bytes, and the other way round) and every text and list goes with its
//! length, so that no two contents run together. It is what a profile's digest is made of.

use std::sync::Arc;

use crate::decimal::{Decimal, Parts};
use crate::time::Timestamp;
use crate::value::Value;

/// Packs values, one after another.
#[derive(Debug, Default)]
pub struct Packer(pub Vec<u8>);

impl Packer {
    /// A value.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.byte(0),
            Value::Bool(truth) => self.0.extend([1, u8::from(*truth)]),
            Value::Number(number) => self.decimal(number),
            Value::Text(text) => {
                self.byte(4);
                self.text(text);
            }
            Value::List(items) => {
                self.byte(5);
                self.list(items, Self::value);
            }
            Value::Map(fields) => {
                self.byte(6);
                self.list(fields, |packer, (name, value)| {
                    packer.text(name);
                    packer.value(value);
                });
            }
        }
    }

    /// A number.
    pub fn decimal(&mut self, number: &Decimal) {
        match number.to_parts() {
            Parts::Small { mantissa, scale } => {
                self.0.extend([2, scale]);
                self.0.extend_from_slice(&mantissa.to_le_bytes());
            }
            Parts::Large { mantissa, scale } => {
                self.byte(3);
                self.0.extend_from_slice(&scale.to_le_bytes());
                self.size(mantissa.len());
                self.0.extend_from_slice(&mantissa);
            }
        }
    }

    /// A list.
    pub fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.size(items.len());
        items.iter().for_each(|item| write(self, item));
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.size(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// An instant.
    pub fn time(&mut self, time: Timestamp) {
        self.0.extend_from_slice(&time.as_micros().to_le_bytes());
    }

    /// A length.
    pub fn size(&mut self, size: usize) {
        self.number(size as u64);
    }

    /// Seven bits a byte, the least first, the last without the high bit: nearly every length is one byte.
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    /// A byte.
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }
}

/// A packed value, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum Borrowed<'a> {
    /// As [`Value::Null`].
    Null,
    /// As [`Value::Bool`].
    Bool(bool),
    /// A whole number or a decimal of up to 18 places: `mantissa / 10^scale`.
    Small(i64, u8),
    /// Any other number: its big-endian mantissa and its scale.
    Large(&'a [u8], i64),
    /// As [`Value::Text`].
    Text(&'a str),
    /// As [`Value::List`].
    List(Unpacker<'a>, usize),
    /// As [`Value::Map`].
    Map(Unpacker<'a>, usize),
}

/// Reads what was packed. Whoever reads past the end, or bytes that nobody packed, gets none.
#[derive(Clone, Copy, Debug)]
pub struct Unpacker<'a>(pub &'a [u8]);

impl<'a> Unpacker<'a> {
    /// A value.
    pub fn value(&mut self) -> Option<Borrowed<'a>> {
        Some(match self.byte()? {
            0 => Borrowed::Null,
            1 => Borrowed::Bool(self.byte()? != 0),
            2 => {
                let scale = self.byte()?;
                Borrowed::Small(i64::from_le_bytes(self.array()?), scale)
            }
            3 => {
                let scale = i64::from_le_bytes(self.array()?);
                let length = self.size()?;
                Borrowed::Large(self.bytes(length)?, scale)
            }
            4 => Borrowed::Text(self.text()?),
            5 => {
                let length = self.size()?;
                let items = *self;
                (0..length).try_for_each(|_| self.value().map(drop))?;
                Borrowed::List(items, length)
            }
            6 => {
                let length = self.size()?;
                let fields = *self;
                (0..length).try_for_each(|_| self.field().map(drop))?;
                Borrowed::Map(fields, length)
            }
            _ => return None,
        })
    }

    /// The name and the value of a field.
    pub fn field(&mut self) -> Option<(&'a str, Borrowed<'a>)> {
        Some((self.text()?, self.value()?))
    }

    /// A text.
    pub fn text(&mut self) -> Option<&'a str> {
        let length = self.size()?;
        std::str::from_utf8(self.bytes(length)?).ok()
    }

    /// An instant.
    pub fn time(&mut self) -> Option<Timestamp> {
        self.array().map(i64::from_le_bytes).map(Timestamp::from_micros)
    }

    /// A length.
    pub fn size(&mut self) -> Option<usize> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return usize::try_from(number).ok();
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

impl Borrowed<'_> {
    /// It as a value of its own; none where its bytes are of no number.
    pub fn value(self) -> Option<Value> {
        let number = |parts: &Parts| Decimal::from_parts(parts).ok().map(Value::Number);
        match self {
            Self::Null => Some(Value::Null),
            Self::Bool(truth) => Some(Value::Bool(truth)),
            Self::Small(mantissa, scale) => number(&Parts::Small { mantissa, scale }),
            Self::Large(mantissa, scale) => number(&Parts::Large { mantissa: mantissa.to_vec(), scale }),
            Self::Text(text) => Some(Value::text(text)),
            Self::List(mut items, length) => {
                let items: Option<Vec<Value>> = (0..length).map(|_| items.value()?.value()).collect();
                Some(Value::List(items?.into()))
            }
            Self::Map(fields, length) => Some(Value::Map(unpack_fields(fields, length)?.into())),
        }
    }
}

/// As many fields as are said to be there.
pub fn unpack_fields(mut fields: Unpacker<'_>, length: usize) -> Option<Vec<(Arc<str>, Value)>> {
    let mut one = || {
        let (name, value) = fields.field()?;
        Some((name.into(), value.value()?))
    };
    (0..length).map(|_| one()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            "-?[1-9][0-9]{0,30}(\\.[0-9]{1,9})?".prop_map(|text| Value::Number(text.parse().expect("a number"))),
            ".{0,5}".prop_map(|text| Value::text(&text)),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|items| Value::List(items.into())),
                prop::collection::vec((".{0,3}".prop_map(Arc::from), inner), 0..4).prop_map(Value::map),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_packed_value_comes_back(value in values()) {
            let mut packer = Packer::default();
            packer.value(&value);
            let mut unpacker = Unpacker(&packer.0);
            prop_assert_eq!(unpacker.value().and_then(Borrowed::value), Some(value));
            prop_assert!(unpacker.0.is_empty());
        }

        #[test]
        fn bytes_that_nobody_packed_are_an_answer_and_no_panic(bytes: Vec<u8>) {
            drop(Unpacker(&bytes).value().and_then(Borrowed::value));
        }
    }
}
