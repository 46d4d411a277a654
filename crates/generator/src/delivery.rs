//! How touchpoints reach us: late, twice, by clocks that run ahead, and broken; in the order of their receipt.
//!
//! Lines wait in a ring ordered by the instant of delivery until the stream has reached it. The ring is bounded: when
//! it is full, what is due first leaves early. So the order of delivery is a rough one, as it is in life.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::calendar::{self, HOUR, MINUTE, SECOND};
use crate::dice::Dice;
use crate::draft::{Delivery, Draft, SOURCES, Source, write_event_id};
use crate::generator::Options;
use crate::json;
use crate::junk;
use crate::shapes::Rates;

/// Lines that may wait, about half a kilobyte each. A night's tills of a stream of 20 million lines fit.
const CAPACITY: usize = 65_536;

/// Whose a touchpoint is, as only the generator knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// The touchpoint's source.
    pub source: &'static str,
    /// The source's name of the event.
    pub event_id: String,
    /// The number of the real person; none where the touchpoint belongs to nobody, such as a kiosk that nobody signed
    /// in at, or a bot.
    pub person: Option<u64>,
}

impl Truth {
    /// The real person's name in truth files, such as `p-123`.
    pub fn person_name(&self) -> Option<String> {
        self.person.map(|number| format!("p-{number}"))
    }

    /// Writes `{"source":…,"event_id":…,"person":"p-123"}` without a line's end; the person of nobody is `null`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"source":"#);
        json::text(out, self.source);
        out.extend_from_slice(br#","event_id":"#);
        json::text(out, &self.event_id);
        match self.person {
            Some(number) => {
                out.extend_from_slice(br#","person":"p-"#);
                json::number(out, number);
                out.extend_from_slice(br#""}"#);
            }
            None => out.extend_from_slice(br#","person":null}"#),
        }
    }
}

/// What the line is that was just written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A touchpoint, delivered for the first time.
    Touchpoint(Truth),
    /// A touchpoint whose first delivery, and with it its truth, came before: the same bytes, or (hostile) others.
    Duplicate,
    /// No touchpoint at all: to be refused. It has no truth.
    Malformed,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Touchpoint { source: Source, number: u64, truth: Option<u64> },
    Duplicate,
    Malformed,
}

#[derive(Clone, Debug)]
struct Waiting {
    line: Vec<u8>,
    kind: Kind,
}

/// Everything written and not yet delivered.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    rates: &'static Rates,
    malformed: f64,
    limit: u64,
    repeat_next: bool,
    dice: Dice,
    due: BinaryHeap<Reverse<(i64, u64, u32)>>,
    waiting: Vec<Waiting>,
    free: Vec<u32>,
    counts: [u64; SOURCES],
    queued: u64,
    sent: u64,
}

impl Outbox {
    /// An empty outbox that takes as many touchpoints as the options ask for.
    pub(crate) fn new(rates: &'static Rates, options: &Options, dice: Dice) -> Self {
        Self {
            rates,
            malformed: options.malformed,
            limit: options.touchpoints,
            repeat_next: false,
            dice,
            due: BinaryHeap::new(),
            waiting: Vec::new(),
            free: Vec::new(),
            counts: [0; SOURCES],
            queued: 0,
            sent: 0,
        }
    }

    /// How many distinct touchpoints were put in so far.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Has the next touchpoint delivered twice, whatever chance says.
    pub(crate) const fn repeat_next(&mut self) {
        self.repeat_next = true;
    }

