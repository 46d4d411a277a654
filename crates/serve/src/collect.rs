//! The collector: items of a body become records of the log, or of the quarantine, and are durable before anybody hears
//! that they were taken.

use std::cell::RefCell;
use std::time::Instant;

use musubi_core::time::Timestamp;
use musubi_core::touchpoint::Touchpoint;
use musubi_log::Append;
use musubi_schema::{Malformed, Parser, Quarantined, avro};
use musubi_stitcher::topics::{QUARANTINE, TOUCHPOINTS, partition_of};
use serde::Serialize;

use crate::clock;
use crate::directives;
use crate::entrance::Entrance;
use crate::metrics::Metrics;
use crate::problem::Problem;

thread_local! {
    /// A parser remembers the names that senders use, so each thread keeps one.
    static PARSER: RefCell<Parser> = RefCell::new(Parser::new());
}

/// What became of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Receipt {
    /// Items that are in the log.
    pub(crate) accepted: usize,
    /// Items that are in the quarantine.
    pub(crate) quarantined: usize,
    /// Which those are, and why.
    pub(crate) rejected: Vec<Rejected>,
}

/// An item that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Rejected {
    /// Its place in the body, from 0.
    pub(crate) index: usize,
    /// Why, in one of a few words.
    pub(crate) reason: &'static str,
    /// Why, for a person to read.
    pub(crate) detail: String,
}

/// Why an item is set aside, and whose it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Aside {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
    pub(crate) source: Option<String>,
    pub(crate) event_id: Option<String>,
}

/// Why an item is no record of its topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is set aside, and the others go on.
    Aside(Aside),
    /// Something of ours failed: nothing of the body is taken.
    Failed(Problem),
}

impl From<Aside> for Refusal {
    fn from(aside: Aside) -> Self {
        Self::Aside(aside)
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        let Malformed { reason, detail, source, event_id } = malformed;
        Self::Aside(Aside { reason, detail, source, event_id })
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

/// Which door a body came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Events of sources.
    Touchpoints,
    /// Words of operators.
    Directives,
}

/// Takes the items of a body in, all in one append.
pub(crate) fn take_in(entrance: &Entrance, metrics: &Metrics, door: Door, items: &[&[u8]]) -> Result<Receipt, Problem> {
    let now = clock::now();
    let mut receipt = Receipt::default();
    let mut appends = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let read = PARSER.with_borrow_mut(|parser| match door {
            Door::Touchpoints => touchpoint(entrance, parser, item, now).map(|append| vec![append]),
            Door::Directives => directives::appends(entrance, parser, item, now),
        });
        match read {
            Ok(taken) => {
                receipt.accepted += 1;
                appends.extend(taken);
            }
            Err(Refusal::Failed(problem)) => return Err(problem),
            Err(Refusal::Aside(aside)) => {
                appends.push(quarantine(entrance, &aside, item, now)?);
                receipt.quarantined += 1;
                receipt.rejected.push(Rejected { index, reason: aside.reason, detail: aside.detail });
            }
        }
    }
    let started = Instant::now();
    entrance.log.append(appends)?;
    metrics.appended(started.elapsed());
    receipt.rejected.iter().for_each(|rejected| metrics.quarantined(rejected.reason, 1));
    if door == Door::Touchpoints {
        metrics.touchpoints("accepted", receipt.accepted as u64);
    }
    Ok(receipt)
}

/// The record of a touchpoint, keyed by its strongest identifier and stamped with its receipt where nobody did so.
fn touchpoint(entrance: &Entrance, parser: &mut Parser, item: &[u8], now: Timestamp) -> Result<Append, Refusal> {
    let mut touchpoint = parser.parse_touchpoint(item)?;
    touchpoint.received_at.get_or_insert(now);
    append(entrance, &touchpoint, now)
}

/// The record of a touchpoint that has its time of receipt.
pub(crate) fn append(entrance: &Entrance, touchpoint: &Touchpoint, now: Timestamp) -> Result<Append, Refusal> {
    let identifiers = entrance.policy.identify(touchpoint, &entrance.key).map_err(|rejection| Aside {
        reason: rejection.reason(),
        detail: format!("of {} identifiers sent", touchpoint.identifiers.len()),
        source: Some(touchpoint.source.as_ref().to_owned()),
        event_id: Some(touchpoint.event_id.as_ref().to_owned()),
    })?;
    let strongest = &identifiers.kept[0];
    let record = entrance.record(strongest.text(), &avro::Record::Touchpoint(touchpoint), now)?;
    Ok(Append { topic: TOUCHPOINTS, partition: strongest.owner(entrance.partitions), record })
}

fn quarantine(entrance: &Entrance, aside: &Aside, item: &[u8], now: Timestamp) -> Result<Append, Problem> {
    let key = aside.source.as_deref().unwrap_or_default();
    let quarantined = Quarantined {
        source: aside.source.as_deref(),
        event_id: aside.event_id.as_deref(),
        reason: aside.reason,
        detail: &aside.detail,
        file: None,
        line: None,
        original: item,
        envelope: None,
    };
    let record = entrance.record(key, &avro::Record::Quarantined(&quarantined), now)?;
    Ok(Append { topic: QUARANTINE, partition: partition_of(key, entrance.partitions), record })
}
