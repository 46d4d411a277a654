//! Who may write where next, and what may be read: the log's bounds, positions and leases in memory.
//!
//! Writers take turns without waiting for each other's disk writes. A writer *reserves* the offsets of its chunks,
//! writes them (RocksDB inserts the batches of several threads at once), and *publishes* them in the order of
//! reservation, so that no reader sees an offset before all smaller ones can be seen. Were the offsets instead handed
//! out under a lock held over the write, the workers' state writes would queue behind each other.
//!
//! A crash between two such writes can leave the later without the earlier: the earlier never happened, its inputs are
//! read again, and its offsets stay empty, as after compaction.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::{Lease, Offset, Partition};

/// What is known of one lane.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    /// The first offset that retention has left.
    pub(crate) start: Offset,
    /// The offset after the last record that can be read.
    pub(crate) end: Offset,
    /// The offset that the next writer gets.
    pub(crate) reserved: Offset,
    /// The bytes of all chunks ever reserved.
    pub(crate) bytes: u64,
}

/// What the mutex guards.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// By lane index.
    pub(crate) bounds: Vec<Bounds>,
    /// Committed positions by group and lane index.
    pub(crate) positions: BTreeMap<(Arc<str>, usize), Offset>,
    generations: BTreeMap<(Arc<str>, Partition), u64>,
    next_ticket: u64,
    turn: u64,
}

impl Pages {
    /// Whether the group's partition is still on this lease.
    pub(crate) fn holds(&self, group: &Arc<str>, lease: Lease) -> bool {
        self.generations.get(&(group.clone(), lease.partition)) == Some(&lease.generation)
    }
}

/// The pages, and a bell that rings when something was published.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pages: Mutex<Pages>,
    published: Condvar,
}

/// The size of a chunk that wants its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) lane: usize,
    pub(crate) records: u32,
    pub(crate) bytes: usize,
}

/// The place of a chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The offset of its first record.
    pub(crate) first: Offset,
    /// The offset of its last record.
    pub(crate) last: Offset,
    /// The bytes ever appended to the lane before it.
    pub(crate) bytes_before: u64,
}

impl Ledger {
    /// A ledger that begins with what was found on disk.
    pub(crate) fn new(bounds: Vec<Bounds>, positions: BTreeMap<(Arc<str>, usize), Offset>) -> Self {
        Self { pages: Mutex::new(Pages { bounds, positions, ..Pages::default() }), published: Condvar::new() }
    }

    /// The pages. A thread that panicked left them whole: every change to them is made in one go.
    pub(crate) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a lane.
    pub(crate) fn bounds(&self, lane: usize) -> Bounds {
        self.pages().bounds[lane]
    }

    /// How many writers have published: a mark to wait from.
    pub(crate) fn mark(&self) -> u64 {
        self.pages().turn
    }

