//! What each vendor signs, and where it writes the signature.

use musubi_core::time::Timestamp;

use super::primitive::{base64, ecdsa, hmac, same, sha256_hex};
use super::{Check, Encoding, Hash, Plain, Scheme, Unsigned};
use crate::secret::Secret;
use crate::spelling::hex;
use crate::{form, time};

type Checked = Result<(), Unsigned>;

pub(super) fn check(scheme: &Scheme, secret: &Secret, check: &Check<'_>) -> Checked {
    let key = secret.bytes();
    match scheme {
        Scheme::None => Ok(()),
        Scheme::StandardWebhooks => standard(secret, check),
        Scheme::Line => body(check, key, "x-line-signature", Hash::Sha256, Encoding::Base64, ""),
        Scheme::Shopify => body(check, key, "x-shopify-hmac-sha256", Hash::Sha256, Encoding::Base64, ""),
        Scheme::Square => {
            let signature = check.header("x-square-hmacsha256-signature")?;
            let wanted = hmac(Hash::Sha256, key, &[check.url.as_bytes(), check.request.body]);
            same(&wanted, signature, Encoding::Base64)
        }
        Scheme::Twilio => twilio(key, check),
        Scheme::Hubspot => hubspot(key, check),
        Scheme::Sendgrid => sendgrid(secret, check),
        Scheme::Zendesk => zendesk(key, check),
        Scheme::Zoom => versioned(key, check, "x-zm-signature", "x-zm-request-timestamp"),
        Scheme::Slack => versioned(key, check, "x-slack-signature", "x-slack-request-timestamp"),
        Scheme::Meta => body(check, key, "x-hub-signature-256", Hash::Sha256, Encoding::Hex, "sha256="),
        Scheme::Intercom => body(check, key, "x-hub-signature", Hash::Sha1, Encoding::Hex, "sha1="),
        Scheme::Sns(topics) => super::sns::check(topics, secret, check),
        Scheme::Hmac(Plain { header, prefix, hash, encoding }) => body(check, key, header, *hash, *encoding, prefix),
    }
}

/// An HMAC of the body alone, behind a prefix.
fn body(check: &Check<'_>, key: &[u8], header: &str, hash: Hash, encoding: Encoding, prefix: &str) -> Checked {
    let signature = check.header(header)?.trim().strip_prefix(prefix).ok_or_else(Unsigned::bad)?;
    same(&hmac(hash, key, &[check.request.body]), signature, encoding)
}

fn seconds(text: &str) -> Option<Timestamp> {
    text.trim().parse::<i64>().ok()?.checked_mul(1_000_000).map(Timestamp::from_micros)
}

/// `id.timestamp.body`; the header holds one signature or several, each behind its version. A secret that begins with
/// `whsec_` is base64.
fn standard(secret: &Secret, check: &Check<'_>) -> Checked {
    const TIME: &str = "webhook-timestamp";
    let (id, time) = (check.header("webhook-id")?, check.header(TIME)?);
    let signatures = check.header("webhook-signature")?;
    check.fresh(TIME, seconds(time))?;
    let decoded = secret.text().strip_prefix("whsec_").and_then(base64);
    let key = decoded.as_deref().unwrap_or(secret.bytes());
    let wanted = hmac(Hash::Sha256, key, &[id.as_bytes(), b".", time.as_bytes(), b".", check.request.body]);
    let ours = signatures.split_whitespace().filter_map(|signature| signature.strip_prefix("v1,"));
    let mut found = ours.map(|signature| same(&wanted, signature, Encoding::Base64));
    if found.any(|checked| checked.is_ok()) { Ok(()) } else { Err(Unsigned::bad()) }
}

