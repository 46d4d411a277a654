//! What a seed has in store for processes on the model of a cluster.

use std::fmt;

use musubi_log::model::{Faults, Times};

use crate::dice::Dice;

/// What sets the draws of this world apart from those of the other, which keep the stories that they were found with.
const APART: u64 = 0x6b61_666b_6100_0000;

/// What is done to processes, and how often in a thousand steps.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hardships {
    pub(crate) faults: Faults,
    pub(crate) times: Clocks,
    /// Processes, and the workers of each.
    pub(crate) processes: usize,
    pub(crate) workers: usize,
    pub(crate) standby: bool,
    /// A process dies in one of its next calls.
    pub(crate) deaths: u32,
    /// Of the dead, how many lose power, are damaged, or lose their disk.
    pub(crate) blows: [u32; 3],
    /// A process stands still, or its group hears nothing of it, for longer than a session.
    pub(crate) silences: u32,
    /// The group gives partitions away anew.
    pub(crate) rebalances: u32,
    /// The changelog is compacted, and what was read of the mesh is deleted.
    pub(crate) cleanings: u32,
    /// Batches that a disk holds before it flushes them.
    pub(crate) room: usize,
}

/// Times of the cluster, and those of the changelog that go with them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clocks {
    pub(crate) transaction_ms: u64,
    pub(crate) session_ms: u64,
    pub(crate) uncompacted_ms: u64,
    pub(crate) tombstones_ms: u64,
}

impl Clocks {
    pub(crate) const fn of_the_cluster(self) -> Times {
        Times { transaction_ms: self.transaction_ms, session_ms: self.session_ms }
    }
}

impl Hardships {
    /// Those of a seed, and the dice with which it goes on.
    pub(crate) fn draw(seed: u64) -> (Self, Dice) {
        let mut dice = Dice::new(seed ^ APART);
        let quiet = dice.happens(100);
        let treacherous = !quiet && dice.happens(150);
        let hardships = Self {
            faults: if quiet { Faults::NONE } else { faults(&mut dice, treacherous) },
            times: Clocks {
                transaction_ms: 10_000,
                session_ms: 6_000,
                uncompacted_ms: *dice.pick(&[5_000, 60_000]),
                tombstones_ms: *dice.pick(&[20_000, 600_000]),
            },
            processes: 1 + dice.index(3),
            workers: 1 + dice.index(2),
            standby: dice.happens(300),
            deaths: if quiet { 0 } else { *dice.pick(&[0, 5, 15]) },
            blows: *dice.pick(&[[0, 0, 0], [500, 0, 0], [400, 200, 200], [100, 100, 500]]),
            silences: if quiet { 0 } else { *dice.pick(&[0, 2, 5]) },
            rebalances: if quiet { 0 } else { *dice.pick(&[0, 5, 20]) },
            // What a torn batch looks like can be told for certain only where nothing was taken away.
            cleanings: if quiet || treacherous { 0 } else { *dice.pick(&[0, 10]) },
            room: *dice.pick(&[0, 3, 20, 1_000]),
        };
        (hardships, dice)
    }
}

fn faults(dice: &mut Dice, treacherous: bool) -> Faults {
    Faults {
        copies: *dice.pick(&[0, 100]),
        mark_lag_ms: *dice.pick(&[0, 20, 300, 3_000]),
        lost_ends: *dice.pick(&[0, 20, 100]),
        doubled_ends: *dice.pick(&[0, 50, 200]),
        unseen_ends: if treacherous { 300 } else { 0 },
        undelivered: *dice.pick(&[0, 0, 1, 5]),
        losses: *dice.pick(&[0, 0, 1]),
        slow_polls: *dice.pick(&[0, 50, 300]),
        interludes: *dice.pick(&[0, 20, 60, 120]),
    }
}

impl fmt::Display for Hardships {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processes, workers, standby, faults, times, .. } = self;
        let Self { deaths, blows, silences, rebalances, cleanings, room, .. } = self;
        write!(
            f,
            "{processes} processes of {workers} workers, standby: {standby}; {faults:?}; {times:?}; deaths: {deaths}, \
             blows: {blows:?}, silences: {silences}, rebalances: {rebalances}, cleanings: {cleanings}, room: {room}"
        )
    }
}
