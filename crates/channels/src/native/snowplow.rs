//! Snowplow's events, as `presets/snowplow.jq` maps them.
//!
//! Source of truth: that file. Identifiers: uid, duid, tnuid and nuid, the installation in `client_session`, advertising
//! and vendor ids in `mobile_context`, mail, card and order. Event id: eid, else the digest.

use std::borrow::Cow;

use musubi_core::touchpoint::Touchpoint;

use super::maker::{Fields, Identifiers, Maker, Said, either, entries, event_id, snake};
use super::{Payload, Wire};
use crate::mapping::filters::behind_base64;
use crate::node::Node;

/// See the file's first words.
pub(super) struct Snowplow;

impl Wire for Snowplow {
    type Item<'a> = &'a Node<'a>;

    /// An event in a query is left to the jq.
    fn items<'a>(payload: &Payload<'a>) -> Option<Vec<&'a Node<'a>>> {
        match (payload.body, payload.body.of("data")) {
            (Node::Map(_), Node::List(events)) => Some(events.iter().collect()),
            (body @ Node::Map(_), _) => Some(vec![body]),
            (Node::Null | Node::Bool(_) | Node::Num(_) | Node::Text(_) | Node::List(_), _) => None,
        }
    }

    fn touchpoint(item: &&Node<'_>, maker: &mut Maker<'_>) -> Option<Option<Touchpoint>> {
        let item = *item;
        if !item.is_map() {
            return None;
        }
        let (contexts, unstructured) = (packed(item, "co", "cx")?, packed(item, "ue_pr", "ue_px")?);
        let (contexts, unstructured) = (parsed(contexts.as_deref())?, parsed(unstructured.as_deref())?);
        let contexts = contexts.of("data").items();
        let [session, mobile] = ["client_session", "mobile_context"].map(|name| of_schema(contexts, name));
        let unstructured = unstructured.of("data");
        let data = unstructured.of("data");
        let kind = named(item, unstructured)?;
        let said = Said {
            event_id: event_id(either([item.of("eid")]), || item.to_val())?,
            kind,
            channel: (item.of("p").text() == Some("mob")).then_some("app"),
            occurred_at: maker.at(either([item.of("ttm"), item.of("dtm")]))?,
            identifiers: identifiers(item, session?, mobile?, data)?,
            traits: Fields::default(),
            properties: described(item, data)?,
            consent: Vec::new(),
            account: None,
        };
        maker.make(said).map(Some)
    }
}

/// The JSON that stands in one field, or as base64 in the other; the jq is asked where one is no text, or no base64.
fn packed<'a>(item: &'a Node<'a>, plain: &str, encoded: &str) -> Option<Option<Cow<'a, str>>> {
    match (either([item.of(plain)]), either([item.of(encoded)])) {
        (Node::Null, Node::Null) => Some(None),
        (Node::Null, encoded) => behind_base64(encoded.text()?).ok().map(|text| Some(text.into())),
        (plain, _) => plain.text().map(|text| Some(text.into())),
    }
}

/// The value of that; the jq is asked where it is no JSON.
fn parsed(text: Option<&str>) -> Option<Node<'_>> {
    text.map_or(Some(Node::Null), |text| Node::read(text.as_bytes()))
}

/// The data of the first context of that schema; the jq is asked where a schema is no text.
fn of_schema<'a>(contexts: &'a [Node<'a>], name: &str) -> Option<&'a Node<'a>> {
    for context in contexts {
        match context.of("schema") {
            Node::Null => {}
            schema if schema_name(schema.text()?) == name => return Some(context.of("data")),
            _ => {}
        }
    }
    Some(Node::nothing())
}

/// The name in `iglu:com.acme/product_viewed/jsonschema/1-0-0`.
fn schema_name(schema: &str) -> &str {
    schema.split('/').nth(1).unwrap_or_default()
}

fn named<'a>(item: &'a Node<'a>, unstructured: &'a Node<'a>) -> Option<Cow<'a, str>> {
    let said = |node: &'a Node<'a>| match either([node]) {
        Node::Null => Some(""),
        text => text.text(),
    };
    let kind = match said(item.of("e"))? {
        "pv" => "page_viewed".into(),
        "pp" => "page_pinged".into(),
        "tr" => "order_completed".into(),
        "ti" => "order_line".into(),
        "se" => snake(said(item.of("se_ac"))?),
        "ue" => snake(schema_name(said(unstructured.of("schema"))?)),
        _ => Cow::Borrowed(""),
    };
    Some(if kind.is_empty() { "received".into() } else { kind })
}

fn identifiers<'a>(
    item: &'a Node<'a>,
    session: &'a Node<'a>,
    mobile: &'a Node<'a>,
    data: &'a Node<'a>,
) -> Option<Identifiers<'a>> {
    let mut found = Identifiers::default();
    found.id("user_id", item.of("uid"));
    found.id("anonymous_id", item.of("duid"));
    found.id("cookie", item.of("tnuid"));
    found.id("cookie", item.of("nuid"));
    found.id("device_id", session.of("userId"));
    for (namespace, name) in [("idfa", "appleIdfa"), ("idfv", "appleIdfv"), ("gaid", "androidIdfa")] {
        match either([mobile.of(name)]) {
            Node::Null => {}
            id => found.made(namespace, id.text()?.to_ascii_lowercase()),
        }
    }
    found.id("email", data.of("email"));
    found.id("loyalty_card", data.of("loyalty_card"));
    found.id("order_id", item.of("tr_id"));
    Some(found)
}

fn described<'a>(item: &'a Node<'a>, data: &'a Node<'a>) -> Option<Fields<'a>> {
    let mut all = Fields::with_room(data.fields().len() + 9);
    all.names(entries(data), |_| false);
    for (name, field) in [
        ("page", "url"),
        ("title", "page"),
        ("referrer", "refr"),
        ("category", "se_ca"),
        ("label", "se_la"),
        ("property", "se_pr"),
        ("value", "se_va"),
        ("order_id", "tr_id"),
    ] {
        all.put(name, item.of(field));
    }
    all.put("total", Node::nothing());
    all.total(item.of("tr_tt"), either([item.of("tr_cu")]))?;
    Some(all)
}
