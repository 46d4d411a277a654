//! Signatures of webhooks: each vendor's formula over the raw bytes, compared in constant time, within a replay window
//! where the vendor signs a time.

mod primitive;
pub(crate) mod sns;
mod vendor;

use musubi_core::time::Timestamp;
use serde::Deserialize;

use crate::request::Request;
use crate::secret::Secret;

/// How a sender signs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Not at all.
    None,
    /// Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    StandardWebhooks,
    /// LINE Messaging API: `x-line-signature`.
    Line,
    /// Shopify: `X-Shopify-Hmac-SHA256`.
    Shopify,
    /// Square: `x-square-hmacsha256-signature`, over the public address and the body.
    Square,
    /// Twilio: `X-Twilio-Signature`, over the public address and the form.
    Twilio,
    /// HubSpot, version 3: `X-HubSpot-Signature-v3`.
    Hubspot,
    /// SendGrid's event webhook: ECDSA on P-256.
    Sendgrid,
    /// Zendesk: `x-zendesk-webhook-signature`.
    Zendesk,
    /// Zoom: `x-zm-signature`.
    Zoom,
    /// Meta (Messenger, Instagram, `WhatsApp`): `X-Hub-Signature-256`.
    Meta,
    /// Intercom: `X-Hub-Signature`.
    Intercom,
    /// Slack: `X-Slack-Signature`, and whoever took its form.
    Slack,
    /// Amazon SNS: RSA, in the body itself, by a certificate that is fetched from SNS or stands in `secret`.
    Sns(Topics),
    /// An HMAC of the body in a header, for senders that are not listed.
    Hmac(Plain),
}

/// The topics of Amazon SNS that a source takes from. The signature says only that it comes from SNS, where anybody can
/// have a topic.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topics {
    /// Their ARNs.
    pub topics: Vec<String>,
}

/// An HMAC of the raw body, in a header.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plain {
    /// The header.
    pub header: String,
    /// What stands before the digits, such as `sha256=`.
    #[serde(default)]
    pub prefix: String,
    /// The hash.
    #[serde(default)]
    pub hash: Hash,
    /// How the digits are written.
    #[serde(default)]
    pub encoding: Encoding,
}

/// The hash of an HMAC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hash {
    /// SHA-1, where a vendor has not moved on.
    Sha1,
    /// SHA-256.
    #[default]
    Sha256,
}

/// How the bytes of a signature are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal digits of either case.
    #[default]
    Hex,
    /// Base64, padded.
    Base64,
}

impl Scheme {
    /// Whether the sender signs the address as well, so that it has to be configured.
    pub(crate) const fn needs_url(&self) -> bool {
        matches!(self, Self::Square | Self::Twilio | Self::Hubspot)
    }

    /// Whether it cannot be checked without a secret of the settings. SNS tells where its certificate is.
    pub(crate) const fn needs_secret(&self) -> bool {
        !matches!(self, Self::None | Self::Sns(_))
    }
}

/// What a request is checked against.
pub(crate) struct Check<'a> {
    pub(crate) request: &'a Request<'a>,
    /// The address as the sender knows it, with the query.
    pub(crate) url: &'a str,
    /// Microseconds.
    pub(crate) window: u64,
}

/// Why a request is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unsigned {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
}

impl Unsigned {
    fn missing(header: &str) -> Self {
        Self { reason: "missing-signature", detail: format!("wanted the header `{header}`, found none") }
    }

    fn lacking(field: &str) -> Self {
        Self { reason: "missing-signature", detail: format!("wanted `{field}` in a message of SNS, found none") }
    }

    /// Any other reason not to believe it, which is told like a wrong signature.
    pub(crate) fn because(detail: impl Into<String>) -> Self {
        Self { reason: "bad-signature", detail: detail.into() }
    }

    fn bad() -> Self {
        Self { reason: "bad-signature", detail: "wanted the signature of these bytes under the source's secret".into() }
    }

    fn stale(header: &str) -> Self {
        let detail = format!("wanted a time near that of receipt in `{header}`, found one outside `replay_window`");
        Self { reason: "stale-signature", detail }
    }
}

/// Checks a request against each of the secrets in turn: while one is replaced by another, both are good.
pub(crate) fn check(scheme: &Scheme, secrets: &[Secret], check: &Check<'_>) -> Result<(), Unsigned> {
    if *scheme == Scheme::None {
        return Ok(());
    }
    let mut last = Unsigned::bad();
    for secret in secrets {
        match vendor::check(scheme, secret, check) {
            Ok(()) => return Ok(()),
            Err(unsigned) => last = unsigned,
        }
    }
    Err(last)
}

impl<'a> Check<'a> {
    fn header(&self, name: &str) -> Result<&'a str, Unsigned> {
        self.request.header(name).ok_or_else(|| Unsigned::missing(name))
    }

    /// Refuses a signed instant that is too far from the time of receipt, to either side.
    fn fresh(&self, header: &str, signed: Option<Timestamp>) -> Result<(), Unsigned> {
        let near = signed.is_some_and(|signed| signed.distance(self.request.received_at) <= self.window);
        if near { Ok(()) } else { Err(Unsigned::stale(header)) }
    }
}

pub(crate) use vendor::zoom_token;

#[cfg(test)]
mod tests;
