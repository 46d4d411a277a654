//! Shopify's webhooks, as `presets/shopify.jq` maps them.
//!
//! Source of truth: that file. Identifiers: the customer's id within the shop, mail and telephone, cart and checkout
//! tokens, the order's id, and what the theme put into note_attributes. Event id: topic, object and X-Shopify-Event-Id;
//! what comes without the last is left to the jq, and so are requests for erasure.

use std::borrow::Cow;

use jaq_json::Val;
use musubi_core::touchpoint::Touchpoint;

use super::maker::{Field, Fields, Identifiers, Maker, Said, either, snake};
use super::{Payload, Wire};
use crate::json::{object, text};
use crate::node::Node;

/// See the file's first words.
pub(super) struct Shopify;

/// An object of the shop, and what the headers say of it.
pub(super) struct Item<'a> {
    topic: Cow<'a, str>,
    event: Node<'a>,
    triggered: Node<'a>,
    data: &'a Node<'a>,
}

impl super::Item for Item<'_> {
    fn to_val(&self) -> Val {
        object([
            ("topic", text(&self.topic)),
            ("event", self.event.to_val()),
            ("triggered", self.triggered.to_val()),
            ("data", self.data.to_val()),
        ])
    }

    fn weight(&self) -> usize {
        self.data.weight()
    }
}

impl Wire for Shopify {
    type Item<'a> = Item<'a>;

    fn items<'a>(payload: &Payload<'a>) -> Option<Vec<Item<'a>>> {
        if payload.body.is_null() {
            return Some(Vec::new());
        }
        let header = |name: &str| (payload.header)(name).map_or(Node::Null, Node::Text);
        let given = |name: &str| (payload.header)(name).filter(|value| !value.is_empty());
        let path = || payload.path.strip_prefix('/').unwrap_or(payload.path);
        let event = given("x-shopify-event-id").or_else(|| given("x-shopify-webhook-id"));
        let topic = given("x-shopify-topic").unwrap_or_else(|| path().into());
        // An empty text is not given: `either` is null.
        (!topic.is_empty()).then(|| {
            let event = event.map_or(Node::Null, Node::Text);
            vec![Item { topic, event, triggered: header("x-shopify-triggered-at"), data: payload.body }]
        })
    }

    fn touchpoint(item: &Item<'_>, maker: &mut Maker<'_>) -> Option<Option<Touchpoint>> {
        let (topic, data) = (item.topic.as_ref(), item.data);
        if !data.is_map() || topic.starts_with("customers/redact") || topic.starts_with("shop/redact") {
            return None;
        }
        let customer = if topic.starts_with("customers/") { data } else { data.of("customer") };
        let thing = topic.split('/').next().unwrap_or_default();
        let order = match thing {
            "orders" => data.of("id"),
            "refunds" | "fulfillments" => data.of("order_id"),
            _ => Node::nothing(),
        };
        let own = if topic.ends_with("/create") {
            [data.of("processed_at"), data.of("created_at")]
        } else {
            [data.of("updated_at"), Node::nothing()]
        };
        let said = Said {
            event_id: event_id(item)?.into(),
            kind: named(topic),
            channel: (data.of("source_name").text() == Some("pos")).then_some("store"),
            occurred_at: maker.at(either([own[0], own[1], &item.triggered, data.of("created_at")]))?,
            identifiers: identifiers(maker, data, customer, thing, order),
            traits: traits(customer),
            properties: described(data, order)?,
            consent: consent(customer)?,
            account: None,
        };
        maker.make(said).map(Some)
    }
}

/// The jq is asked for the digest, and for an id that is neither a text nor a whole number.
fn event_id(item: &Item<'_>) -> Option<String> {
    let event = item.event.text()?;
    let of = |node: &Node<'_>| match node {
        Node::Text(id) => Some(id.to_string()),
        Node::Num(id @ jaq_json::Num::Int(_)) => Some(id.to_string()),
        Node::Null => Some(String::new()),
        Node::Bool(_) | Node::Num(_) | Node::List(_) | Node::Map(_) => None,
    };
    let id = match item.data.of("id") {
        Node::Null => of(item.data.of("token"))?,
        id => of(id)?,
    };
    Some(format!("{}:{id}:{event}", item.topic))
}

