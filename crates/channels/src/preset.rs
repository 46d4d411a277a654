//! The presets: for each sender that Musubi knows, its mapping, its channel, and how it behaves on the wire.

use crate::body::Form;
use crate::handshake::Handshake;
use crate::settings::OnBadKey;
use crate::signature::Scheme;

/// A sender that Musubi knows.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name, for `preset = "…"`.
    pub name: &'static str,
    /// Its mapping: a text in jq, to be copied and changed.
    pub mapping: &'static str,
    /// The channel of what comes from it, where neither mapping nor settings name one.
    pub channel: &'static str,
    pub(crate) scheme: fn() -> Scheme,
    pub(crate) form: Form,
    pub(crate) reply: Reply,
    pub(crate) handshake: Handshake,
    pub(crate) on_bad_key: OnBadKey,
    /// What sends its clients away for a while.
    pub(crate) busy: u16,
}

impl Preset {
    /// Whether its mapping also stands in Rust, which is at work as long as nobody edits the preset.
    pub fn is_native(&self) -> bool {
        crate::native::native(self.name).is_some()
    }
}

/// What a sender is told when its payload was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// How many items were taken, and which were not, and why.
    Receipt,
    /// These words, as JSON.
    Json(&'static str),
    /// These words, as text.
    Text(&'static str),
    /// An empty response in Twilio's markup: say nothing, do nothing.
    Twiml,
    /// A transparent picture of one pixel for a GET; `ok` for the rest.
    Pixel,
}

const fn unsigned() -> Scheme {
    Scheme::None
}

/// What most presets are: an unsigned sender of JSON that is told how much was taken.
const fn plain(name: &'static str, mapping: &'static str, channel: &'static str) -> Preset {
    Preset {
        name,
        mapping,
        channel,
        scheme: unsigned,
        form: Form::Json,
        reply: Reply::Receipt,
        handshake: Handshake::None,
        on_bad_key: OnBadKey::Refuse,
        busy: 429,
    }
}

macro_rules! mapping {
    ($name:literal) => {
        include_str!(concat!("../presets/", $name, ".jq"))
    };
}

/// An SDK's endpoint: it drops for good what is answered 4xx, and wants its own word for success.
const fn sdk(preset: Preset, reply: Reply, handshake: Handshake) -> Preset {
    Preset { reply, handshake, on_bad_key: OnBadKey::SetAside, ..preset }
}

const fn signed(preset: Preset, scheme: fn() -> Scheme) -> Preset {
    Preset { scheme, ..preset }
}

/// All presets, by name.
pub const PRESETS: &[Preset] = &[
    plain("amazon-connect", mapping!("amazon-connect"), "phone"),
    Preset { form: Form::Any, ..plain("cloudevents", mapping!("cloudevents"), "web") },
    plain("csv", mapping!("csv"), "store"),
    plain("debezium", mapping!("debezium"), "crm"),
    Preset { on_bad_key: OnBadKey::SetAside, ..plain("ga4", mapping!("ga4"), "web") },
    signed(plain("hubspot", mapping!("hubspot"), "sales"), || Scheme::Hubspot),
    signed(plain("intercom", mapping!("intercom"), "chat"), || Scheme::Intercom),
    signed(Preset { reply: Reply::Json("{}"), ..plain("line", mapping!("line"), "social") }, || Scheme::Line),
    Preset {
        handshake: Handshake::Meta,
        reply: Reply::Text("EVENT_RECEIVED"),
        ..signed(plain("meta", mapping!("meta"), "social"), || Scheme::Meta)
    },
    Preset {
        // Its browser SDK drops events for good at every 4xx, 429 too.
        busy: 503,
        ..sdk(plain("posthog", mapping!("posthog"), "product"), Reply::Json(r#"{"status":1}"#), Handshake::Posthog)
    },
    plain("salesforce-cdc", mapping!("salesforce-cdc"), "sales"),
    sdk(plain("segment", mapping!("segment"), "web"), Reply::Json(r#"{"success":true}"#), Handshake::AnalyticsSettings),
    signed(plain("sendgrid", mapping!("sendgrid"), "email"), || Scheme::Sendgrid),
    Preset { handshake: Handshake::Sns, ..plain("ses", mapping!("ses"), "email") },
    signed(plain("shopify", mapping!("shopify"), "ec"), || Scheme::Shopify),
    plain("smaregi", mapping!("smaregi"), "store"),
    sdk(plain("snowplow", mapping!("snowplow"), "web"), Reply::Pixel, Handshake::None),
    signed(plain("square", mapping!("square"), "store"), || Scheme::Square),
    Preset {
        form: Form::Urlencoded,
        reply: Reply::Twiml,
        ..signed(plain("twilio", mapping!("twilio"), "phone"), || Scheme::Twilio)
    },
    plain("webhook", mapping!("webhook"), "web"),
    signed(plain("zendesk", mapping!("zendesk"), "support"), || Scheme::Zendesk),
    Preset { handshake: Handshake::Zoom, ..signed(plain("zoom", mapping!("zoom"), "webinar"), || Scheme::Zoom) },
];

/// The preset of that name. RudderStack's clients speak Segment's language.
pub fn preset(name: &str) -> Option<&'static Preset> {
    let name = if name == "rudderstack" { "segment" } else { name };
    PRESETS.iter().find(|preset| preset.name == name)
}
