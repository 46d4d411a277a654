//! What one touchpoint contributes to a computed trait: a value, or an amount of some currency.

use std::sync::Arc;

use crate::decimal::Decimal;
use crate::policy::{ComputedRule, Function};
use crate::touchpoint::Effect;
use crate::value::{Value, field};

/// The field that holds the digits of an amount of money.
const AMOUNT: &str = "amount";

/// The field beside it that holds its currency.
const CURRENCY: &str = "currency";

/// What a touchpoint contributes to one computed trait.
pub(super) struct Part<'a> {
    /// The touchpoint.
    pub(super) effect: &'a Effect,
    /// The currency of an amount; only sums, least and greatest values have one.
    pub(super) currency: Option<&'a Arc<str>>,
    /// The value: a number for a sum, never null except for a count, which looks at none.
    pub(super) value: Value,
}

impl<'a> Part<'a> {
    /// What the touchpoint contributes under a rule; none where it has no value for it.
    pub(super) fn read(rule: &ComputedRule, effect: &'a Effect) -> Option<Self> {
        if rule.function == Function::Count {
            return Some(Self { effect, currency: None, value: Value::Null });
        }
        let path = rule.of.as_deref()?;
        let value = value_at(effect, path).filter(|value| !value.is_null())?;
        let currency = || currency_of(effect, path, value);
        let (currency, value) = match rule.function {
            Function::Sum => (currency(), Value::Number(number(value)?)),
            Function::Min | Function::Max => (currency(), comparable(currency().is_some(), value)?),
            Function::Count | Function::First | Function::Last | Function::Distinct | Function::LastN(_) => {
                (None, value.clone())
            }
        };
        Some(Self { effect, currency, value })
    }
}

/// What `min` and `max` compare: the number of an amount of money, and anything else as it is, so that a text such as
/// a date is compared as a text. None for money whose amount is no number.
fn comparable(money: bool, value: &Value) -> Option<Value> {
    if money {
        return number(value).map(Value::Number);
    }
    let whole = matches!(value, Value::Map(_));
    Some(number(value).filter(|_| whole).map_or_else(|| value.clone(), Value::Number))
}

/// The number that a value is, or has as its `amount`; as JSON writes it, or as a text, which is how careful systems
/// send money.
fn number(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(number) => Some(number.clone()),
        Value::Text(text) => text.parse().ok(),
        Value::Map(fields) => field(fields, AMOUNT).filter(|amount| !matches!(amount, Value::Map(_))).and_then(number),
        Value::Null | Value::Bool(_) | Value::List(_) => None,
    }
}

/// The currency that goes with a value: its own field, or the one beside a path that ends in `amount`.
fn currency_of<'a>(effect: &'a Effect, path: &str, value: &'a Value) -> Option<&'a Arc<str>> {
    match value {
        Value::Map(fields) => currency(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
            sibling_currency(effect, path)
        }
    }
}

/// The currency beside a path that ends in `amount`.
fn sibling_currency<'a>(effect: &'a Effect, path: &str) -> Option<&'a Arc<str>> {
    match path.strip_suffix(AMOUNT)?.strip_suffix('.') {
        Some(parent) => match value_at(effect, parent)? {
            Value::Map(fields) => currency(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => None,
        },
        None if path == AMOUNT => currency(&effect.properties),
        None => None,
    }
}

fn currency(fields: &[(Arc<str>, Value)]) -> Option<&Arc<str>> {
    match field(fields, CURRENCY)? {
        Value::Text(currency) if !currency.is_empty() => Some(currency),
        Value::Text(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
    }
}

/// The property at a dotted path.
fn value_at<'a>(effect: &'a Effect, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        Some((name, rest)) => field(&effect.properties, name)?.at(rest),
        None => field(&effect.properties, path),
    }
}