fn named(topic: &str) -> Cow<'_, str> {
    match topic {
        "orders/create" => "order_completed".into(),
        "orders/cancelled" => "order_cancelled".into(),
        "orders/fulfilled" | "fulfillments/create" => "order_shipped".into(),
        "orders/paid" => "order_paid".into(),
        "orders/updated" | "orders/edited" => "order_updated".into(),
        "refunds/create" => "order_refunded".into(),
        "checkouts/create" => "checkout_started".into(),
        "checkouts/update" => "checkout_updated".into(),
        "carts/create" | "carts/update" => "cart_updated".into(),
        "customers/create" => "account_created".into(),
        "customers/update" => "contact_updated".into(),
        "customers/delete" => "account_deleted".into(),
        other => snake(other),
    }
}

fn identifiers<'a>(
    maker: &Maker<'_>,
    data: &'a Node<'a>,
    customer: &'a Node<'a>,
    thing: &str,
    order: &'a Node<'a>,
) -> Identifiers<'a> {
    let mut found = Identifiers::default();
    found.scoped(maker, "shopify_customer_id", customer.of("id"));
    for email in [data.of("email"), data.of("contact_email"), customer.of("email")] {
        found.id("email", email);
    }
    for phone in [data.of("phone"), customer.of("phone")] {
        found.id("phone", phone);
    }
    for (namespace, things) in [("cart_token", "carts"), ("checkout_token", "checkouts")] {
        found.id(namespace, data.of(namespace));
        if thing == things {
            found.id(namespace, data.of("token"));
        }
    }
    found.scoped(maker, "order_id", order);
    for note in data.of("note_attributes").items() {
        let namespace = match note.of("name").text() {
            Some("anonymousId" | "anonymous_id" | "rudderAnonymousId") => "anonymous_id",
            Some("user_id" | "userId") => "user_id",
            Some("loyalty_card" | "member_card") => "loyalty_card",
            Some(_) | None => continue,
        };
        found.id(namespace, note.of("value"));
    }
    found.unique()
}

fn traits<'a>(customer: &'a Node<'a>) -> Fields<'a> {
    let mut traits = Fields::with_room(5);
    traits.fetch(
        customer,
        &[
            ("first_name", "first_name"),
            ("last_name", "last_name"),
            ("tags", "tags"),
            ("country", "default_address.country_code"),
            ("orders_in_shop", "orders_count"),
        ],
    );
    traits
}

fn described<'a>(data: &'a Node<'a>, order: &'a Node<'a>) -> Option<Fields<'a>> {
    const PRODUCT: [&str; 5] = ["product_id", "sku", "title", "quantity", "price"];
    let mut all = Fields::with_room(9);
    all.put("order_id", order);
    all.put("order_name", data.of("name"));
    all.put("store_id", data.of("location_id"));
    all.put("sales_channel", data.of("source_name"));
    let first = |name| data.of(name).items().first().unwrap_or(Node::nothing());
    let amount = either([data.of("total_price"), first("transactions").of("amount")]);
    all.total(amount, either([data.of("currency")]))?;
    let products: Vec<_> = data.of("line_items").items().iter().collect();
    if !products.is_empty() {
        let products = products.into_iter().map(|product| {
            let mut fields = Fields::with_room(PRODUCT.len());
            PRODUCT.into_iter().for_each(|name| fields.put(name, product.of(name)));
            fields
        });
        all.put("products", Field::Maps(products.collect()));
    }
    all.put("product_id", first("line_items").of("product_id"));
    all.put("cancel_reason", data.of("cancel_reason"));
    all.put("financial_status", data.of("financial_status"));
    Some(all)
}

/// What the customer agreed to. The jq is asked where a state is no text.
fn consent<'a>(customer: &'a Node<'a>) -> Option<Vec<(Cow<'a, str>, bool)>> {
    let mut consent = Vec::new();
    for (purpose, field) in [("email_marketing", "email_marketing_consent"), ("sms_marketing", "sms_marketing_consent")]
    {
        match customer.of(field).of("state") {
            Node::Null => {}
            state => match state.text()? {
                "subscribed" => consent.push((purpose.into(), true)),
                "unsubscribed" | "redacted" => consent.push((purpose.into(), false)),
                _ => {}
            },
        }
    }
    Some(consent)
}