    /// Puts a finished touchpoint in, with everything that goes wrong on its way. What comes after the last touchpoint
    /// asked for is forgotten: the stream ends in the middle of somebody's visit.
    pub(crate) fn send(&mut self, draft: &mut Draft) {
        if self.sent >= self.limit {
            return;
        }
        let delivered = self.travel(draft);
        let number = self.next(draft.source);
        let kind = Kind::Touchpoint { source: draft.source, number, truth: draft.truth };
        let slot = self.queue(delivered, kind, |line| draft.write(number, line));
        self.sent += 1;
        if self.dice.chance(self.rates.duplicates) || std::mem::take(&mut self.repeat_next) {
            let again = self.again(delivered);
            let copy = std::mem::take(&mut self.waiting[slot as usize].line);
            self.queue(again, Kind::Duplicate, |line| line.extend_from_slice(&copy));
            self.waiting[slot as usize].line = copy;
        }
        if self.dice.chance(self.rates.conflicting_duplicates) {
            let again = self.again(delivered);
            draft.properties.flag("revised", true);
            self.queue(again, Kind::Duplicate, |line| draft.write(number, line));
        }
        if self.dice.chance(self.malformed) {
            // A broken line has an event id of its own, so that it is never taken for a copy of a good one.
            let number = self.next(draft.source);
            let slot = self.queue(delivered, Kind::Malformed, |line| draft.write(number, line));
            junk::break_line(&mut self.waiting[slot as usize].line, &mut self.dice);
        }
    }

    /// When a second delivery follows a first: within a sender's usual patience.
    fn again(&mut self, delivered: i64) -> i64 {
        delivered + self.dice.between(SECOND, 15 * MINUTE)
    }

    /// Decides when the touchpoint is received, and by which clock it happened; returns when it is delivered.
    fn travel(&mut self, draft: &mut Draft) -> i64 {
        let happened = draft.occurred;
        let dice = &mut self.dice;
        let received = match draft.source.delivery() {
            Delivery::Nightly => calendar::next_night(happened) + dice.between(0, 20 * MINUTE),
            Delivery::Polled => happened + dice.between(SECOND, 5 * MINUTE),
            Delivery::Live if draft.source.app() && dice.chance(self.rates.offline) => {
                happened + dice.between(20 * MINUTE, 12 * HOUR)
            }
            Delivery::Live | Delivery::Unnoted => happened + dice.between(40, 1_500),
        };
        if draft.source.customers_clock() && dice.chance(self.rates.fast_clocks) {
            draft.occurred = received + dice.between(MINUTE, 5 * HOUR);
        }
        draft.received = (draft.source.delivery() != Delivery::Unnoted).then_some(received);
        received
    }

    fn next(&mut self, source: Source) -> u64 {
        let count = &mut self.counts[source as usize];
        *count += 1;
        *count
    }

    fn queue(&mut self, due: i64, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.waiting.push(Waiting { line: Vec::new(), kind });
            u32::try_from(self.waiting.len() - 1).expect("the ring is bounded")
        });
        let waiting = &mut self.waiting[slot as usize];
        waiting.kind = kind;
        waiting.line.clear();
        write(&mut waiting.line);
        self.due.push(Reverse((due, self.queued, slot)));
        self.queued += 1;
        slot
    }

    /// Delivers into `line` what is due at `now`, or what is due first where the ring is full.
    pub(crate) fn deliver(&mut self, now: i64, line: &mut Vec<u8>) -> Option<Line> {
        let &Reverse((due, _, slot)) = self.due.peek()?;
        if due > now && self.due.len() <= CAPACITY {
            return None;
        }
        self.due.pop();
        self.free.push(slot);
        let waiting = &self.waiting[slot as usize];
        line.clear();
        line.extend_from_slice(&waiting.line);
        Some(match waiting.kind {
            Kind::Touchpoint { source, number, truth } => {
                Line::Touchpoint(Truth { source: source.name(), event_id: event_id(source, number), person: truth })
            }
            Kind::Duplicate => Line::Duplicate,
            Kind::Malformed => Line::Malformed,
        })
    }
}

fn event_id(source: Source, number: u64) -> String {
    let mut id = Vec::with_capacity(16);
    write_event_id(source, number, &mut id);
    String::from_utf8(id).expect("a prefix and digits are ASCII")
}
