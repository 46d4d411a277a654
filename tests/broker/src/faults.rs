//! What a test can make go wrong, by handle or by a line of text.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;

use crate::housekeeping::{self, Reach};
use crate::node::{Node, lock};

/// What becomes of the records and decisions since the last sync, when the broker restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// As after `kill -9`: the operating system has them.
    Keep,
    /// As after a power cut.
    Lose,
}

/// The faults that are planned. The request path asks it; the handle writes it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    marker_lag: Duration,
    end_delay: Option<(Duration, u32)>,
    end_copy: Option<(Duration, u32)>,
    refusals: HashMap<i16, (ResponseError, u32)>,
    coordinators: Option<(ResponseError, u32)>,
    lost_answers: HashMap<i16, u32>,
    fetch_delay: Duration,
    topics_late: Duration,
    syncs_held: bool,
    down_until: Option<Instant>,
}

/// Uses one of a number of times.
fn take<T: Copy>(planned: &mut Option<(T, u32)>) -> Option<T> {
    let (value, times) = planned.as_mut().filter(|(_, times)| *times > 0)?;
    *times -= 1;
    Some(*value)
}

/// The requests that go to a coordinator.
fn is_for_coordinator(api: ApiKey) -> bool {
    use ApiKey::*;
    matches!(api, OffsetCommit | OffsetFetch | JoinGroup | SyncGroup | Heartbeat | LeaveGroup | DescribeGroups)
        || matches!(api, InitProducerId | AddPartitionsToTxn | AddOffsetsToTxn | TxnOffsetCommit | EndTxn)
}

impl Plan {
    pub(crate) fn marker_lag(&self) -> Duration {
        self.marker_lag
    }

    pub(crate) fn fetch_delay(&self) -> Duration {
        self.fetch_delay
    }

    pub(crate) fn topics_late(&self) -> Duration {
        self.topics_late
    }

    pub(crate) fn syncs_held(&self) -> bool {
        self.syncs_held
    }

    pub(crate) fn is_down(&self) -> bool {
        self.down_until.is_some_and(|until| Instant::now() < until)
    }

    /// How late the next `EndTxn` is applied, and when a copy of it is applied again.
    pub(crate) fn end_of_transaction(&mut self) -> (Option<Duration>, Option<Duration>) {
        (take(&mut self.end_delay), take(&mut self.end_copy))
    }

    /// The error that the next request of that kind is to get.
    pub(crate) fn refusal(&mut self, api: ApiKey) -> Option<ResponseError> {
        if let Some((error, times)) = self.refusals.get_mut(&(api as i16)).filter(|(_, times)| *times > 0) {
            *times -= 1;
            return Some(*error);
        }
        is_for_coordinator(api).then(|| take(&mut self.coordinators)).flatten()
    }

    /// Whether the next request of that kind is carried out and not answered.
    pub(crate) fn loses_answer(&mut self, api: ApiKey) -> bool {
        let left = self.lost_answers.get_mut(&(api as i16)).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    }
}

/// The handle by which a test makes the broker fail.
#[derive(Clone)]
pub struct Faults(pub(crate) Arc<Node>);

impl Faults {
    fn plan(&self, change: impl FnOnce(&mut Plan)) {
        change(&mut lock(&self.0.plan));
    }

    /// The next so many `EndTxn` are applied and answered that much later, even if their connection is gone by then.
    pub fn delay_end_txn(&self, by: Duration, times: u32) {
        self.plan(|plan| plan.end_delay = Some((by, times)));
    }

    /// The next so many `EndTxn` are applied as usual, and once more after that time, whatever runs then: the stale copy
    /// of a retried request.
    pub fn double_end_txn(&self, after: Duration, times: u32) {
        self.plan(|plan| plan.end_copy = Some((after, times)));
    }

    /// From now on markers are written that much after the end of a transaction was decided and answered.
    pub fn lag_markers(&self, by: Duration) {
        self.plan(|plan| plan.marker_lag = by);
    }

    /// The next so many requests to a coordinator find it loading.
    pub fn load_coordinators(&self, requests: u32) {
        self.plan(|plan| plan.coordinators = Some((ResponseError::CoordinatorLoadInProgress, requests)));
    }

    /// The next so many requests to a coordinator find that it has moved.
    pub fn move_coordinators(&self, requests: u32) {
        self.plan(|plan| plan.coordinators = Some((ResponseError::NotCoordinator, requests)));
    }

    /// The next so many requests of that kind are not carried out and get that error.
    pub fn refuse(&self, api: ApiKey, error: ResponseError, times: u32) {
        self.plan(|plan| {
            plan.refusals.insert(api as i16, (error, times));
        });
    }

