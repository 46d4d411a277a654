//! Mail addresses.

use std::borrow::Cow;

use super::text;

/// The longest name that the domain name system knows, in bytes.
const LONGEST_DOMAIN: usize = 253;

/// The address in its one spelling, or none where it is no mail address.
pub(super) fn email(value: &str) -> Option<Cow<'_, str>> {
    match text::text(value) {
        Cow::Borrowed(text) if is_plain(text) => Some(Cow::Borrowed(text)),
        text => spell(&text).map(|spelt| if spelt == text { text } else { Cow::Owned(spelt) }),
    }
}

/// Where the `@` stands that parts the local part from the domain; none where either side is empty or not of its kind.
fn parts(address: &str) -> Option<usize> {
    let at = address.rfind('@')?;
    let (local, domain) = (&address[..at], &address[at + 1..]);
    (is_local(local) && !domain.is_empty()).then_some(at)
}

/// Whether this can stand before the `@`: anything in quotes, or what holds no white space and none of the characters
/// with which mail programs part one address from the next.
fn is_local(local: &str) -> bool {
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let parting = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '@' | '<' | '>' | ',' | ';' | ':' | '"');
    if quoted { !local.contains(char::is_control) } else { !local.is_empty() && !local.contains(parting) }
}

/// Whether the address is in its one spelling already, as bytes alone can tell: most are. What this leaves to the long
/// way is settled there.
pub(super) fn is_plain(address: &str) -> bool {
    let Some((local, domain)) = address.split_once('@') else { return false };
    let is_local = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'+');
    let plain = !local.is_empty() && local.bytes().all(is_local);
    plain && !domain.is_empty() && domain.len() <= LONGEST_DOMAIN && is_plain_domain(domain.as_bytes())
}

/// Whether these are lower-case labels with one dot between two. A label with `--` in it may be one of IDNA (`xn--`),
/// which has rules of its own.
fn is_plain_domain(domain: &[u8]) -> bool {
    let mut before = b'.';
    for byte in domain {
        match (before, *byte) {
            (b'.', b'.') | (b'-', b'-') => return false,
            (_, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.') => before = *byte,
            (_, _) => return false,
        }
    }
    before != b'.'
}

/// The one spelling of an address that is trimmed and in NFKC.
pub(super) fn spell(address: &str) -> Option<String> {
    let folded = text::text(&address.to_lowercase()).into_owned();
    let at = parts(&folded)?;
    let domain = idna::domain_to_ascii(&folded[at + 1..]).ok()?;
    let domain = domain.strip_suffix('.').unwrap_or(&domain);
    is_domain(domain).then(|| format!("{}@{domain}", &folded[..at]))
}

/// Whether this is a host's name in lower-case ASCII: labels of letters, digits, hyphens and underscores.
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    domain.len() <= LONGEST_DOMAIN && domain.split('.').all(is_label)
}
