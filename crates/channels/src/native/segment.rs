//! Segment's tracking calls, as `presets/segment.jq` maps them.
//!
//! Source of truth: that file. Identifiers: userId, anonymousId, previousId, mail and telephone, device and advertising
//! ids, the client id of Google Analytics, carts and orders; calls with `externalIds`, `externalId` or `mergeProperties`
//! are left to the jq. Event id: messageId, else the digest.

use std::borrow::Cow;

use jaq_json::{Map, Val};

use crate::form;
use crate::json::{as_text, field, object, text};
use crate::mapping::Globals;
use crate::mapping::filters::{compact, dig_text, digest, fetch, identified, instant, is_given, names};
use crate::spelling;

static NOTHING: Val = Val::Null;

/// See [`super::Native`].
pub(super) fn touchpoint(item: &Val, globals: &Globals) -> Option<Val> {
    let kind = as_text(field(item, "kind")?)?;
    let event = field(item, "event").filter(|event| matches!(event, Val::Obj(_)))?;
    let context = of(event, "context");
    if [(event, "mergeProperties"), (context, "externalIds"), (context, "externalId")]
        .iter()
        .any(|(within, name)| field(within, name).is_some())
    {
        return None;
    }
    let call = Call { kind, event, context, own: of(event, "traits"), properties: of(event, "properties") };
    let traits = call.traits();
    let claimed = if matches!(field(&globals.source, "trust_link_identifiers"), Some(Val::Bool(true))) {
        Val::Null
    } else {
        claimed(context)?
    };
    let event_id = match either([of(event, "messageId")]) {
        Val::Null => digest(event).ok()?,
        given => given.clone(),
    };
    let made = object([
        ("event_id", event_id),
        ("type", text(&call.named()?)),
        ("channel", call.channel()),
        ("occurred_at", call.occurred_at(globals)?),
        ("identifiers", call.identifiers(of(item, "anonymous"), &traits, &claimed)?),
        ("traits", compact(names(&without_contacts(&traits)))),
        ("properties", call.described()?),
        ("consent", call.consent()),
        ("context", object([("account", either([of(event, "groupId"), of(context, "groupId")]).clone())])),
    ]);
    Some(made)
}

/// A call, taken apart.
struct Call<'a> {
    kind: Cow<'a, str>,
    event: &'a Val,
    context: &'a Val,
    own: &'a Val,
    properties: &'a Val,
}

