//! Amazon SNS: a message carries its own signature, by a certificate whose address it names.
//!
//! Source of truth: "Verifying the signatures of Amazon SNS messages" in the SNS developer guide. Version 1 is RSA over
//! SHA-1, version 2 over SHA-256. What is signed are some fields with their names, a line each, in the order of the
//! alphabet. The signature says that SNS sent it; who had SNS send it, only `TopicArn` says.

use std::sync::{PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jaq_json::Val;
use musubi_core::time::Timestamp;
use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::sign::Verifier;
use openssl::x509::X509;

use super::{Check, Topics, Unsigned};
use crate::json::{self, as_text, field};
use crate::secret::Secret;
use crate::time;

/// How long SNS tries to deliver one message over HTTP before it gives it up. A shorter `replay_window` would refuse what
/// comes late for good.
const AN_HOUR: u64 = 3_600 * 1_000_000;

/// The fields that are signed, by the type of the message. `Subject` only where there is one.
const OF_NOTIFICATION: [&str; 6] = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
const OF_CONFIRMATION: [&str; 7] = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];

/// Checks a message by one certificate.
pub(super) fn check(topics: &Topics, certificate: &Secret, check: &Check<'_>) -> Result<(), Unsigned> {
    let message = message(check.request.body)?;
    let said = |name| text_of(&message, name).ok_or_else(|| Unsigned::lacking(name));
    let (signature, topic) = (said("Signature")?, said("TopicArn")?);
    let signed_at = time::Zone::named("UTC").and_then(|utc| time::of_text(&said("Timestamp").ok()?, &utc));
    if !is_of_certificate(&said("SigningCertURL")?) {
        return Err(Unsigned::because(NO_ADDRESS));
    }
    let near = signed_at.is_some_and(|at| at.distance(check.request.received_at) <= check.window.max(AN_HOUR));
    if !near {
        return Err(Unsigned::stale("Timestamp"));
    }
    let digest = match said("SignatureVersion")?.as_str() {
        "1" => MessageDigest::sha1(),
        "2" => MessageDigest::sha256(),
        other => return Err(Unsigned::because(format!("wanted `SignatureVersion` 1 or 2, found `{other}`"))),
    };
    let certificate = X509::from_pem(certificate.bytes()).map_err(|_| Unsigned::because(NO_CERTIFICATE))?;
    if !is_valid_at(&certificate, check.request.received_at) {
        return Err(Unsigned::because("wanted a certificate that is valid at the time of receipt"));
    }
    let signature = STANDARD.decode(signature).map_err(|_| Unsigned::bad())?;
    let is_right = verify(&certificate, digest, &signed_text(&message)?, &signature).unwrap_or(false);
    if !is_right {
        return Err(Unsigned::bad());
    }
    if topics.topics.contains(&topic) {
        Ok(())
    } else {
        Err(Unsigned { reason: "foreign-topic", detail: format!("wanted a topic of the source, found `{topic}`") })
    }
}

/// Why no certificate is looked for.
pub(crate) const NO_ADDRESS: &str = "wanted the address of a certificate of SNS in `SigningCertURL`";
const NO_CERTIFICATE: &str = "wanted a certificate in PEM";

/// Whether a text is a certificate in PEM, of an RSA key.
pub(crate) fn is_certificate(pem: &[u8]) -> bool {
    X509::from_pem(pem).and_then(|certificate| certificate.public_key()?.rsa()).is_ok()
}

/// Certificates that were fetched, by their addresses.
#[derive(Default)]
pub(crate) struct Known(RwLock<Vec<(String, Secret)>>);

impl Known {
    /// As many as SNS has in all its regions while it changes them; the oldest goes.
    const MOST: usize = 64;

    pub(crate) fn get(&self, address: &str) -> Option<Secret> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(of, _)| of == address).map(|(_, certificate)| certificate.clone())
    }

    pub(crate) fn put(&self, address: &str, certificate: Secret) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(of, _)| of != address);
        if known.len() == Self::MOST {
            known.remove(0);
        }
        known.push((address.to_owned(), certificate));
    }
}

/// The address of the certificate by which the message in a body says it is signed; none where that is no address of SNS
/// at which it keeps certificates.
pub(crate) fn certificate_of(body: &[u8]) -> Option<String> {
    let message = message(body).ok()?;
    text_of(&message, "SigningCertURL").filter(|url| is_of_certificate(url))
}

/// Whether it is `https://sns.REGION.amazonaws.com/SimpleNotificationService-….pem`.
fn is_of_certificate(url: &str) -> bool {
    let name = host_and_path(url).and_then(|(_, path)| path.strip_prefix("SimpleNotificationService-"));
    let digest = name.and_then(|name| name.strip_suffix(".pem"));
    digest.is_some_and(|digest| !digest.is_empty() && digest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Host and path of `https://sns.REGION.amazonaws.com/…`; whoever fetches another address on a stranger's word can be
/// sent anywhere.
pub(crate) fn host_and_path(url: &str) -> Option<(&str, &str)> {
    let (host, path) = url.strip_prefix("https://")?.split_once('/')?;
    let region = host.strip_prefix("sns.")?;
    let region = region.strip_suffix(".amazonaws.com").or_else(|| region.strip_suffix(".amazonaws.com.cn"))?;
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (!region.is_empty() && region.bytes().all(is_plain)).then_some((host, path))
}

fn message(body: &[u8]) -> Result<Val, Unsigned> {
    match json::read(body) {
        Ok(value @ Val::Obj(_)) => Ok(value),
        Ok(_) | Err(_) => Err(Unsigned::lacking("Signature")),
    }
}

fn text_of(message: &Val, name: &str) -> Option<String> {
    field(message, name).and_then(as_text).map(std::borrow::Cow::into_owned)
}

/// What is signed of a message.
fn signed_text(message: &Val) -> Result<String, Unsigned> {
    let kind = text_of(message, "Type").unwrap_or_default();
    let fields: &[&str] = match kind.as_str() {
        "Notification" => &OF_NOTIFICATION,
        "SubscriptionConfirmation" | "UnsubscribeConfirmation" => &OF_CONFIRMATION,
        _ => return Err(Unsigned::because(format!("wanted a type of message that SNS signs, found `{kind}`"))),
    };
    let mut text = String::new();
    for name in fields {
        match text_of(message, name) {
            Some(value) => text.extend([name, "\n", value.as_str(), "\n"]),
            None if *name == "Subject" => {}
            None => return Err(Unsigned::lacking(name)),
        }
    }
    Ok(text)
}

fn is_valid_at(certificate: &X509, now: Timestamp) -> bool {
    let Ok(now) = Asn1Time::from_unix(now.as_micros().div_euclid(1_000_000)) else { return false };
    certificate.not_before() <= now && certificate.not_after() >= now
}

fn verify(certificate: &X509, digest: MessageDigest, text: &str, signature: &[u8]) -> Result<bool, ErrorStack> {
    let key = certificate.public_key()?;
    // PKCS #1 v1.5 is what RSA keys verify by here unless they are told otherwise.
    let mut verifier = Verifier::new(digest, &key)?;
    verifier.update(text.as_bytes())?;
    verifier.verify(signature)
}
