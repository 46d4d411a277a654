//! JSON to the values that mappings work on and back: strict in, exact in its numbers, bounded in depth.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use jaq_json::{Map, Num, Val};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The key under which `serde_json` hands out the text of a number that is not a whole one of 64 bits.
pub(crate) const NUMBER: &str = "$serde_json::private::Number";

/// The deepest nesting that a mapping may make; `serde_json` lets no more than this many levels in.
const MAX_DEPTH: usize = 128;

/// The value of one JSON text. What jq would take beside (comments, `NaN`, keys that are no texts) is no JSON.
pub(crate) fn read(text: &[u8]) -> Result<Val, serde_json::Error> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Seed.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// The values of a text in which one JSON value stands after another, as in NDJSON.
pub(crate) fn read_all(text: &[u8]) -> Result<Vec<Val>, serde_json::Error> {
    serde_json::Deserializer::from_slice(text).into_iter::<Whole>().map(|value| value.map(|value| value.0)).collect()
}

struct Whole(Val);

impl<'de> serde::Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Seed.deserialize(deserializer).map(Self)
    }
}

struct Seed;

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Val;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Val, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Val;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Val, E> {
        Ok(Val::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Val, E> {
        Ok(Val::Bool(truth))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Val, E> {
        Ok(Val::Num(Num::from_integral(number)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Val, E> {
        Ok(Val::Num(Num::from_integral(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Val, E> {
        Ok(self::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Val, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Val::Arr(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Val, A::Error> {
        let mut map = Map::default();
        while let Some(Key(key)) = fields.next_key()? {
            if key == NUMBER && map.is_empty() {
                let number = number(&fields.next_value::<Cow<'de, str>>()?);
                return number.map(Val::Num).ok_or_else(|| A::Error::custom("no number"));
            }
            map.insert(text(&key), fields.next_value_seed(Self)?);
        }
        Ok(Val::obj(map))
    }
}

struct Key<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <Cow<'de, str> as serde::Deserialize<'de>>::deserialize(deserializer).map(Self)
    }
}

/// A number as it was written: whole ones as such, others by their text, so that no amount passes through a float.
pub(crate) fn number(text: &str) -> Option<Num> {
    /// More digits than anybody means; reading them is quadratic.
    const LONGEST: usize = 400;
    let whole = || Num::from_str_radix(text, 10).filter(|_| text.len() <= LONGEST);
    let decimal = || (text.len() <= LONGEST).then(|| Num::Dec(text.to_owned().into()));
    whole().or_else(decimal)
}

/// A text value.
pub(crate) fn text(text: &str) -> Val {
    Val::utf8_str(Bytes::copy_from_slice(text.as_bytes()))
}

/// The text that a value is, if it is one.
pub(crate) fn as_text(value: &Val) -> Option<Cow<'_, str>> {
    match value {
        Val::TStr(bytes) | Val::BStr(bytes) => Some(String::from_utf8_lossy(bytes)),
        Val::Null | Val::Bool(_) | Val::Num(_) | Val::Arr(_) | Val::Obj(_) => None,
    }
}

/// An object of these fields.
pub(crate) fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Val)>) -> Val {
    Val::obj(fields.into_iter().map(|(name, value)| (text(name), value)).collect())
}

/// The field of an object; none where it is no object, has no such field, or has null there.
pub(crate) fn field<'a>(value: &'a Val, name: &str) -> Option<&'a Val> {
    match value {
        Val::Obj(fields) => fields.get(&text(name)).filter(|value| !matches!(value, Val::Null)),
        Val::Null | Val::Bool(_) | Val::Num(_) | Val::BStr(_) | Val::TStr(_) | Val::Arr(_) => None,
    }
}

/// What a body is looked into as, before anybody knows what it holds.
pub(crate) trait Tree: Sized {
    /// The field of an object; none where it is no object.
    fn field(&self, name: &str) -> Option<&Self>;
    /// The text that it is, if it is one.
    fn text(&self) -> Option<Cow<'_, str>>;
    /// The items of a list.
    fn list(&self) -> Option<&[Self]>;
}

impl Tree for Val {
    fn field(&self, name: &str) -> Option<&Self> {
        field(self, name)
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        as_text(self)
    }

    fn list(&self) -> Option<&[Self]> {
        match self {
            Self::Arr(items) => Some(items),
            Self::Null | Self::Bool(_) | Self::Num(_) | Self::BStr(_) | Self::TStr(_) | Self::Obj(_) => None,
        }
    }
}

/// What a value is, for a message.
pub(crate) const fn kind(value: &Val) -> &'static str {
    match value {
        Val::Null => "null",
        Val::Bool(_) => "true or false",
        Val::Num(_) => "a number",
        Val::BStr(_) | Val::TStr(_) => "a text",
        Val::Arr(_) => "a list",
        Val::Obj(_) => "an object",
    }
}

/// A value that is nested deeper than JSON that we would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wanted at most {MAX_DEPTH} levels of nesting")]
pub(crate) struct TooDeep;

/// Appends a value as JSON. What JSON has no number for (not a number, infinite) is null.
pub(crate) fn write(value: &Val, out: &mut Vec<u8>) -> Result<(), TooDeep> {
    write_at(value, 0, out)
}

fn write_at(value: &Val, depth: usize, out: &mut Vec<u8>) -> Result<(), TooDeep> {
    if depth > MAX_DEPTH {
        return Err(TooDeep);
    }
    match value {
        Val::Null => out.extend_from_slice(b"null"),
        Val::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Val::Num(number) => write_number(number, out),
        Val::BStr(bytes) | Val::TStr(bytes) => write_text(&String::from_utf8_lossy(bytes), out),
        Val::Arr(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                comma(place, out);
                write_at(item, depth + 1, out)?;
            }
            out.push(b']');
        }
        Val::Obj(fields) => {
            out.push(b'{');
            write_fields(fields.iter(), depth, out)?;
            out.push(b'}');
        }
    }
    Ok(())
}

/// Appends fields without the braces around them.
pub(crate) fn write_fields<'a>(
    fields: impl Iterator<Item = (&'a Val, &'a Val)>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), TooDeep> {
    for (place, (name, value)) in fields.enumerate() {
        comma(place, out);
        match as_text(name) {
            Some(name) => write_text(&name, out),
            None => write_text(kind(name), out),
        }
        out.push(b':');
        write_at(value, depth + 1, out)?;
    }
    Ok(())
}

fn comma(place: usize, out: &mut Vec<u8>) {
    if place > 0 {
        out.push(b',');
    }
}

fn write_number(number: &Num, out: &mut Vec<u8>) {
    match number {
        Num::Float(float) if !float.is_finite() => out.extend_from_slice(b"null"),
        Num::Int(_) | Num::BigInt(_) | Num::Float(_) => out.extend_from_slice(number.to_string().as_bytes()),
        Num::Dec(text) => out.extend_from_slice(text.strip_prefix('+').unwrap_or(text).as_bytes()),
    }
}

/// Appends a text in quotes.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("bytes in memory take what is written");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> String {
        let mut out = Vec::new();
        write(&read(text.as_bytes()).expect("JSON"), &mut out).expect("not deep");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn what_is_read_is_written_with_every_digit() {
        for text in [r#"{"a":[1,-2,null,true,"x\n結び"],"b":{}}"#, "12800.10", "0.1", "1e+400", "18446744073709551616"]
        {
            assert_eq!(again(text), text);
        }
    }

    #[test]
    fn what_jq_takes_and_json_does_not_is_refused() {
        for text in ["NaN", "{1:2}", "[1,]", "# x\n1", "{", "", "\"\u{1}\"", "[1] 2"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(&b"[".repeat(10_000)).is_err(), "no stack is deep enough for everything");
        assert!(read(b"\"\xff\"").is_err());
    }

    #[test]
    fn a_mark_of_byte_order_is_passed_over_and_lines_are_values() {
        assert_eq!(read(b"\xef\xbb\xbf1").expect("JSON"), Val::from(1usize));
        assert_eq!(read_all(b"1\n2\n\n3").expect("JSON").len(), 3);
    }

    #[test]
    fn what_a_mapping_nests_too_deep_is_not_written() {
        let deep = (0..200).fold(Val::Null, |inner, _| Val::Arr(vec![inner].into()));
        assert_eq!(write(&deep, &mut Vec::new()), Err(TooDeep));
    }
}
