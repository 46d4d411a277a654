//! The simulation: the real stitcher on the simulated log, seeded, in one thread and without a clock, held against
//! oracles.
//!
//! A seed draws a policy, a hostile stream, and everything that goes wrong: copies, delays, commits whose answer is
//! lost, workers that die at any step, partitions that move, zombies that commit late, disks that are lost. When all of
//! it is in and the workers have come to rest, persons, ids and profiles must be those of the batch, whoever followed
//! the topics must have come to the same, and the state must be what the changelog says.
//!
//! What this crate is not: it simulates no Kafka beyond what `musubi_log::simulated` keeps to, no slow disk and no
//! corrupt one.

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
