//! Segment's tracking calls, and RudderStack's, as `presets/segment.jq` maps them.
//!
//! Source of truth: that file. Identifiers: userId, anonymousId, previousId, mail and telephone, device and advertising
//! ids, the client id of Google Analytics, carts and orders; calls with `externalIds`, `externalId` or `mergeProperties`
//! are left to the jq. Event id: messageId, else the digest.

use std::borrow::Cow;
use std::sync::Arc;

use jaq_json::{Map, Val};
use musubi_core::touchpoint::Touchpoint;

use super::maker::{Field, Fields, Identifiers, Maker, Said, account, either, entries, event_id, same, snake, sum};
use super::{Payload, Wire};
use crate::form;
use crate::json::{object, text};
use crate::mapping::filters::behind_base64;
use crate::node::Node;

/// See the file's first words.
pub(super) struct Segment;

/// A call, and what envelope and path say about all of them.
pub(super) struct Item<'a> {
    event: &'a Node<'a>,
    /// The context of the envelope, where there is an envelope and the call can have one.
    shared: Option<&'a Node<'a>>,
    kind: Cow<'a, str>,
    anonymous: Node<'a>,
}

impl super::Item for Item<'_> {
    fn to_val(&self) -> Val {
        object([("event", self.value()), ("kind", text(&self.kind)), ("anonymous", self.anonymous.to_val())])
    }

    fn weight(&self) -> usize {
        self.event.weight() + self.shared.map_or(0, Node::weight)
    }
}

impl Wire for Segment {
    type Item<'a> = Item<'a>;

    fn items<'a>(payload: &Payload<'a>) -> Option<Vec<Item<'a>>> {
        let anonymous = (payload.header)("anonymousid").and_then(|header| behind_base64(&header).ok());
        let anonymous = anonymous.map_or(Node::Null, |anonymous| Node::Text(anonymous.into()));
        let last = payload.path.split('/').rfind(|part| !part.is_empty()).unwrap_or_default();
        let of_path = match last {
            "i" => "identify",
            "t" => "track",
            "p" => "page",
            "s" => "screen",
            "g" => "group",
            "a" => "alias",
            other => other,
        };
        let item = |event: &'a Node<'a>, shared: Option<&'a Node<'a>>| Item {
            event,
            shared: shared.filter(|_| event.is_map()),
            kind: event.of("type").text().unwrap_or(of_path).into(),
            anonymous: anonymous.clone(),
        };
        let body = payload.body;
        Some(match (body, body.of("batch")) {
            (Node::Map(_), Node::List(calls)) => {
                calls.iter().map(|call| item(call, Some(body.of("context")))).collect()
            }
            (Node::List(calls), _) => calls.iter().map(|call| item(call, None)).collect(),
            (Node::Null, _) => Vec::new(),
            (Node::Map(_) | Node::Bool(_) | Node::Num(_) | Node::Text(_), _) => vec![item(body, None)],
        })
    }

    fn touchpoint(item: &Item<'_>, maker: &mut Maker<'_>) -> Option<Option<Touchpoint>> {
        let event = item.event;
        let context = Both { over: event.of("context"), under: item.shared.unwrap_or(Node::nothing()) };
        let left_out = [event.of("mergeProperties"), context.of("externalIds"), context.of("externalId")];
        if !event.is_map() || left_out.iter().any(|field| !field.is_null()) {
            return None;
        }
        let own = event.of("traits");
        let traits =
            Both { over: if item.kind == "group" { Node::nothing() } else { own }, under: context.of("traits") };
        let call = Call { item, event, context, own, traits, properties: event.of("properties") };
        let said = Said {
            event_id: event_id(either([event.of("messageId")]), || item.value())?,
            kind: call.named()?,
            channel: call.channel(),
            occurred_at: maker.at(either([event.of("timestamp"), event.of("originalTimestamp")]))?,
            identifiers: call.identifiers(maker.trusts_links)?,
            traits: call.told()?,
            properties: call.described()?,
            consent: call.consent(),
            account: account(either([event.of("groupId"), context.of("groupId")]))?,
        };
        maker.make(said).map(Some)
    }
}

