//! The values that traits and properties hold: JSON without floats.

use std::fmt::{self, Write};
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

    /// The object with these fields. Of two fields with one name the first stands.
    pub fn map(mut fields: Vec<(Arc<str>, Value)>) -> Self {
        fields.sort_by(|(left, _), (right, _)| left.cmp(right));
        fields.dedup_by(|(later, _), (first, _)| later == first);
        Self::Map(fields.into())
    }

    /// Whether it says that there is nothing.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
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

impl fmt::Display for Value {
    /// JSON on one line, without blanks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write_text(f, text),
            Self::List(items) => write_all(f, ['[', ']'], items, |f, item| write!(f, "{item}")),
            Self::Map(fields) => write_all(f, ['{', '}'], fields, |f, (name, value)| {
                write_text(f, name)?;
                write!(f, ":{value}")
            }),
        }
    }
}

/// Items between brackets, with commas.
fn write_all<T>(
    f: &mut fmt::Formatter<'_>,
    [open, close]: [char; 2],
    items: &[T],
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    f.write_char(open)?;
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            f.write_char(',')?;
        }
        write(f, item)?;
    }
    f.write_char(close)
}

/// A text in quotes, with JSON's escapes.
fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            control if control < ' ' => write!(f, "\\u{:04x}", u32::from(control))?,
            plain => f.write_char(plain)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Arc<str> {
        text.into()
    }

    fn order() -> Value {
        let total = Value::map(vec![
            (name("currency"), Value::text("JPY")),
            (name("amount"), Value::Number("12800".parse().expect("a number"))),
        ]);
        Value::map(vec![(name("total"), total), (name("gift"), Value::Bool(true)), (name("gift"), Value::Null)])
    }

    #[test]
    fn a_path_leads_into_nested_objects() {
        assert_eq!(order().at("total.currency"), Some(&Value::text("JPY")));
        assert_eq!(order().at("total.currency.more"), None);
        assert_eq!(order().at(""), None);
    }

    #[test]
    fn a_value_is_shown_as_json_that_reads_back() {
        assert_eq!(order().to_string(), r#"{"gift":true,"total":{"amount":12800,"currency":"JPY"}}"#);
        for text in ["plain", "a \"quote\" and \\", "tab\tline\nbell\u{7}", "結び"] {
            let shown = Value::text(text).to_string();
            assert_eq!(serde_json::from_str::<String>(&shown).expect("JSON"), text);
        }
    }

    #[test]
    fn numbers_sort_by_value_and_texts_by_text() {
        let number = |text: &str| Value::Number(text.parse().expect("a number"));
        let sorted = [Value::Null, Value::Bool(true), number("9"), number("10"), Value::text("10"), Value::text("9")];
        assert!(sorted.is_sorted());
    }
}
