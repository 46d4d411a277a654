//! A hostile stream, drawn from a seed: few values and many meetings, ties, clocks that run ahead and behind, junk,
//! copies, and operators who change their minds.

use std::sync::Arc;

use musubi_core::directive::{Directive, Order};
use musubi_core::time::Timestamp;
use musubi_core::touchpoint::Touchpoint;
use musubi_core::value::Value;

use crate::dice::Dice;

/// 2026-04-01T00:00:00Z in microseconds: when it all begins.
const START: i64 = 1_775_001_600_000_000;
/// Instants of touchpoints are even and those of directives odd. So a copy that is received one later is on the same
/// side of every erasure, and which of the two came first decides nothing.
const TICK: i64 = 2;

/// How many seeds in a thousand are floods: long, little is said of few, and at the end these meet. So clusters are heavy
/// when they move, and travel in several pieces.
const FLOODS: u32 = 1;
const FLOOD: u32 = 5_000;
/// The last arrivals of a flood, in which its identifiers meet.
const EBB: u32 = 20;

/// What comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// An event from a source.
    Touchpoint(Touchpoint),
    /// An operator's word.
    Directive(Directive),
    /// Bytes that are nothing at all, on the topic of touchpoints.
    Noise(Vec<u8>),
}

/// What may be said in one seed.
pub(crate) struct Tongue {
    namespaces: Vec<Arc<str>>,
    /// How many values a namespace has.
    values: u32,
    /// How many identifiers a touchpoint names at most.
    most: u32,
    /// How many instants there are: few make ties.
    instants: u32,
    /// How many arrivals in a thousand are directives.
    directives: u32,
    /// Whether it is a flood.
    flood: bool,
    /// Whether copies with other content come in.
    contradicts: bool,
}

impl Tongue {
    /// A way of speaking.
    pub(crate) fn draw(dice: &mut Dice, namespaces: Vec<Arc<str>>) -> Self {
        let flood = dice.happens(FLOODS);
        Self {
            namespaces,
            values: if flood { 2 } else { *dice.pick(&[2, 3, 4, 4, 6, 12]) },
            most: *dice.pick(&[2, 3, 4, 4, 8]),
            instants: *dice.pick(&[3, 12, 30, 30, 200]),
            directives: if flood { 0 } else { *dice.pick(&[0, 0, 100, 200, 400]) },
            flood,
            contradicts: dice.happens(150),
        }
    }

    /// Everything that comes in, each as often as it is sent.
    pub(crate) fn arrivals(&self, dice: &mut Dice) -> Vec<Arrival> {
        let many = if self.flood { FLOOD } else { *dice.pick(&[3, 8, 16, 24, 24, 40, 60]) };
        let mut arrivals: Vec<Arrival> = (0..many).map(|number| self.arrival(dice, number)).collect();
        let copies: Vec<Arrival> =
            arrivals.iter().filter_map(|arrival| dice.happens(200).then(|| self.copy(dice, arrival))).collect();
        for copy in copies {
            arrivals.insert(dice.index(arrivals.len() + 1), copy);
        }
        arrivals
    }

    fn arrival(&self, dice: &mut Dice, number: u32) -> Arrival {
        if dice.happens(10) {
            return Arrival::Noise(vec![0xc3, 0x01, u8::try_from(number % 256).expect("below 256")]);
        }
        if dice.happens(self.directives) {
            return Arrival::Directive(self.directive(dice, number));
        }
        Arrival::Touchpoint(self.touchpoint(dice, number))
    }

    /// The same again: to the letter, received later, or saying something else under the same name.
    fn copy(&self, dice: &mut Dice, arrival: &Arrival) -> Arrival {
        let mut copy = arrival.clone();
        if let Arrival::Touchpoint(touchpoint) = &mut copy {
            if self.contradicts && dice.happens(400) {
                touchpoint.traits = vec![("name".into(), Value::text("another"))];
            } else if touchpoint.received_at.is_some_and(|received| received >= touchpoint.occurred_at) {
                let later = |received: Timestamp| Timestamp::from_micros(received.as_micros() + 1);
                touchpoint.received_at = touchpoint.received_at.map(later);
            }
        }
        copy
    }

    fn touchpoint(&self, dice: &mut Dice, number: u32) -> Touchpoint {
        let rising = self.flood && number + EBB < FLOOD;
        let many = if rising { 1 } else { dice.between(1, self.most) };
        let total = dice.below(5);
        let household = dice.happens(100).then(|| format!("h{}", dice.below(3)).into());
        Touchpoint {
            source: (*dice.pick(&["till", "site"])).into(),
            event_id: format!("e{number}").into(),
            channel: (*dice.pick(&["web", "store", "phone"])).into(),
            kind: "order_completed".into(),
            occurred_at: self.instant(dice, 0),
            received_at: dice.happens(700).then(|| self.instant(dice, 0)),
            identifiers: (0..many).map(|_| self.identifier(dice)).collect(),
            traits: vec![("name".into(), Value::text(&format!("n{}", dice.below(5))))],
            properties: vec![("total".into(), Value::Number(i64::from(total).into()))],
            consent: if dice.happens(300) { vec![("mail".into(), dice.happens(500))] } else { Vec::new() },
            household,
            account: None,
        }
    }

    fn directive(&self, dice: &mut Dice, number: u32) -> Directive {
        let one = self.identifier(dice);
        let order = match dice.below(8) {
            0 | 1 => Order::Link([one.clone(), self.other(dice, &one)]),
            2 | 3 => Order::Unlink([one.clone(), self.other(dice, &one)]),
            4 => Order::Block(one),
            5 => Order::Unblock(one),
            6 => Order::Consent(one, vec![("mail".into(), dice.happens(500))]),
            _ => Order::Erase(one),
        };
        Directive { source: "ops".into(), directive_id: format!("d{number}").into(), at: self.instant(dice, 1), order }
    }

    fn other(&self, dice: &mut Dice, one: &(Arc<str>, Arc<str>)) -> (Arc<str>, Arc<str>) {
        let other = self.identifier(dice);
        if other == *one { (Arc::clone(&one.0), format!("v{}", self.values).into()) } else { other }
    }

    fn instant(&self, dice: &mut Dice, odd: i64) -> Timestamp {
        Timestamp::from_micros(START + TICK * i64::from(dice.below(self.instants)) + odd)
    }

    fn identifier(&self, dice: &mut Dice) -> (Arc<str>, Arc<str>) {
        let known = if self.flood { self.namespaces.len().min(2) } else { self.namespaces.len() };
        let namespace = Arc::clone(dice.pick(&self.namespaces[..known]));
        let number = dice.below(self.values);
        let value = match (namespace.as_ref(), dice.happens(10)) {
            (_, true) => "junk".to_owned(),
            ("email", false) => format!("v{number}@post.jp"),
            ("phone", false) => format!("090-1234-56{:02}", number + 10),
            (_, false) => format!("v{number}"),
        };
        (namespace, value.into())
    }
}
