//! What senders ask before they send: is this address yours, and what are my settings.

use jaq_json::Val;

use crate::json::{as_text, field};
use crate::request::{Answer, Request};
use crate::secret::Secret;
use crate::signature::{sns, zoom_token};

/// How a sender gets to know an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// It does not ask.
    None,
    /// Meta: a GET with a challenge and the word that was agreed, which is the source's key.
    Meta,
    /// Zoom: a POST with a token to be signed, again every 72 hours.
    Zoom,
    /// Amazon SNS: a POST with an address to be fetched.
    Sns,
    /// The browser SDKs of Segment and `RudderStack` fetch their settings first, and send nothing without.
    AnalyticsSettings,
    /// PostHog\'s SDKs ask which features are on.
    Posthog,
}

/// The answer to a request that has no payload, where it is one of these.
pub(crate) fn before(handshake: Handshake, request: &Request<'_>, key: Option<&Secret>) -> Option<Answer> {
    match (handshake, request.method) {
        (Handshake::Meta, "GET") => Some(meta(request, key)),
        (Handshake::AnalyticsSettings, "GET") => settings(request),
        (Handshake::Posthog, _) => posthog(request),
        (_, _) => None,
    }
}

/// Meta's challenge is repeated to who knows the word. Only digits and letters are, so that nobody can have this address
/// say something of theirs.
fn meta(request: &Request<'_>, key: Option<&Secret>) -> Answer {
    let told = request.query_field("hub.verify_token");
    let challenge = request.query_field("hub.challenge").filter(|text| text.bytes().all(|b| b.is_ascii_alphanumeric()));
    let known = key.zip(told).is_some_and(|(key, told)| key.is(told.as_bytes()));
    match challenge {
        Some(challenge) if known => Answer::text(200, challenge),
        Some(_) | None => Answer::text(403, "wanted the agreed `hub.verify_token`"),
    }
}

/// The settings that the browser SDKs ask for: everything is on, and goes to where they were told already.
fn settings(request: &Request<'_>) -> Option<Answer> {
    const RUDDER: &str = r#"{"source":{"id":"musubi","name":"musubi","writeKey":"KEY","enabled":true,"workspaceId":"musubi","config":{"statsCollection":{"errors":{"enabled":false},"metrics":{"enabled":false}}},"connections":[],"destinations":[],"dataplanes":{}},"updatedAt":"2026-01-01T00:00:00.000Z"}"#;
    const SEGMENT: &str = r#"{"integrations":{"Segment.io":{"apiKey":"KEY","unbundledIntegrations":[],"addBundledMetadata":true}},"plan":{},"edgeFunction":{}}"#;
    let path = request.path.trim_end_matches('/');
    let (body, key) = if path.ends_with("/sourceConfig") {
        (RUDDER, request.query_field("writeKey").unwrap_or_default())
    } else {
        let project = path.strip_suffix("/settings")?.rsplit_once("/projects/")?.1;
        (SEGMENT, project.to_owned())
    };
    let key: String = key.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
    Some(Answer::json(200, body.replace("KEY", &key)))
}

/// What PostHog's SDKs ask beside: no feature is switched on, nothing is to be recorded, and what is recorded all the same
/// is no event.
fn posthog(request: &Request<'_>) -> Option<Answer> {
    const FLAGS: &str = r#"{"featureFlags":{},"featureFlagPayloads":{},"flags":{},"errorsWhileComputingFlags":false,"sessionRecording":false,"supportedCompression":["gzip","gzip-js"],"surveys":false,"toolbarParams":{},"isAuthenticated":false,"siteApps":[],"capturePerformance":false,"autocapture_opt_out":false}"#;
    const NOTHING: &str = r#"{"status":1}"#;
    let path = request.path.trim_end_matches('/');
    if path.ends_with("/flags") || path.ends_with("/decide") {
        return Some(Answer::json(200, FLAGS));
    }
    let is_configuration = path.contains("/array/") && path.ends_with("/config");
    if is_configuration {
        Some(Answer::json(200, FLAGS))
    } else {
        path.ends_with("/s").then(|| Answer::json(200, NOTHING))
    }
}

/// What a payload turned out to be.
pub(crate) enum Within {
    /// Events.
    Payload,
    /// A question, and its answer.
    Answer(Answer),
    /// An address to be fetched.
    Confirm(String),
    /// A question that nobody of whom it claims to come would ask.
    Suspicious(&'static str),
}

/// Whether a payload is part of a handshake. Its signature was checked.
pub(crate) fn within(handshake: Handshake, body: &Val, secret: Option<&Secret>) -> Within {
    let said = |value: Option<&Val>| value.and_then(as_text).map(std::borrow::Cow::into_owned);
    match handshake {
        Handshake::Zoom if said(field(body, "event")).as_deref() == Some("endpoint.url_validation") => {
            let plain = said(field(body, "payload").and_then(|payload| field(payload, "plainToken")));
            zoom(plain.as_deref().unwrap_or_default(), secret)
        }
        Handshake::Sns if said(field(body, "Type")).as_deref() == Some("SubscriptionConfirmation") => {
            let url = said(field(body, "SubscribeURL")).unwrap_or_default();
            if sns::host_and_path(&url).is_some() {
                Within::Confirm(url)
            } else {
                Within::Suspicious("wanted an address of SNS in `SubscribeURL`")
            }
        }
        Handshake::None
        | Handshake::Meta
        | Handshake::Zoom
        | Handshake::Sns
        | Handshake::AnalyticsSettings
        | Handshake::Posthog => Within::Payload,
    }
}

fn zoom(plain: &str, secret: Option<&Secret>) -> Within {
    const LONGEST: usize = 256;
    let Some(secret) = secret.filter(|_| plain.len() <= LONGEST) else {
        return Within::Suspicious("wanted a short `plainToken`, and a secret to sign it with");
    };
    let mut answer = br#"{"plainToken":"#.to_vec();
    crate::json::write_text(plain, &mut answer);
    answer.extend_from_slice(br#","encryptedToken":"#);
    crate::json::write_text(&zoom_token(secret, plain), &mut answer);
    answer.push(b'}');
    Within::Answer(Answer { status: 200, content_type: "application/json", body: answer.into() })
}
