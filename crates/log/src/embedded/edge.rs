//! Group commit: many threads append, one of them writes for all, and one fsync answers them all.
//!
//! Whoever arrives while nobody leads becomes the leader, takes everything that waits, writes it as one batch (records
//! of several callers share chunks), asks for one fsync, and wakes the others. Those who arrive meanwhile are the next
//! group, so groups grow by themselves as the disk gets slower. The fsync is asked for after the write and not as part
//! of it: workers' commits then need not wait for the disk behind it.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rocksdb::WriteBatch;

use super::Shared;
use super::settings::Durability;
use crate::{Append, Error, Offset};

type Outcome = Result<Vec<Offset>, Error>;

/// How well appends share their fsyncs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupCommits {
    /// Calls of append that were written.
    pub appends: u64,
    /// Groups they were written in: one write and one fsync each.
    pub groups: u64,
}

/// Those who wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Edge {
    queue: Mutex<Queue>,
    answered: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<(u64, Vec<Append>)>,
    answers: BTreeMap<u64, Outcome>,
    next_ticket: u64,
    led: bool,
    counts: GroupCommits,
}

impl Edge {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> GroupCommits {
        self.queue().counts
    }
}

impl Shared {
    /// Appends as part of a group; returns when the group is durable.
    pub(crate) fn append(&self, appends: Vec<Append>) -> Outcome {
        // Refused alone, before it can spoil a group.
        for append in &appends {
            self.catalogue.accept(append)?;
        }
        if appends.is_empty() {
            return Ok(Vec::new());
        }
        let mut queue = self.edge.queue();
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        queue.waiting.push((ticket, appends));
        loop {
            if let Some(answer) = queue.answers.remove(&ticket) {
                return answer;
            }
            queue = if queue.led {
                self.edge.answered.wait(queue).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.lead(queue)
            };
        }
    }

    fn lead<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        queue.led = true;
        let group = std::mem::take(&mut queue.waiting);
        drop(queue);
        let outcome = self.append_group(&group);
        let mut queue = self.edge.queue();
        queue.led = false;
        queue.counts.groups += 1;
        queue.counts.appends += group.len() as u64;
        let mut offsets = outcome.map(Vec::into_iter);
        for (ticket, appends) in group {
            let answer = offsets.as_mut().map(|offsets| offsets.take(appends.len()).collect());
            queue.answers.insert(ticket, answer.map_err(|error| error.clone()));
        }
        self.edge.answered.notify_all();
        queue
    }

    fn append_group(&self, group: &[(u64, Vec<Append>)]) -> Outcome {
        let encoded = self.encode(group.iter().flat_map(|(_, appends)| appends))?;
        let reservation = self.ledger.reserve(encoded.wanted(), |_| Ok::<_, Error>(()))?;
        let offsets = encoded.offsets(&reservation);
        let mut batch = WriteBatch::default();
        self.add_chunks(&mut batch, encoded, &reservation)?;
        self.write(batch)?;
        drop(reservation);
        if self.durability != Durability::None {
            self.db.flush_wal(true)?;
        }
        Ok(offsets)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Fixture, append};
    use super::*;
    use crate::{Producer, Reader, Topic};

    const EVENTS: Topic = Topic::constant("events");

    #[test]
    fn those_who_wait_together_share_one_write() {
        let fixture = Fixture::new();
        let log = fixture.open();
        let edge = &log.shared.edge;
        edge.queue().led = true;
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    let log = &log;
                    scope.spawn(move || log.append(vec![append(&EVENTS, 0, &format!("{thread}"), "x")]))
                })
                .collect();
            while edge.queue().waiting.len() < 8 {
                std::thread::yield_now();
            }
            drop(log.shared.lead(edge.queue()));
            let mut offsets: Vec<_> =
                threads.into_iter().flat_map(|thread| thread.join().expect("no panic").expect("written")).collect();
            offsets.sort_unstable();
            assert_eq!(offsets, (0..8).collect::<Vec<_>>());
        });
        assert_eq!(log.group_commits(), GroupCommits { appends: 8, groups: 1 });
        assert_eq!(log.end_offset(&EVENTS, 0).expect("a topic"), 8);
    }
}
