//! LINE's webhooks, as `presets/line.jq` maps them.
//!
//! Source of truth: that file. Identifiers: source.userId within the provider, the nonce of an account link, the hashed
//! telephone number of a delivery. Event id: webhookEventId, else the digest.

use std::borrow::Cow;

use musubi_core::touchpoint::Touchpoint;

use super::maker::{Fields, Identifiers, Maker, Said, either, event_id, snake};
use super::{Payload, Wire};
use crate::node::Node;

/// See the file's first words.
pub(super) struct Line;

impl Wire for Line {
    type Item<'a> = &'a Node<'a>;

    fn items<'a>(payload: &Payload<'a>) -> Option<Vec<&'a Node<'a>>> {
        Some(payload.body.of("events").items().iter().collect())
    }

    fn touchpoint(item: &&Node<'_>, maker: &mut Maker<'_>) -> Option<Option<Touchpoint>> {
        let item = *item;
        if !item.is_map() {
            return None;
        }
        let user = item.of("source").of("userId");
        if user.is_null() {
            return Some(None);
        }
        let kind = match either([item.of("type")]) {
            Node::Null => "",
            kind => kind.text()?,
        };
        let link = item.of("link");
        let is_linked = link.of("result").text() == Some("ok");
        let mut identifiers = Identifiers::default();
        identifiers.scoped(maker, "line_user_id", user);
        if kind == "accountLink" && is_linked {
            identifiers.id("line_link_nonce", link.of("nonce"));
        }
        if kind == "delivery" {
            phone(item.of("delivery").of("data"), &mut identifiers)?;
        }
        let consent = match kind {
            "follow" => vec![("line_marketing".into(), true)],
            "unfollow" => vec![("line_marketing".into(), false)],
            _ => Vec::new(),
        };
        let said = Said {
            event_id: event_id(either([item.of("webhookEventId")]), || item.to_val())?,
            kind: named(item, kind, is_linked)?,
            channel: None,
            occurred_at: maker.at(either([item.of("timestamp")]))?,
            identifiers,
            traits: Fields::default(),
            properties: described(item),
            consent,
            account: None,
        };
        maker.make(said).map(Some)
    }
}

/// A hash in a text; the jq is asked where it stands in anything else.
fn phone<'a>(data: &'a Node<'a>, identifiers: &mut Identifiers<'a>) -> Option<()> {
    const DIGITS: usize = 64;
    if data.is_null() {
        return Some(());
    }
    if data.text()?.chars().count() == DIGITS {
        identifiers.id("phone_sha256", data);
    }
    Some(())
}

fn named<'a>(item: &'a Node<'a>, kind: &'a str, is_linked: bool) -> Option<Cow<'a, str>> {
    Some(match kind {
        "beacon" if item.of("beacon").of("type").text() == Some("leave") => "store_left".into(),
        "beacon" => "store_visited".into(),
        "accountLink" if is_linked => "account_linked".into(),
        "accountLink" => "account_link_failed".into(),
        "membership" => match item.of("membership").of("type") {
            Node::Null | Node::Bool(false) => "membership_changed".into(),
            what => format!("membership_{}", what.text()?).into(),
        },
        "message" => "message_received".into(),
        "follow" => "friend_added".into(),
        "unfollow" => "friend_blocked".into(),
        "postback" => "rich_menu_tapped".into(),
        "join" | "memberJoined" => "group_joined".into(),
        "leave" | "memberLeft" => "group_left".into(),
        "videoPlayComplete" => "video_watched".into(),
        "unsend" => "message_unsent".into(),
        "delivery" => "notification_delivered".into(),
        "" => "received".into(),
        other => snake(other),
    })
}

fn described<'a>(item: &'a Node<'a>) -> Fields<'a> {
    let mut described = Fields::with_room(8);
    described.fetch(
        item,
        &[
            ("kind", "message.type"),
            ("text", "message.text"),
            ("message_id", "message.id"),
            ("postback", "postback.data"),
            ("store_id", "beacon.hwid"),
            ("beacon_message", "beacon.dm"),
            ("group", "source.groupId"),
            ("room", "source.roomId"),
        ],
    );
    described
}