impl Item<'_> {
    /// The call as the mapping sees it: the context of the envelope is its own.
    fn value(&self) -> Val {
        let event = self.event.to_val();
        let (Some(shared), Val::Obj(mut fields)) = (self.shared, event.clone()) else { return event };
        let mut context = Map::default();
        for (name, value) in entries(shared).chain(entries(self.event.of("context"))) {
            context.insert(text(name), value.to_val());
        }
        Arc::make_mut(&mut fields).insert(text("context"), Val::obj(context));
        Val::Obj(fields)
    }
}

/// Two objects of which one covers the other; what is no object has no fields.
#[derive(Clone, Copy)]
struct Both<'a> {
    over: &'a Node<'a>,
    under: &'a Node<'a>,
}

impl<'a> Both<'a> {
    fn of(self, name: &str) -> &'a Node<'a> {
        self.over.find(name).unwrap_or_else(|| self.under.of(name))
    }

    /// What stands at a path of two names, or under both as one name.
    fn dig(self, path: &str) -> &'a Node<'a> {
        let whole = self.over.find(path).or_else(|| self.under.find(path));
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        whole.unwrap_or_else(|| self.of(first).path(rest))
    }
}

/// A call, taken apart.
struct Call<'a> {
    item: &'a Item<'a>,
    event: &'a Node<'a>,
    context: Both<'a>,
    own: &'a Node<'a>,
    traits: Both<'a>,
    properties: &'a Node<'a>,
}

