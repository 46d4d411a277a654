//! Any JSON value where one text is wanted: the text itself, or what stands there instead.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The key under which `serde_json` hands out the text of a number that is not a whole one of 64 bits. A sender's
/// object that begins with this key, which none has by chance, is read as a number or refused.
pub(super) const NUMBER: &str = "$serde_json::private::Number";

/// A JSON value of which only a text or a number is of use.
pub(super) enum Scalar<'de> {
    Null,
    Bool(bool),
    Text(Cow<'de, str>),
    /// As it was written.
    Number(String),
    List,
    Map,
}

impl Scalar<'_> {
    /// What it is, for a message.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Text(_) => "a text",
            Self::Number(_) => "a number",
            Self::List => "a list",
            Self::Map => "an object",
        }
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Null)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number.to_string()))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Bool(truth))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let first = fields.next_key::<Cow<'de, str>>()?;
        match first.as_deref() {
            Some(NUMBER) => return Ok(Scalar::Number(fields.next_value()?)),
            Some(_) => drop(fields.next_value::<IgnoredAny>()?),
            None => {}
        }
        pass_over(&mut fields)?;
        Ok(Scalar::Map)
    }
}

/// Reads the rest of an object without looking at it.
pub(super) fn pass_over<'de, A: MapAccess<'de>>(fields: &mut A) -> Result<(), A::Error> {
    while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}
