//! Touchpoints and values back to canonical JSON.

use musubi_core::touchpoint::Touchpoint;
use musubi_core::value::Value;

use crate::json::{self, Object};

/// Appends a touchpoint as one line of canonical JSON, without the line's end. It reads back as the same touchpoint.
pub fn render_touchpoint(touchpoint: &Touchpoint, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.text("source", &touchpoint.source);
    object.text("event_id", &touchpoint.event_id);
    object.text("channel", &touchpoint.channel);
    object.text("type", &touchpoint.kind);
    object.time("occurred_at", touchpoint.occurred_at);
    if let Some(received) = touchpoint.received_at {
        object.time("received_at", received);
    }
    json::list(object.field("identifiers"), &touchpoint.identifiers, |out, (namespace, value)| {
        json::identifier(out, namespace, value);
    });
    json::fields(object.field("traits"), &touchpoint.traits);
    json::fields(object.field("properties"), &touchpoint.properties);
    if !touchpoint.consent.is_empty() {
        let mut consent = Object::open(object.field("consent"));
        touchpoint.consent.iter().for_each(|(purpose, given)| json::boolean(consent.named(purpose), *given));
        consent.close();
    }
    if touchpoint.household.is_some() || touchpoint.account.is_some() {
        let mut context = Object::open(object.field("context"));
        let parts = [("household", &touchpoint.household), ("account", &touchpoint.account)];
        parts
            .into_iter()
            .filter_map(|(name, id)| Some((name, id.as_ref()?)))
            .for_each(|(name, id)| context.text(name, id));
        context.close();
    }
    object.close();
}

/// Appends a value as JSON on one line.
pub fn render_value(value: &Value, out: &mut Vec<u8>) {
    json::value(out, value);
}
