//! The values of `traits` and `properties`: JSON of any shape, bounded in depth, with exact numbers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use musubi_core::decimal::Decimal;
use musubi_core::value::Value;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::MAX_DEPTH;
use super::scalar::{NUMBER, pass_over};
use crate::interner::Interner;
use crate::malformed::{Fault, Reason};

/// Named values, sorted by name, each name once.
pub(super) type Fields = Vec<(Arc<str>, Value)>;

/// Reads one value, at a depth. What is wrong with it is noted, and null stands in its place.
pub(super) struct ValueSeed<'a> {
    pub(super) names: &'a mut Interner,
    pub(super) fault: &'a mut Option<Fault>,
    pub(super) depth: usize,
}

impl ValueSeed<'_> {
    /// The same one level further in.
    fn inner(&mut self) -> ValueSeed<'_> {
        ValueSeed { names: self.names, fault: self.fault, depth: self.depth + 1 }
    }

    fn note(&mut self, reason: Reason, detail: String) {
        self.fault.get_or_insert(Fault { reason, detail });
    }

    fn too_deep(&mut self) -> bool {
        let too_deep = self.depth > MAX_DEPTH;
        if too_deep {
            self.note(Reason::TooDeep, format!("wanted at most {MAX_DEPTH} levels of nesting"));
        }
        too_deep
    }

    fn number(mut self, text: &str) -> Value {
        match Decimal::from_str(text) {
            Ok(number) => Value::Number(number),
            Err(error) => {
                self.note(Reason::InvalidNumber, format!("wanted a number that we can hold, found {error}"));
                Value::Null
            }
        }
    }

    /// The fields of an object, `first` being the key already read.
    pub(super) fn fields<'de, A: MapAccess<'de>>(
        &mut self,
        first: Arc<str>,
        fields: &mut A,
    ) -> Result<Fields, A::Error> {
        let mut read = Vec::with_capacity(4);
        let mut next = Some(first);
        while let Some(name) = next {
            read.push((name, fields.next_value_seed(self.inner())?));
            next = fields.next_key_seed(NameSeed(self.names))?;
        }
        settle(&mut read, |(name, _)| name);
        Ok(read)
    }
}

/// Sorts by name; of two with one name the later stays.
pub(super) fn settle<T>(fields: &mut Vec<T>, name: impl Fn(&T) -> &Arc<str>) {
    if fields.windows(2).all(|pair| name(&pair[0]) < name(&pair[1])) {
        return;
    }
    fields.sort_by(|left, right| name(left).cmp(name(right)));
    fields.dedup_by(|later, kept| {
        let same = name(later) == name(kept);
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        if self.too_deep() {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        }
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.inner())? {
            list.push(item);
        }
        Ok(Value::List(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Value, A::Error> {
        let Some(first) = fields.next_key_seed(NameSeed(self.names))? else { return Ok(Value::Map([].into())) };
        if first.as_ref() == NUMBER {
            return Ok(self.number(&fields.next_value::<String>()?));
        }
        if self.too_deep() {
            fields.next_value::<IgnoredAny>()?;
            pass_over(&mut fields)?;
            return Ok(Value::Null);
        }
        Ok(Value::Map(self.fields(first, &mut fields)?.into()))
    }
}

/// Reads the name of a field, shared.
pub(super) struct NameSeed<'a>(pub(super) &'a mut Interner);

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Arc<str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Arc<str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Arc<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Arc<str>, E> {
        Ok(self.0.intern(text))
    }
}
