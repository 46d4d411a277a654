//! Plain text and card numbers, and the character classes that they and the other normalisers share.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// Zero-width characters removed, NFKC, trimmed.
pub(super) fn text(value: &str) -> Cow<'_, str> {
    if value.is_ascii() {
        return Cow::Borrowed(value.trim());
    }
    let visible = value.chars().filter(|c| !is_zero_width(*c));
    let normal: String = visible.nfkc().collect();
    let trimmed = normal.trim();
    if trimmed == value {
        Cow::Borrowed(value)
    } else if trimmed.len() == normal.len() {
        Cow::Owned(normal)
    } else {
        Cow::Owned(trimmed.to_owned())
    }
}

/// Digits and upper-case letters, what only groups them removed.
pub(super) fn digits(value: &str) -> Option<Cow<'_, str>> {
    let text = text(value);
    if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()) {
        return Some(text);
    }
    let kept = text.chars().filter(|c| !is_grouping(*c)).map(|c| c.to_ascii_uppercase());
    let kept: String = kept.collect();
    kept.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(Cow::Owned(kept))
}

/// Whether a character is invisible, so that whoever copied it did not mean it.
pub(super) fn is_zero_width(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Whether a character, after NFKC, only groups the digits around it: white space and everything that people type
/// for a hyphen, the katakana long mark (U+30FC) and the minus sign (U+2212) among them.
pub(super) fn is_grouping(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '-' | '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{30fc}' | '\u{2500}' | '\u{2501}' | '\u{fe63}'
        )
}
