//! Everything about a run that its seed decides before the first step.

use std::fmt;
use std::sync::Arc;

use musubi_core::identifier::DeploymentKey;
use musubi_core::policy::Policy;
use musubi_log::simulated::Faults;
use musubi_stitcher::{Capacity, Options as MachineOptions};

use crate::Options;
use crate::arrivals::{Arrival, Tongue};
use crate::dice::Dice;
use crate::policies;

/// A run to be.
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) policy: Arc<Policy>,
    pub(crate) deployment: DeploymentKey,
    pub(crate) partitions: u32,
    pub(crate) workers: usize,
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) faults: Faults,
    pub(crate) troubles: Troubles,
    pub(crate) machine: MachineOptions,
    /// The most records that a worker reads at once.
    pub(crate) greed: u32,
    /// Whether the workers keep their state in RocksDB.
    pub(crate) real_disks: bool,
    /// For all that is drawn on the way.
    pub(crate) dice: Dice,
}

/// What the driver does to the workers, and how often in a thousand turns (or records, where they go astray).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Troubles {
    /// A worker dies in its turn.
    pub(crate) deaths: u32,
    /// Of the dead, how many leave no disk behind.
    pub(crate) lost_disks: u32,
    /// A partition goes to another worker.
    pub(crate) moves: u32,
    /// A worker's partitions go to others between its poll and its commit.
    pub(crate) robberies: u32,
    /// Records that come in at a partition that does not own them.
    pub(crate) astray: u32,
}

impl Scenario {
    /// The scenario of a seed.
    pub(crate) fn draw(seed: u64, options: &Options) -> Self {
        let mut dice = Dice::new(seed);
        let ruled = policies::draw(&mut dice);
        let tongue = Tongue::draw(&mut dice, ruled.namespaces);
        let arrivals = tongue.arrivals(&mut dice);
        let troubles = troubles(&mut dice);
        let faults = if troubles.deaths == 0 && dice.happens(300) { Faults::NONE } else { faults(&mut dice) };
        Self {
            seed,
            policy: ruled.policy,
            deployment: DeploymentKey::derive(b"simulation"),
            partitions: dice.between(1, 8),
            workers: 1 + dice.index(3),
            arrivals,
            faults,
            troubles,
            machine: machine(&mut dice),
            greed: *dice.pick(&[1, 3, 10, 10, 100]),
            real_disks: options.rocks > 0 && seed.is_multiple_of(options.rocks.into()),
            dice,
        }
    }
}

fn troubles(dice: &mut Dice) -> Troubles {
    if dice.happens(200) {
        return Troubles { astray: 100, ..Troubles::default() };
    }
    Troubles {
        deaths: *dice.pick(&[0, 20, 60, 150]),
        lost_disks: *dice.pick(&[0, 300, 1_000]),
        moves: *dice.pick(&[0, 30, 100, 300]),
        robberies: *dice.pick(&[0, 30, 100]),
        astray: *dice.pick(&[0, 100, 500]),
    }
}

fn faults(dice: &mut Dice) -> Faults {
    let delay_ticks = *dice.pick(&[0, 2, 6, 30]);
    Faults { delay_ticks, unknown: *dice.pick(&[0, 50, 200]), ..Faults::HOSTILE }
}

/// Now and then nearly nothing is remembered between steps, so that everything is read from the store again.
fn machine(dice: &mut Dice) -> MachineOptions {
    let tiny = Capacity { clusters: 2, parents: 2 };
    let capacity = if dice.happens(400) { tiny } else { Capacity::default() };
    MachineOptions { capacity, ..MachineOptions::default() }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disks = if self.real_disks { "RocksDB" } else { "memory" };
        write!(
            f,
            "{} arrivals, {} partitions, {} workers with their state in {disks}, {} namespaces; {:?}; {:?}",
            self.arrivals.len(),
            self.partitions,
            self.workers,
            self.policy.namespaces.len(),
            self.faults,
            self.troubles,
        )
    }
}
