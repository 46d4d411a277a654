//! The state of a computed trait, and how it takes in one touchpoint or the state of others.

use std::sync::Arc;

use super::super::sorted;
use super::super::stamped::{Claim, Stamped};
use super::amount::Part;
use crate::decimal::Decimal;
use crate::policy::Function;
use crate::tight;
use crate::value::Value;

/// The state of a computed trait; one variant a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fold {
    /// How many touchpoints.
    Count(u64),
    /// The exact sum of each currency, sorted by currency, numbers without one first.
    Sum(Vec<PerCurrency<Decimal>>),
    /// The least value of each currency, sorted likewise.
    Min(Vec<PerCurrency<Value>>),
    /// The greatest value of each currency, sorted likewise.
    Max(Vec<PerCurrency<Value>>),
    /// The oldest value.
    First(Stamped),
    /// The newest value.
    Last(Stamped),
    /// The distinct values, sorted.
    Distinct(Vec<Value>),
    /// The newest values, newest first.
    LastN(Vec<Stamped>),
}

/// Something that is kept apart for each currency, because amounts of two currencies neither add nor compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerCurrency<T> {
    /// The currency as it was written; none for a plain number or another value.
    pub currency: Option<Arc<str>>,
    /// The sum, or the value furthest out.
    pub amount: T,
}

impl Fold {
    /// The state after one touchpoint.
    pub(super) fn start(part: &Part<'_>, function: Function) -> Self {
        let currency = || part.currency.cloned();
        let value = || vec![PerCurrency { currency: currency(), amount: part.value.clone() }];
        let stamped = || Claim::new(part.effect, &part.value).keep();
        match function {
            Function::Count => Self::Count(1),
            Function::Sum => Self::Sum(vec![PerCurrency { currency: currency(), amount: number(&part.value) }]),
            Function::Min => Self::Min(value()),
            Function::Max => Self::Max(value()),
            Function::First => Self::First(stamped()),
            Function::Last => Self::Last(stamped()),
            Function::Distinct => Self::Distinct(vec![part.value.clone()]),
            Function::LastN(_) => Self::LastN(vec![stamped()]),
        }
    }

    /// Takes one touchpoint in, of which `keep` values are kept where the newest are.
    pub(super) fn take(&mut self, part: &Part<'_>, keep: usize) {
        let claim = Claim::new(part.effect, &part.value);
        match self {
            Self::Count(count) => *count = count.saturating_add(1),
            Self::Sum(sums) => take_currency(sums, part, number, |sum, value| *sum = &*sum + &number(value)),
            Self::Min(least) => take_currency(least, part, Value::clone, lower),
            Self::Max(greatest) => take_currency(greatest, part, Value::clone, raise),
            Self::First(held) => {
                if claim < held.claim() {
                    *held = claim.keep();
                }
            }
            Self::Last(held) => {
                if claim > held.claim() {
                    *held = claim.keep();
                }
            }
            Self::Distinct(values) => sorted::insert(values, &part.value),
            Self::LastN(newest) => {
                let place = newest.iter().position(|held| claim > held.claim()).unwrap_or(newest.len());
                if place < keep {
                    sorted::insert_bounded(newest, place, claim.keep(), keep);
                }
            }
        }
    }

    /// Joins the state of other touchpoints.
    pub(super) fn merge(&mut self, other: &Self, keep: usize) {
        match (self, other) {
            (Self::Count(ours), Self::Count(theirs)) => *ours = ours.saturating_add(*theirs),
            (Self::Sum(ours), Self::Sum(theirs)) => merge_currencies(ours, theirs, |sum, more| *sum = &*sum + more),
            (Self::Min(ours), Self::Min(theirs)) => merge_currencies(ours, theirs, lower),
            (Self::Max(ours), Self::Max(theirs)) => merge_currencies(ours, theirs, raise),
            (Self::First(ours), Self::First(theirs)) if theirs < ours => *ours = theirs.clone(),
            (Self::Last(ours), Self::Last(theirs)) if theirs > ours => *ours = theirs.clone(),
            (Self::Distinct(ours), Self::Distinct(theirs)) => sorted::merge_set(ours, theirs),
            (Self::LastN(ours), Self::LastN(theirs)) => sorted::merge_greatest(ours, theirs, keep),
            // Ours stands; or the two were folded under different policies, which the caller does not do.
            (_, _) => {}
        }
    }

    /// What the profile shows. Where a currency was named: an object of texts by
    /// currency, with what had no currency as it is under the empty name.
    pub fn value(&self) -> Value {
        match self {
            Self::Count(count) => Value::Number(Decimal::from(*count)),
            Self::Sum(sums) => show_currencies(sums, |sum| Value::Number(sum.clone())),
            Self::Min(values) | Self::Max(values) => show_currencies(values, Value::clone),
            Self::First(stamped) | Self::Last(stamped) => stamped.value.clone(),
            Self::Distinct(values) => Value::List(values.as_slice().into()),
            Self::LastN(newest) => Value::List(newest.iter().map(|stamped| stamped.value.clone()).collect()),
        }
    }
}

/// The number of a part that was read for a sum.
fn number(value: &Value) -> Decimal {
    match value {
        Value::Number(number) => number.clone(),
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => Decimal::ZERO,
    }
}

fn lower(held: &mut Value, value: &Value) {
    if value < held {
        *held = value.clone();
    }
}

fn raise(held: &mut Value, value: &Value) {
    if value > held {
        *held = value.clone();
    }
}

fn take_currency<T>(
    entries: &mut Vec<PerCurrency<T>>,
    part: &Part<'_>,
    start: impl Fn(&Value) -> T,
    join: impl Fn(&mut T, &Value),
) {
    match entries.binary_search_by(|entry| entry.currency.as_ref().cmp(&part.currency)) {
        Ok(place) => join(&mut entries[place].amount, &part.value),
        Err(place) => {
            tight::insert(entries, place, PerCurrency { currency: part.currency.cloned(), amount: start(&part.value) });
        }
    }
}

fn merge_currencies<T: Clone>(ours: &mut Vec<PerCurrency<T>>, theirs: &[PerCurrency<T>], join: impl Fn(&mut T, &T)) {
    let order = |left: &PerCurrency<T>, right: &PerCurrency<T>| left.currency.cmp(&right.currency);
    sorted::merge(ours, theirs, order, |ours, theirs| join(&mut ours.amount, &theirs.amount));
}

fn show_currencies<T>(entries: &[PerCurrency<T>], show: impl Fn(&T) -> Value) -> Value {
    if let [PerCurrency { currency: None, amount }] = entries {
        return show(amount);
    }
    let show = |entry: &PerCurrency<T>| match &entry.currency {
        Some(currency) => (currency.clone(), as_text(show(&entry.amount))),
        None => (Arc::default(), show(&entry.amount)),
    };
    Value::Map(entries.iter().map(show).collect())
}

/// A number as a text, because a reader of money must not be tempted to take it for a float.
fn as_text(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Text(number.to_string().into()),
        other @ (Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_)) => other,
    }
}