impl<'a> Call<'a> {
    /// The type; the jq is asked where a name is no text.
    fn named(&self) -> Option<Cow<'a, str>> {
        Some(match &*self.item.kind {
            "identify" => "identified".into(),
            "page" => "page_viewed".into(),
            "screen" => "screen_viewed".into(),
            "group" => "account_joined".into(),
            "alias" => "aliased".into(),
            "merge" => "identities_merged".into(),
            kind => match either([self.event.of("event")]) {
                Node::Null if kind.is_empty() => "unnamed".into(),
                Node::Null => snake(kind),
                name => snake(name.text()?),
            },
        })
    }

    fn channel(&self) -> Option<&'static str> {
        let device = self.context.of("device").of("type").text();
        (self.item.kind == "screen" || matches!(device, Some("ios" | "android"))).then_some("app")
    }

    fn identifiers(&self, trusts_links: bool) -> Option<Identifiers<'a>> {
        let mut found = Identifiers::default();
        let claimed = if trusts_links { Vec::new() } else { self.claimed()? };
        let claims = |name: &str| claimed.iter().rfind(|(claim, _)| claim == name).map(|(_, value)| value.as_str());
        let mut unclaimed = |namespace, value: &'a Node<'a>, claim: &str| {
            if value.text().is_none() || value.text() != claims(claim) {
                found.id(namespace, value);
            }
        };
        let (event, properties, traits) = (self.event, self.properties, self.traits);
        unclaimed("user_id", event.of("userId"), "ajs_uid");
        unclaimed("anonymous_id", either([event.of("anonymousId"), &self.item.anonymous]), "ajs_aid");
        let previous = event.of("previousId");
        if self.item.kind == "alias" && !same(previous, event.of("userId")) {
            found.id("anonymous_id", previous);
        }
        let mut unclaimed = |namespace, value: &'a Node<'a>, claim: &str| {
            if value.text().is_none() || value.text() != claims(claim) {
                found.id(namespace, value);
            }
        };
        unclaimed("email", traits.of("email"), "ajs_trait_email");
        unclaimed("email", properties.of("email"), "ajs_trait_email");
        for name in ["phone", "loyalty_card"] {
            found.id(name, traits.of(name));
            found.id(name, properties.of(name));
        }
        self.device(&mut found)?;
        found.id("ga_client_id", self.context.dig(CLIENT));
        found.id("ga_client_id", event.dig(CLIENT));
        found.id("cart_token", properties.of("cart_id"));
        found.id("order_id", properties.of("order_id"));
        Some(found)
    }

    fn device(&self, found: &mut Identifiers<'a>) -> Option<()> {
        let device = self.context.of("device");
        if device.is_null() {
            return Some(());
        }
        let system = match either([device.of("type"), self.context.of("os").of("name")]) {
            Node::Null => "",
            system => system.text()?,
        };
        found.id("device_id", device.of("id"));
        found.id("push_token", device.of("token"));
        if matches!(device.of("adTrackingEnabled"), Node::Bool(true)) {
            let namespace = if system.eq_ignore_ascii_case("android") { "gaid" } else { "idfa" };
            match device.of("advertisingId") {
                Node::Null => {}
                id => found.made(namespace, id.text()?.to_ascii_lowercase()),
            }
        }
        Some(())
    }

    /// What the query of the page claims about the person; the jq is asked where the address is no text.
    fn claimed(&self) -> Option<Vec<(String, String)>> {
        let page = self.context.of("page");
        let query = match (either([page.of("search")]), either([page.of("url")])) {
            (Node::Null, Node::Null) => return Some(Vec::new()),
            (Node::Null, url) => url.text()?.split('?').nth(1).unwrap_or_default(),
            (search, _) => search.text()?,
        };
        let query = query.strip_prefix('?').unwrap_or(query).split('#').next().unwrap_or_default();
        let may_claim = query.contains("ajs_") || query.contains('%');
        Some(if may_claim { form::pairs(query.as_bytes()).collect() } else { Vec::new() })
    }

    fn told(&self) -> Option<Fields<'a>> {
        let mut told = Fields::default();
        told.names(sum([self.traits.under, self.traits.over])?, |name| matches!(name, "email" | "phone"));
        Some(told)
    }

    /// The properties; the jq is asked for an amount that is neither a text nor a number.
    fn described(&self) -> Option<Fields<'a>> {
        let (event, properties) = (self.event, self.properties);
        let mut all = Fields::with_room(properties.fields().len() + 6);
        for (name, path) in [("page", "page.path"), ("title", "page.title"), ("campaign", "campaign.name")] {
            all.put(name, self.context.dig(path));
        }
        all.names(entries(properties), |_| false);
        let path = entries(properties).filter(|(name, _)| snake(name) == "path").last();
        if let Some((_, path)) = path.filter(|(_, path)| !matches!(path, Node::Null | Node::Bool(false))) {
            all.put("page", path);
        }
        if matches!(&*self.item.kind, "page" | "screen") {
            match event.of("name") {
                Node::Map(_) => return None,
                name if name.is_given() => all.put("name", name),
                _ => {}
            }
        }
        if self.item.kind == "group" {
            let mut own = Fields::default();
            own.names(entries(self.own), |_| false);
            all.put("group_traits", Field::Map(own));
        }
        let original = event.of("originalTimestamp");
        if !same(original, event.of("timestamp")) {
            all.put("original_timestamp", original);
        }
        let amount = either(["total", "revenue", "value"].map(|name| properties.of(name)));
        all.total(amount, either([properties.of("currency")]))?;
        Some(all)
    }

    fn consent(&self) -> Vec<(Cow<'a, str>, bool)> {
        let said = entries(self.context.of("consent").of("categoryPreferences"));
        let given = said.filter_map(|(purpose, given)| match given {
            Node::Bool(given) => Some((purpose.into(), *given)),
            Node::Null | Node::Num(_) | Node::Text(_) | Node::List(_) | Node::Map(_) => None,
        });
        given.collect()
    }
}

/// Where the client id of Google Analytics stands.
const CLIENT: &str = "integrations.Google Analytics.clientId";
