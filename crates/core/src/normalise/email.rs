//! Mail addresses.

use std::borrow::Cow;

use super::text;

/// The longest name that the domain name system knows, in bytes.
const LONGEST_DOMAIN: usize = 253;

/// The address in its one spelling, or none where it is no mail address.
pub(super) fn email(value: &str) -> Option<Cow<'_, str>> {
    let text = text::text(value);
    match text {
        Cow::Borrowed(text) => {
            let at = parts(text)?;
            if is_plain(text, at) { Some(Cow::Borrowed(text)) } else { spell(text).map(Cow::Owned) }
        }
        Cow::Owned(text) => spell(&text).map(Cow::Owned),
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

/// Whether the address is already in its one spelling, as far as bytes can tell without knowing of IDNA.
fn is_plain(address: &str, at: usize) -> bool {
    let (local, domain) = (&address.as_bytes()[..at], &address.as_bytes()[at + 1..]);
    local.iter().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
        && domain.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
        && !domain.windows(2).any(|pair| pair == b"..")
        && !domain.starts_with(b".")
        && !domain.ends_with(b".")
        && !domain.windows(4).any(|four| four == b"xn--")
        && domain.len() <= LONGEST_DOMAIN
}

/// The one spelling of an address that is trimmed and in NFKC.
fn spell(address: &str) -> Option<String> {
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