/// `v0:timestamp:body`, as Slack and Zoom sign.
fn versioned(key: &[u8], check: &Check<'_>, header: &str, time_header: &str) -> Checked {
    let (signature, time) = (check.header(header)?, check.header(time_header)?);
    check.fresh(time_header, seconds(time))?;
    let wanted = hmac(Hash::Sha256, key, &[b"v0:", time.as_bytes(), b":", check.request.body]);
    same(&wanted, signature.trim().strip_prefix("v0=").ok_or_else(Unsigned::bad)?, Encoding::Hex)
}

/// The timestamp's text, then the body.
fn zendesk(key: &[u8], check: &Check<'_>) -> Checked {
    const TIME: &str = "x-zendesk-webhook-signature-timestamp";
    let (signature, signed_at) = (check.header("x-zendesk-webhook-signature")?, check.header(TIME)?);
    check.fresh(TIME, time::Zone::named("UTC").and_then(|utc| time::of_text(signed_at, &utc)))?;
    same(&hmac(Hash::Sha256, key, &[signed_at.as_bytes(), check.request.body]), signature, Encoding::Base64)
}

/// ECDSA over the timestamp's text and the body, line's end and all.
fn sendgrid(secret: &Secret, check: &Check<'_>) -> Checked {
    const TIME: &str = "x-twilio-email-event-webhook-timestamp";
    let (signature, time) = (check.header("x-twilio-email-event-webhook-signature")?, check.header(TIME)?);
    check.fresh(TIME, seconds(time))?;
    let message = [time.as_bytes(), check.request.body].concat();
    ecdsa(secret.text(), signature, &message)
}

/// Method, address, body and timestamp, one after another. HubSpot resolves some escapes of the address before it signs.
fn hubspot(key: &[u8], check: &Check<'_>) -> Checked {
    const TIME: &str = "x-hubspot-request-timestamp";
    let (signature, signed_at) = (check.header("x-hubspot-signature-v3")?, check.header(TIME)?);
    let micros = signed_at.trim().parse::<i64>().ok().and_then(|millis| millis.checked_mul(1_000));
    check.fresh(TIME, micros.map(Timestamp::from_micros))?;
    let (url, method) = (hubspot_url(check.url), check.request.method.as_bytes());
    let pieces = [method, url.as_bytes(), check.request.body, signed_at.as_bytes()];
    same(&hmac(Hash::Sha256, key, &pieces), signature, Encoding::Base64)
}

fn hubspot_url(url: &str) -> String {
    const RESOLVED: [(&str, &str); 14] = [
        ("%3A", ":"),
        ("%2F", "/"),
        ("%3F", "?"),
        ("%40", "@"),
        ("%21", "!"),
        ("%24", "$"),
        ("%27", "'"),
        ("%28", "("),
        ("%29", ")"),
        ("%2A", "*"),
        ("%2C", ","),
        ("%3B", ";"),
        ("%3a", ":"),
        ("%2f", "/"),
    ];
    RESOLVED.iter().fold(url.to_owned(), |url, (escape, is)| url.replace(escape, is))
}

/// The address and the form's fields, sorted, name and value without anything between; where the address says
/// `bodySHA256`, the address alone, and the body by its digest.
fn twilio(key: &[u8], check: &Check<'_>) -> Checked {
    let signature = check.header("x-twilio-signature")?;
    let mut signed = check.url.to_owned();
    match check.request.query_field("bodySHA256") {
        Some(digest) if digest.eq_ignore_ascii_case(&sha256_hex(check.request.body)) => {}
        Some(_) => return Err(Unsigned::bad()),
        None => {
            let mut fields: Vec<(String, String)> = form::pairs(check.request.body).collect();
            fields.sort();
            fields.dedup();
            fields.iter().for_each(|(name, value)| signed.extend([name.as_str(), value]));
        }
    }
    same(&hmac(Hash::Sha1, key, &[signed.as_bytes()]), signature, Encoding::Base64)
}

/// The answer that proves to Zoom that the address is ours.
pub(crate) fn zoom_token(secret: &Secret, plain: &str) -> String {
    hex(&hmac(Hash::Sha256, secret.bytes(), &[plain.as_bytes()]))
}