    /// The next so many requests of that kind are carried out; instead of the answer the connection closes.
    pub fn lose_answers(&self, api: ApiKey, times: u32) {
        self.plan(|plan| {
            plan.lost_answers.insert(api as i16, times);
        });
    }

    /// From now on every fetch waits that long first.
    pub fn slow_fetches(&self, by: Duration) {
        self.plan(|plan| plan.fetch_delay = by);
    }

    /// From now on a new topic is shown that much after it was made and answered for, as by a broker that hears of it from
    /// the controller.
    pub fn show_topics_late(&self, by: Duration) {
        self.plan(|plan| plan.topics_late = by);
    }

    /// Closes every connection.
    pub fn cut_connections(&self) {
        self.0.cut();
    }

    /// Nothing becomes safe by itself any more, or does again.
    pub fn hold_syncs(&self, hold: bool) {
        self.plan(|plan| plan.syncs_held = hold);
    }

    /// What was written so far is safe from a restart that loses.
    pub fn sync(&self) {
        self.0.sync();
    }

    /// Restarts the broker in place: connections close, it serves nobody for that long, and comes back with what it has.
    pub fn restart(&self, tail: Tail, down: Duration) {
        self.plan(|plan| plan.down_until = Some(Instant::now() + down));
        self.0.restart(tail == Tail::Lose);
    }

    /// Compacts the topic up to its last stable offset. False if there is no such topic, or it cannot be read.
    pub fn compact(&self, topic: &str) -> bool {
        self.0.topic(topic).and_then(|topic| housekeeping::clean(&self.0, &topic, Reach::All)).is_ok()
    }

    /// Applies the topic's retention now. False if there is no such topic.
    pub fn expire(&self, topic: &str) -> bool {
        self.0.topic(topic).map(|topic| housekeeping::expire(&self.0, &topic)).is_ok()
    }

    /// Ends every fault that is planned.
    pub fn clear(&self) {
        self.plan(|plan| *plan = Plan::default());
    }

    /// Applies a fault from a line of text: see the crate's documentation for the words.
    ///
    /// # Errors
    /// A sentence about what was wanted, if the line is not a fault.
    pub fn command(&self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words.as_slice() {
            ["delay-end-txn", by, times] => self.delay_end_txn(millis(by)?, number(times)?),
            ["double-end-txn", after, times] => self.double_end_txn(millis(after)?, number(times)?),
            ["lag-markers", by] => self.lag_markers(millis(by)?),
            ["load-coordinators", times] => self.load_coordinators(number(times)?),
            ["move-coordinators", times] => self.move_coordinators(number(times)?),
            ["refuse", name, what, times] => self.refuse(api(name)?, error(what)?, number(times)?),
            ["lose-answers", name, times] => self.lose_answers(api(name)?, number(times)?),
            ["slow-fetches", by] => self.slow_fetches(millis(by)?),
            ["show-topics-late", by] => self.show_topics_late(millis(by)?),
            ["cut-connections"] => self.cut_connections(),
            ["hold-syncs", "on"] => self.hold_syncs(true),
            ["hold-syncs", "off"] => self.hold_syncs(false),
            ["sync"] => self.sync(),
            ["restart", "keep", down] => self.restart(Tail::Keep, millis(down)?),
            ["restart", "lose", down] => self.restart(Tail::Lose, millis(down)?),
            ["compact", topic] => {
                self.compact(topic).then_some(()).ok_or(format!("topic `{topic}` cannot be compacted"))?
            }
            ["expire", topic] => self.expire(topic).then_some(()).ok_or(format!("no topic `{topic}`"))?,
            ["clear"] => self.clear(),
            _ => return Err(format!("wanted a fault, found `{line}`")),
        }
        Ok(())
    }
}

fn number(word: &str) -> Result<u32, String> {
    word.parse().map_err(|_| format!("wanted a number, found `{word}`"))
}

fn millis(word: &str) -> Result<Duration, String> {
    number(word).map(|millis| Duration::from_millis(millis.into()))
}

/// A kind of request by its name in Kafka's protocol (`EndTxn`).
fn api(word: &str) -> Result<ApiKey, String> {
    let named = ApiKey::iter().find(|api| format!("{api:?}").eq_ignore_ascii_case(word));
    named.ok_or_else(|| format!("wanted the name of a request as `EndTxn`, found `{word}`"))
}

/// An error by its name in Kafka's protocol (`NOT_COORDINATOR`).
fn error(word: &str) -> Result<ResponseError, String> {
    let word = word.replace('_', "");
    let known = (-1..=133).filter_map(ResponseError::try_from_code);
    let mut named = known.filter(|error| error.to_string().eq_ignore_ascii_case(&word));
    named.next().ok_or_else(|| format!("wanted the name of an error as `NOT_COORDINATOR`, found `{word}`"))
}