    /// Waits until somebody publishes after the mark. False where the deadline came first.
    pub(crate) fn wait_past(&self, mark: u64, deadline: Instant) -> bool {
        let mut pages = self.pages();
        while pages.turn == mark {
            let now = Instant::now();
            if now >= deadline {
                return false;
            }
            pages = self.published.wait_timeout(pages, deadline - now).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Gives the chunks their places, if `check` allows it.
    pub(crate) fn reserve<E>(
        &self,
        wanted: impl Iterator<Item = Wanted>,
        check: impl FnOnce(&Pages) -> Result<(), E>,
    ) -> Result<Reservation<'_>, E> {
        let mut pages = self.pages();
        check(&pages)?;
        let mut reservation = Reservation {
            ledger: self,
            ticket: pages.next_ticket,
            places: Vec::new(),
            ends: Vec::new(),
            positions: Vec::new(),
        };
        pages.next_ticket += 1;
        for chunk in wanted {
            let bounds = &mut pages.bounds[chunk.lane];
            let (first, bytes_before) = (bounds.reserved, bounds.bytes);
            bounds.reserved += u64::from(chunk.records);
            bounds.bytes += chunk.bytes as u64;
            reservation.places.push(Place { first, last: bounds.reserved - 1, bytes_before });
            reservation.ends.push((chunk.lane, bounds.reserved));
        }
        Ok(reservation)
    }

    /// Gives the partitions to a new holder. Returns once every commit under an older lease is done with, so that the
    /// positions read afterwards are final.
    pub(crate) fn lease(&self, group: &Arc<str>, partitions: &[Partition]) -> Vec<Lease> {
        let mut pages = self.pages();
        let leases = partitions.iter().map(|partition| {
            let generation = pages.generations.entry((group.clone(), *partition)).or_default();
            *generation += 1;
            Lease { partition: *partition, generation: *generation }
        });
        let leases = leases.collect();
        let target = pages.next_ticket;
        drop(self.published.wait_while(pages, |pages| pages.turn < target).unwrap_or_else(PoisonError::into_inner));
        leases
    }
}

/// A turn to write. When it is dropped, after the write or without one, its offsets are published in their turn.
pub(crate) struct Reservation<'a> {
    ledger: &'a Ledger,
    ticket: u64,
    places: Vec<Place>,
    ends: Vec<(usize, Offset)>,
    positions: Vec<((Arc<str>, usize), Offset)>,
}

impl Reservation<'_> {
    /// The places, in the order in which they were wanted.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// The write is done: publishes it, with these positions of the writer's group.
    pub(crate) fn publish(mut self, positions: Vec<((Arc<str>, usize), Offset)>) {
        self.positions = positions;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let published = &self.ledger.published;
        let pages = self.ledger.pages();
        let mut pages =
            published.wait_while(pages, |pages| pages.turn != self.ticket).unwrap_or_else(PoisonError::into_inner);
        for (lane, end) in &self.ends {
            pages.bounds[*lane].end = *end;
        }
        pages.positions.extend(self.positions.drain(..));
        pages.turn += 1;
        published.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn ledger() -> Ledger {
        Ledger::new(vec![Bounds::default()], BTreeMap::new())
    }

    fn reserve(ledger: &Ledger, records: u32) -> Reservation<'_> {
        let wanted = [Wanted { lane: 0, records, bytes: 10 }].into_iter();
        ledger.reserve(wanted, |_| Ok::<_, Infallible>(())).unwrap_or_else(|never| match never {})
    }

    #[test]
    fn an_offset_is_never_seen_before_a_smaller_one() {
        let ledger = ledger();
        let first = reserve(&ledger, 2);
        let second = reserve(&ledger, 3);
        assert_eq!((first.places()[0].last, second.places()[0].first, second.places()[0].last), (1, 2, 4));
        let (done, finished) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                second.publish(Vec::new());
                done.send(()).expect("the test listens");
            });
            assert!(finished.recv_timeout(Duration::from_millis(20)).is_err());
            assert_eq!(ledger.bounds(0).end, 0);
            first.publish(Vec::new());
            finished.recv().expect("the second follows the first");
            assert_eq!(ledger.bounds(0).end, 5);
        });
    }

    #[test]
    fn a_new_holder_waits_for_commits_under_the_old_lease() {
        let ledger = ledger();
        let group = Arc::<str>::from("stitch");
        let old = ledger.lease(&group, &[0])[0];
        let commit = reserve(&ledger, 1);
        let (done, finished) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let lease = ledger.lease(&group, &[0])[0];
                done.send((lease, ledger.pages().positions.clone())).expect("the test listens");
            });
            assert!(finished.recv_timeout(Duration::from_millis(20)).is_err());
            commit.publish(vec![((group.clone(), 0), 7)]);
            let (new, positions) = finished.recv().expect("the lease follows the commit");
            assert_eq!(positions[&(group.clone(), 0)], 7);
            assert!(!ledger.pages().holds(&group, old));
            assert!(ledger.pages().holds(&group, new));
        });
    }
}
