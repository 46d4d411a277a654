//! Normalisers: one spelling for every way in which a value is written.

/// How the values of a namespace are brought to one spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normaliser {
    /// As it is.
    Exact,
    /// NFKC, zero-width characters removed, trimmed.
    Text,
    /// A mail address.
    Email,
    /// A telephone number, read as of this region where it has no country code.
    Phone,
    /// Only its digits.
    Digits,
}
