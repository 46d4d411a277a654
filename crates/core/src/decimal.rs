//! Exact decimal numbers.

/// An exact decimal number in one canonical form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(bigdecimal::BigDecimal);
