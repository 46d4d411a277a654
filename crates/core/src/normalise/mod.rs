//! Normalisers: one spelling for every way in which a value is written.
//!
//! All of them are pure, normalising twice is normalising once, and none allocates where the value already stands in
//! its one spelling, which is how most values arrive.

mod card;
mod email;
mod hash;
mod phone;
mod text;

use std::borrow::Cow;

pub use card::CheckDigit;
pub use hash::Spelling;
pub use phone::Region;

/// How the values of a namespace are brought to one spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normaliser {
    /// As it is, white space around it removed.
    Exact,
    /// Zero-width characters removed, NFKC, trimmed. Case counts.
    Text,
    /// A mail address: NFKC, lower case, its domain in ASCII (IDNA) without the final dot. Neither plus tags nor dots
    /// are folded: two mailboxes stay two. Local parts that RFC 5321 forbids and that exist all the same
    /// (`a..b.@docomo.ne.jp`) are kept.
    Email,
    /// A telephone number in E.164, read as of this region where it has no country code.
    ///
    /// What is kept: a number that is *valid* by the metadata of the `phonenumber` crate; and a number of the region
    /// itself that is merely *possible* (it fits the country's numbering plan), unless its last six digits are all
    /// zero. The second half is there because ranges open faster than metadata is updated; the condition on zeros
    /// keeps out what people type into a field that they must fill (`090-0000-0000`). Everything else is no value:
    /// short codes (`110`), words, numbers with an extension (the number in front of it is a switchboard's).
    Phone(Region),
    /// A number on a card, an account, a receipt: hyphens and spaces of every class removed, letters in upper case.
    /// Leading zeros stay. What holds no digit, or anything but ASCII digits and letters, is no value.
    Digits,
    /// The number of a card: as `Digits`, and with the check digit of its programme.
    Card(CheckDigit),
    /// A UUID in lower case with its hyphens, as advertising ids and installations of apps have; zeros alone are none.
    Uuid,
    /// A SHA-256 in lower-case hexadecimal digits. That of the empty text is no value.
    Sha256,
}

impl Normaliser {
    /// The normaliser for a namespace of a well-known name, where the policy does not say which; `text` for others.
    pub fn for_namespace(name: &str) -> Self {
        match name {
            "email" => Self::Email,
            "phone" | "tel" => Self::Phone(Region::JAPAN),
            "loyalty_card" | "member_card" => Self::Digits,
            "idfa" | "gaid" | "idfv" => Self::Uuid,
            "email_sha256" | "email_sha256_google" | "phone_sha256" | "phone_sha256_meta" => Self::Sha256,
            "cookie" | "device_id" | "anonymous_id" | "ga_client_id" | "cart_token" | "checkout_token" => Self::Exact,
            _ => Self::Text,
        }
    }

    /// The one spelling of `value`, or none where it is not a value of such a namespace. It is never empty.
    pub fn normalise<'a>(&self, value: &'a str) -> Option<Cow<'a, str>> {
        let normal = match self {
            Self::Exact => Cow::Borrowed(value.trim()),
            Self::Text => text::text(value),
            Self::Email => email::email(value)?,
            Self::Phone(region) => phone::phone(value, *region)?,
            Self::Digits => text::digits(value)?,
            Self::Card(check) => card::card(value, *check)?,
            Self::Uuid => hash::uuid(value)?,
            Self::Sha256 => hash::sha256(value)?,
        };
        (!normal.is_empty()).then_some(normal)
    }
}

#[cfg(test)]
mod tests;
