//! Watching the log: how far a group is behind, and waiting for whatever comes next.

use std::sync::Arc;
use std::time::Instant;

use super::Embedded;
use crate::{Error, Topic};

impl Embedded {
    /// How many records of each topic the group has not consumed, over all partitions, as of one moment: where all are
    /// 0 the group has nothing to do. A topic that it never read counts whole.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTopic`].
    pub fn lag(&self, group: &str, topics: &[Topic]) -> Result<Vec<u64>, Error> {
        let group = Arc::<str>::from(group);
        let catalogue = &self.shared.catalogue;
        let lanes = |topic: &Topic| {
            let partitions = catalogue.entry(topic)?.partitions;
            (0..partitions).map(|partition| catalogue.lane_index(topic, partition)).collect::<Result<Vec<_>, _>>()
        };
        let lanes = topics.iter().map(lanes).collect::<Result<Vec<_>, _>>()?;
        let pages = self.shared.ledger.pages();
        let behind = |lane: &usize| {
            let bounds = pages.bounds[*lane];
            let next = pages.positions.get(&(Arc::clone(&group), *lane)).copied();
            bounds.end.saturating_sub(next.unwrap_or_default().max(bounds.start))
        };
        Ok(lanes.iter().map(|lanes| lanes.iter().map(behind).sum()).collect())
    }

    /// A mark of all that is published, to wait from: take it before looking, and nothing is missed.
    pub fn mark(&self) -> u64 {
        self.shared.ledger.mark()
    }

    /// Waits until something is published after the mark, to any topic. False where the deadline came first.
    pub fn wait_past(&self, mark: u64, deadline: Instant) -> bool {
        self.shared.ledger.wait_past(mark, deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::tests::{Fixture, append};
    use crate::{Budget, Log, Polled, Position, Producer, Topic, Transaction};

    const EVENTS: Topic = Topic::constant("events");

    #[test]
    fn lag_is_what_a_group_has_not_committed() {
        let fixture = Fixture::new();
        let log = fixture.open();
        let mark = log.mark();
        assert!(!log.wait_past(mark, Instant::now()));
        log.append(vec![append(&EVENTS, 0, "a", "1"), append(&EVENTS, 0, "b", "2")]).expect("appended");
        assert!(log.wait_past(mark, Instant::now()));
        assert_eq!(log.lag("group", &[EVENTS]).expect("a topic"), [2]);
        let mut worker = log.worker("group", &[EVENTS], &[0]).expect("a worker");
        while !matches!(worker.poll(Budget::records(1)).expect("polled"), Polled::Records(_)) {}
        let inputs = vec![Position { topic: EVENTS, partition: 0, next: 1 }];
        worker.commit(Transaction { inputs, ..Transaction::default() }).expect("committed");
        assert_eq!(log.lag("group", &[EVENTS]).expect("a topic"), [1]);
    }
}
