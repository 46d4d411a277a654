//! Natives: what the most used presets say in jq, said once more in Rust, because an interpreter is too slow for them. A
//! native goes from the body as it came to touchpoints, without a value of jq's and without a second reading.
//!
//! The jq is the truth. A native makes of a payload exactly what the preset's `items` and `touchpoints` make of it, or
//! declines an item, or all, and then the jq is asked: errors, rare shapes and messages are its alone. Only a preset that
//! nobody edited has one at work.

use std::borrow::Cow;

use jaq_json::Val;
use musubi_core::touchpoint::Touchpoint;

use crate::node::Node;
pub(crate) use maker::Maker;

mod line;
mod maker;
mod posthog;
mod segment;
mod sendgrid;
mod shopify;
mod snowplow;

/// A payload as it came.
#[derive(Clone, Copy)]
pub(crate) struct Payload<'a> {
    pub(crate) body: &'a Node<'a>,
    pub(crate) path: &'a str,
    /// The value of the header of that name in lower case, the last where there are several.
    pub(crate) header: &'a dyn Fn(&str) -> Option<Cow<'a, str>>,
    /// How many bytes the body has.
    pub(crate) size: usize,
}

/// What became of an item.
pub(crate) enum Made {
    Touchpoint(Touchpoint),
    /// It is nobody's touchpoint.
    Nothing,
    /// The item, which the mapping is to be asked about.
    Declined(Val),
}

/// Makes of each item of a payload what it is, until `take` has had enough; whether it could be cut at all.
pub(crate) type Native = fn(&Payload<'_>, &mut Maker<'_>, take: &mut dyn FnMut(Made) -> bool) -> bool;

/// The native of a preset, if it has one.
pub(crate) fn native(preset: &str) -> Option<Native> {
    match preset {
        "line" => Some(run::<line::Line>),
        "posthog" => Some(run::<posthog::Posthog>),
        "segment" => Some(run::<segment::Segment>),
        "sendgrid" => Some(run::<sendgrid::Sendgrid>),
        "shopify" => Some(run::<shopify::Shopify>),
        "snowplow" => Some(run::<snowplow::Snowplow>),
        _ => None,
    }
}

/// What payloads are cut into.
trait Item {
    /// It as the mapping's `items` gives it.
    fn to_val(&self) -> Val;

    /// How many bytes there are in its texts.
    fn weight(&self) -> usize;
}

/// A part of the body as it stands: most items are no more.
impl Item for &Node<'_> {
    fn to_val(&self) -> Val {
        Node::to_val(self)
    }

    fn weight(&self) -> usize {
        Node::weight(self)
    }
}

/// A preset in Rust.
trait Wire {
    /// What its payloads are cut into.
    type Item<'a>: Item;

    /// The items, as the mapping's `items` gives them; none where it is to be asked.
    fn items<'a>(payload: &Payload<'a>) -> Option<Vec<Self::Item<'a>>>;

    /// What the mapping's `touchpoints` makes of the item: one or nothing. None where it is to be asked.
    fn touchpoint(item: &Self::Item<'_>, maker: &mut Maker<'_>) -> Option<Option<Touchpoint>>;
}

fn run<W: Wire>(payload: &Payload<'_>, maker: &mut Maker<'_>, take: &mut dyn FnMut(Made) -> bool) -> bool {
    // A line of canonical JSON has 1 MiB at most. Nothing is written longer than it came, but much of an item may be
    // written twice, and a text's escapes are not in its weight.
    const SMALL: usize = 200 * 1_024;
    const LIGHT: usize = 40 * 1_024;
    let Some(items) = W::items(payload) else { return false };
    for item in items {
        let is_light = payload.size <= SMALL || item.weight() <= LIGHT;
        let made = match is_light.then(|| W::touchpoint(&item, maker)).flatten() {
            Some(Some(touchpoint)) => Made::Touchpoint(touchpoint),
            Some(None) => Made::Nothing,
            None => Made::Declined(item.to_val()),
        };
        if !take(made) {
            break;
        }
    }
    true
}
