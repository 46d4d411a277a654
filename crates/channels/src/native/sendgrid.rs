//! SendGrid's events, as `presets/sendgrid.jq` maps them.
//!
//! Source of truth: that file. Identifiers: the address that the mail went to. Event id: sg_event_id, else the digest.

use musubi_core::touchpoint::Touchpoint;

use super::maker::{Fields, Identifiers, Maker, Said, either, event_id, snake};
use super::{Payload, Wire};
use crate::node::Node;

/// See the file's first words.
pub(super) struct Sendgrid;

impl Wire for Sendgrid {
    type Item<'a> = &'a Node<'a>;

    fn items<'a>(payload: &Payload<'a>) -> Option<Vec<&'a Node<'a>>> {
        let events = match payload.body {
            Node::List(events) => events.as_slice(),
            one => std::slice::from_ref(one),
        };
        Some(events.iter().filter(|event| !event.is_null()).collect())
    }

    fn touchpoint(item: &&Node<'_>, maker: &mut Maker<'_>) -> Option<Option<Touchpoint>> {
        let item = *item;
        if !item.is_map() {
            return None;
        }
        let event = match either([item.of("event")]) {
            Node::Null => "received",
            event => event.text()?,
        };
        let kind = match event {
            "processed" => "email_sent".into(),
            "delivered" => "email_delivered".into(),
            "deferred" => "email_deferred".into(),
            "dropped" => "email_dropped".into(),
            "bounce" => "email_bounced".into(),
            "open" => "email_opened".into(),
            "click" => "email_link_clicked".into(),
            "spamreport" => "email_reported_as_spam".into(),
            "unsubscribe" | "group_unsubscribe" => "newsletter_unsubscribed".into(),
            "group_resubscribe" => "newsletter_subscribed".into(),
            other => snake(other),
        };
        let mut identifiers = Identifiers::default();
        identifiers.id("email", item.of("email"));
        let mut properties = Fields::with_room(6);
        properties.fetch(
            item,
            &[
                ("url", "url"),
                ("reason", "reason"),
                ("category", "category"),
                ("group", "asm_group_id"),
                ("message_id", "sg_message_id"),
                ("by_machine", "sg_machine_open"),
            ],
        );
        let is_refused = matches!(event, "unsubscribe" | "spamreport");
        let said = Said {
            event_id: event_id(either([item.of("sg_event_id")]), || item.to_val())?,
            kind,
            channel: None,
            occurred_at: maker.at(either([item.of("timestamp")]))?,
            identifiers,
            traits: Fields::default(),
            properties,
            consent: if is_refused { vec![("email_marketing".into(), false)] } else { Vec::new() },
            account: None,
        };
        maker.make(said).map(Some)
    }
}
