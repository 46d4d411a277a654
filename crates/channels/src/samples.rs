//! One payload of each preset in the shape that its sender uses: what the benches measure, and what the tests turn into
//! payloads that nobody would send.

use musubi_core::time::Timestamp;

use crate::request::{Outcome, Request};
use crate::settings::Settings;
use crate::source::{Secrets, Source};

/// A payload, and the source that takes it.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// The preset.
    pub preset: &'static str,
    /// The settings beside name and preset, as the inside of a JSON object; empty, or with a comma before.
    settings: &'static str,
    /// The path behind the source's address.
    pub path: &'static str,
    /// The headers that the mapping reads.
    pub headers: &'static [(&'static str, &'static str)],
    /// The body.
    pub body: &'static str,
    /// How many touchpoints it is.
    pub touchpoints: usize,
}

impl Sample {
    /// A source that takes the sample, without signatures and keys.
    pub fn source(&self) -> Source {
        let settings = format!("{{\"name\":\"sample\",\"preset\":\"{}\",\"open\":true{}}}", self.preset, self.settings);
        let settings: Settings = serde_json::from_str(&settings).expect("the settings of a sample are settings");
        Source::new(settings, None, Secrets::default()).expect("the settings of a sample stand")
    }

    /// What the source makes of the sample.
    pub fn take(&self, source: &Source) -> Outcome {
        self.take_body(source, self.body.as_bytes())
    }

    /// What the source makes of another body in the sample's place.
    pub fn take_body(&self, source: &Source, body: &[u8]) -> Outcome {
        let received_at = Timestamp::from_micros(1_775_012_400_000_000);
        let (path, headers) = (self.path, self.headers);
        source.take(&Request { method: "POST", path, query: "", headers, body, received_at })
    }
}

const fn sample(preset: &'static str, body: &'static str, touchpoints: usize) -> Sample {
    Sample { preset, settings: "", path: "", headers: &[], body, touchpoints }
}

macro_rules! body {
    ($file:literal) => {
        include_str!(concat!("../samples/", $file))
    };
}

/// A sample of each preset.
pub const SAMPLES: &[Sample] = &[
    Sample {
        settings: r#","fields":{"identifiers":{"Attributes.member_no":"loyalty_card"}}"#,
        ..sample("amazon-connect", body!("amazon-connect.json"), 2)
    },
    Sample {
        settings: r#","fields":{"identifiers":{"customer.mail":"email","ce.subject":"user_id"}}"#,
        headers: &[
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "/shop"),
            ("ce-type", "order placed"),
            ("ce-time", "2026-04-01T02:00:00Z"),
            ("ce-subject", "u-1"),
        ],
        ..sample("cloudevents", body!("cloudevents.json"), 1)
    },
    Sample {
        settings: r#","fields":{"type":"order_completed","event_id":["店舗","レシート","営業日"],"occurred_at":["営業日","時刻"],"amount":"金額","currency":"JPY","identifiers":{"会員番号":"loyalty_card","電話":"phone"},"traits":{"氏名":"name"}}"#,
        ..sample("csv", body!("csv.json"), 1)
    },
    Sample {
        settings: r#","fields":{"identifiers":{"member_no":"loyalty_card","mail":"email"},"traits":{"name":"name","rank":"rank"}}"#,
        ..sample("debezium", body!("debezium.json"), 1)
    },
    sample("ga4", body!("ga4.json"), 2),
    sample("hubspot", body!("hubspot.json"), 2),
    sample("intercom", body!("intercom.json"), 1),
    Sample { settings: r#","scope":"provider-1""#, ..sample("line", body!("line.json"), 6) },
    sample("meta", body!("meta.json"), 3),
    Sample { path: "/batch/", ..sample("posthog", body!("posthog.json"), 4) },
    sample("salesforce-cdc", body!("salesforce-cdc.json"), 3),
    Sample { path: "/v1/batch", ..sample("segment", body!("segment.json"), 5) },
    sample("sendgrid", body!("sendgrid.json"), 2),
    sample("ses", body!("ses.json"), 2),
    Sample {
        headers: &[("x-shopify-topic", "orders/create"), ("x-shopify-event-id", "ev-1")],
        ..sample("shopify", body!("shopify.json"), 1)
    },
    sample("smaregi", body!("smaregi.json"), 1),
    sample("snowplow", body!("snowplow.json"), 2),
    sample("square", body!("square.json"), 1),
    sample("twilio", body!("twilio.form"), 1),
    Sample {
        settings: r#","fields":{"items":"data.bookings","event_id":["id","rev"],"type_field":"status","occurred_at":["day","time"],"amount":"price","currency":"JPY","identifiers":{"guest.mail":"email","guest.tel":"phone"},"traits":{"guest.name":"name"}}"#,
        ..sample("webhook", body!("webhook.json"), 1)
    },
    sample("zendesk", body!("zendesk.json"), 1),
    sample("zoom", body!("zoom.json"), 1),
];
