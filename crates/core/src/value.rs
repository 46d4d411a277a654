//! The values that traits and properties hold: JSON without floats.

use std::sync::Arc;

use crate::decimal::Decimal;

/// What a trait or a property holds. Numbers are exact decimals, so that two spellings of one number are one value
/// and sums do not depend on their order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// JSON `null`. As a trait it removes what stood before.
    Null,
    /// JSON `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Decimal),
    /// A text, as it was written.
    Text(Arc<str>),
    /// A list, in its order.
    List(Arc<[Value]>),
    /// An object, its names sorted and distinct.
    Map(Arc<[(Arc<str>, Value)]>),
}

impl Value {
    /// A text value.
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// The value at a dotted path into nested objects, such as `total.amount`.
    pub fn at(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(self, |value, name| match value {
            Self::Map(fields) => field(fields, name),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        })
    }
}

/// The value of the field `name` in fields sorted by name.
pub fn field<'a>(fields: &'a [(Arc<str>, Value)], name: &str) -> Option<&'a Value> {
    let found = fields.binary_search_by(|(have, _)| have.as_ref().cmp(name)).ok()?;
    Some(&fields[found].1)
}