impl Call<'_> {
    fn traits(&self) -> Val {
        let own = if self.kind == "group" { &NOTHING } else { self.own };
        sum(map(of(self.context, "traits")), own)
    }

    /// The type; the jq is asked where a name is no text.
    fn named(&self) -> Option<Cow<'static, str>> {
        Some(match &*self.kind {
            "identify" => "identified".into(),
            "page" => "page_viewed".into(),
            "screen" => "screen_viewed".into(),
            "group" => "account_joined".into(),
            "alias" => "aliased".into(),
            "merge" => "identities_merged".into(),
            kind => {
                let name = match either([of(self.event, "event")]) {
                    Val::Null if kind.is_empty() => "unnamed".into(),
                    Val::Null => kind.into(),
                    name => as_text(name)?,
                };
                spelling::snake(&name).into()
            }
        })
    }

    fn channel(&self) -> Val {
        let device = as_text(of(of(self.context, "device"), "type"));
        let is_app = self.kind == "screen" || matches!(device.as_deref(), Some("ios" | "android"));
        if is_app { text("app") } else { Val::Null }
    }

    fn occurred_at(&self, globals: &Globals) -> Option<Val> {
        match either([of(self.event, "timestamp"), of(self.event, "originalTimestamp")]) {
            Val::Null => Some(globals.received_at.clone()),
            said => instant(said, of(&globals.source, "timezone")).ok(),
        }
    }

    fn identifiers(&self, anonymous: &Val, traits: &Val, claimed: &Val) -> Option<Val> {
        let mut found = Vec::with_capacity(4);
        let mut add = |namespace: &str, value: &Val| found.extend(identified(text(namespace), value, &NOTHING));
        let (event, properties) = (self.event, self.properties);
        let mut unclaimed = |namespace: &str, value: &Val, claim: &str| {
            if value != of(claimed, claim) {
                add(namespace, value);
            }
        };
        unclaimed("user_id", of(event, "userId"), "ajs_uid");
        unclaimed("anonymous_id", either([of(event, "anonymousId"), anonymous]), "ajs_aid");
        if self.kind == "alias" && of(event, "previousId") != of(event, "userId") {
            unclaimed("anonymous_id", of(event, "previousId"), "");
        }
        for from in [traits, properties] {
            unclaimed("email", of(from, "email"), "ajs_trait_email");
        }
        for name in ["phone", "loyalty_card"] {
            for from in [traits, properties] {
                add(name, of(from, name));
            }
        }
        if field(self.context, "device").is_some() {
            self.device(&mut add)?;
        }
        for from in [self.context, event] {
            if field(from, "integrations").is_some() || field(from, CLIENT).is_some() {
                add("ga_client_id", &dig_text(from, CLIENT));
            }
        }
        add("cart_token", of(properties, "cart_id"));
        add("order_id", of(properties, "order_id"));
        Some(Val::Arr(found.into()))
    }

    fn device(&self, add: &mut impl FnMut(&str, &Val)) -> Option<()> {
        let device = of(self.context, "device");
        let system = match either([of(device, "type"), of(of(self.context, "os"), "name")]) {
            Val::Null => "".into(),
            system => as_text(system)?,
        };
        add("device_id", of(device, "id"));
        add("push_token", of(device, "token"));
        if *of(device, "adTrackingEnabled") == Val::Bool(true) {
            let namespace = if system.eq_ignore_ascii_case("android") { "gaid" } else { "idfa" };
            match of(device, "advertisingId") {
                Val::Null => {}
                id => add(namespace, &text(&as_text(id)?.to_ascii_lowercase())),
            }
        }
        Some(())
    }

    /// The properties; the jq is asked for an amount that is neither a text nor a number.
    fn described(&self) -> Option<Val> {
        let mut all = map(&fetch(self.context, &text("page=page.path title=page.title campaign=campaign.name")).ok()?);
        let own = names(self.properties);
        all.extend(map(&own));
        if let Some(path) = field(&own, "path").filter(|path| **path != Val::Bool(false)) {
            all.insert(text("page"), path.clone());
        }
        if matches!(&*self.kind, "page" | "screen") {
            all.extend(map(&fetch(self.event, &text("name")).ok()?));
        }
        if self.kind == "group" {
            all.insert(text("group_traits"), names(self.own));
        }
        let original = of(self.event, "originalTimestamp");
        if original != of(self.event, "timestamp") {
            all.insert(text("original_timestamp"), original.clone());
        }
        if let Some(total) = self.total()? {
            all.insert(text("total"), total);
        }
        Some(compact(Val::obj(all)))
    }

    fn total(&self) -> Option<Option<Val>> {
        let amount = match either(["total", "revenue", "value"].map(|name| of(self.properties, name))) {
            Val::Null => return Some(None),
            Val::Num(number) => text(&number.to_string()),
            said => text(&as_text(said)?),
        };
        let currency = match either([of(self.properties, "currency")]) {
            Val::Null => None,
            currency => Some(("currency", currency.clone())),
        };
        Some(Some(object([("amount", amount)].into_iter().chain(currency))))
    }

    fn consent(&self) -> Val {
        let said = map(of(of(self.context, "consent"), "categoryPreferences"));
        Val::obj(said.into_iter().filter(|(_, value)| matches!(value, Val::Bool(_))).collect())
    }
}

/// Where the client id of Google Analytics stands.
const CLIENT: &str = "integrations.Google Analytics.clientId";

/// What the query of the page claims about the person; the jq is asked where the address is no text.
fn claimed(context: &Val) -> Option<Val> {
    let page = of(context, "page");
    let query = match (either([of(page, "search")]), either([of(page, "url")])) {
        (Val::Null, Val::Null) => return Some(Val::Null),
        (Val::Null, url) => as_text(url)?.split('?').nth(1).unwrap_or_default().to_owned(),
        (search, _) => as_text(search)?.into_owned(),
    };
    let query = query.strip_prefix('?').unwrap_or(&query).split('#').next().unwrap_or_default();
    Some(if query.contains("ajs_") || query.contains('%') { form::parse(query) } else { Val::Null })
}

fn without_contacts(traits: &Val) -> Val {
    let mut kept = map(traits);
    kept.retain(|name, _| !matches!(as_text(name).as_deref(), Some("email" | "phone")));
    Val::obj(kept)
}

/// The first that is given; null where none is.
fn either<const N: usize>(values: [&Val; N]) -> &Val {
    values.into_iter().find(|value| is_given(value)).unwrap_or(&NOTHING)
}

/// The field of an object; null where there is none, or no object.
fn of<'a>(value: &'a Val, name: &str) -> &'a Val {
    field(value, name).unwrap_or(&NOTHING)
}

/// The fields of an object; none of anything else.
fn map(value: &Val) -> Map {
    match value {
        Val::Obj(fields) => Map::clone(fields),
        Val::Null | Val::Bool(_) | Val::Num(_) | Val::BStr(_) | Val::TStr(_) | Val::Arr(_) => Map::default(),
    }
}

fn sum(mut left: Map, right: &Val) -> Val {
    left.extend(map(right));
    Val::obj(left)
}
