//! Touchpoints, directives and values back to canonical JSON.

use std::sync::Arc;

use musubi_core::directive::Directive;
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
    identifiers(object.field("identifiers"), &touchpoint.identifiers);
    json::fields(object.field("traits"), &touchpoint.traits);
    json::fields(object.field("properties"), &touchpoint.properties);
    if !touchpoint.consent.is_empty() {
        consent(object.field("consent"), &touchpoint.consent);
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

/// Appends a directive as one line of JSON, without the line's end. It reads back as the same directive.
pub fn render_directive(directive: &Directive, out: &mut Vec<u8>) {
    let (word, named, purposes) = crate::avro::parts(&directive.order);
    let mut object = Object::open(out);
    object.text("directive", word);
    object.text("directive_id", &directive.directive_id);
    object.text("source", &directive.source);
    object.time("at", directive.at);
    identifiers(object.field("identifiers"), named);
    if !purposes.is_empty() {
        consent(object.field("consent"), purposes);
    }
    object.close();
}

fn identifiers(out: &mut Vec<u8>, identifiers: &[(Arc<str>, Arc<str>)]) {
    json::list(out, identifiers, |out, (namespace, value)| json::identifier(out, namespace, value));
}

fn consent(out: &mut Vec<u8>, purposes: &[(Arc<str>, bool)]) {
    let mut object = Object::open(out);
    purposes.iter().for_each(|(purpose, given)| json::boolean(object.named(purpose), *given));
    object.close();
}

/// Appends a value as JSON on one line.
pub fn render_value(value: &Value, out: &mut Vec<u8>) {
    json::value(out, value);
}
