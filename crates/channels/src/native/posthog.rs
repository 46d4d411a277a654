//! PostHog's events, as `presets/posthog.jq` maps them.
//!
//! Source of truth: that file. Identifiers: `distinct_id`, `$user_id`, `$device_id`, `$anon_distinct_id`, `$anon_id`, the
//! alias of `$create_alias`, mail and telephone in `$set`. Event id: uuid, else `$insert_id`, else the digest.

use std::borrow::Cow;

use musubi_core::touchpoint::Touchpoint;

use super::maker::{Fields, Identifiers, Maker, Said, account, either, entries, event_id, same, snake, sum};
use super::{Payload, Wire};
use crate::node::Node;

/// See the file's first words.
pub(super) struct Posthog;

impl Wire for Posthog {
    type Item<'a> = &'a Node<'a>;

    fn items<'a>(payload: &Payload<'a>) -> Option<Vec<&'a Node<'a>>> {
        let body = payload.body;
        Some(match (body, body.of("batch")) {
            (Node::List(events), _) | (Node::Map(_), Node::List(events)) => events.iter().collect(),
            (Node::Null, _) => Vec::new(),
            (Node::Map(_) | Node::Bool(_) | Node::Num(_) | Node::Text(_), _) => vec![body],
        })
    }

    fn touchpoint(item: &&Node<'_>, maker: &mut Maker<'_>) -> Option<Option<Touchpoint>> {
        let item = *item;
        if !item.is_map() {
            return None;
        }
        let properties = item.of("properties");
        let event = match either([item.of("event")]) {
            Node::Null => "unnamed",
            event => event.text()?,
        };
        // What stands later covers what stands before.
        let set = [item.of("$set"), properties.of("$set"), item.of("$set_once"), properties.of("$set_once")];
        let group = if event == "$groupidentify" {
            properties.of("$group_key")
        } else {
            properties.of("$groups").of("company")
        };
        let said = Said {
            event_id: event_id(either([item.of("uuid"), properties.of("$insert_id")]), || item.to_val())?,
            kind: named(event),
            channel: None,
            occurred_at: maker.at(either([item.of("timestamp"), properties.of("$time")]))?,
            identifiers: identifiers(item, event, set),
            traits: traits(set)?,
            properties: described(properties),
            consent: Vec::new(),
            account: account(group)?,
        };
        maker.make(said).map(Some)
    }
}

fn named(event: &str) -> Cow<'_, str> {
    match event {
        "$pageview" => "page_viewed".into(),
        "$screen" => "screen_viewed".into(),
        "$identify" => "identified".into(),
        "$create_alias" => "aliased".into(),
        "$merge_dangerously" => "identities_merged".into(),
        "$groupidentify" => "account_updated".into(),
        "$set" => "contact_updated".into(),
        "$pageleave" => "page_left".into(),
        other => snake(other),
    }
}

/// The first of some objects that has a field decides what it holds.
fn of_first<'a>(objects: [&'a Node<'a>; 4], name: &str) -> &'a Node<'a> {
    objects.into_iter().find_map(|object| object.find(name)).unwrap_or(Node::nothing())
}

fn identifiers<'a>(item: &'a Node<'a>, event: &str, set: [&'a Node<'a>; 4]) -> Identifiers<'a> {
    let properties = item.of("properties");
    let distinct = either([item.of("distinct_id"), properties.of("distinct_id")]);
    let is_no = |name| matches!(properties.of(name), Node::Bool(false));
    let is_anonymous =
        same(distinct, properties.of("$device_id")) || is_no("$is_identified") || is_no("$process_person_profile");
    let mut found = Identifiers::default();
    found.id(if is_anonymous && event != "$identify" { "anonymous_id" } else { "user_id" }, distinct);
    found.id("user_id", properties.of("$user_id"));
    for name in ["$device_id", "$anon_distinct_id", "$anon_id"] {
        found.id("anonymous_id", properties.of(name));
    }
    let alias = properties.of("alias");
    if matches!(event, "$create_alias" | "$merge_dangerously") && !same(alias, distinct) {
        found.id("anonymous_id", alias);
    }
    found.id("email", of_first(set, "email"));
    found.id("phone", of_first(set, "phone"));
    found.unique()
}

fn traits<'a>([own, told, own_once, told_once]: [&'a Node<'a>; 4]) -> Option<Fields<'a>> {
    let mut traits = Fields::default();
    traits.names(sum([told_once, own_once, told, own])?, |name| matches!(name, "email" | "phone"));
    Some(traits)
}

fn described<'a>(properties: &'a Node<'a>) -> Fields<'a> {
    let mut all = Fields::with_room(properties.fields().len() + 4);
    all.names(entries(properties), |name| name.starts_with('$') || matches!(name, "token" | "distinct_id"));
    all.put("page", properties.of("$current_url"));
    all.put("title", properties.of("$title"));
    all.put("campaign", properties.of("utm_campaign"));
    all.put("screen", properties.of("$screen_name"));
    all
}
