//! The simulation: the real stitcher, seeded, in one thread and without a clock, held against oracles, in two worlds.
//!
//! A seed draws a policy, a hostile stream, and everything that goes wrong. In the **gentle** world the log is one in
//! memory that keeps to what any log promises (`musubi_log::simulated`): copies, delays, commits whose answer is lost,
//! workers that die at any step, partitions that move, zombies that commit late, disks that are lost. In the world of
//! **Kafka** the log is the one that ships, to the last decision, on a model of a cluster (`musubi_log::model`): a part of
//! a process moves at a time, and others in the midst of its calls. Beneath it is a store that loses what was not
//! flushed, and may be found damaged.
//!
//! When all of it is in and the workers have come to rest, persons, ids and profiles must be those of the batch, whoever
//! followed the topics must have come to the same, and the state must be what the changelog says; in the world of Kafka
//! also what the footers cover, where everybody stands, whether anything is open, and what became of every record.
//!
//! What this crate is not: it has no brokers that fail, no slow disk, and of damaged files only that they are found to be
//! so: `musubi-store` tries that on real ones.

mod arrivals;
#[cfg(feature = "sabotage")]
mod bug;
mod checks;
mod consumer;
mod dice;
mod disk;
mod driver;
mod failure;
mod footers;
mod hardships;
mod mishap;
mod policies;
mod rest;
mod scenario;
mod seeds;
mod simulate;
mod stage;
mod story;

#[cfg(feature = "sabotage")]
pub use bug::Bug;

pub(crate) use failure::Failed;
pub use failure::Failure;
pub use seeds::{Progress, Summary, run_seeds};
pub use simulate::{Options, Report, World, simulate};
