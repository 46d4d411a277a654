//! A partitioned, transactional log of bytes.
//!
//! A worker reads the partitions that are its own, decides, and commits what it made of them as one transaction:
//! consumed positions, records for others, and writes to its own state ([`Log`]). The edge appends what comes from
//! outside ([`Producer`]); onlookers read what is committed ([`Reader`]). Three logs stand behind these traits:
//!
//! - [`embedded`]: durable, in RocksDB, one process, no server. State, outputs and positions go into one write.
//! - [`kafka`]: many processes and a cluster. State is written beside it, after the commit.
//! - [`simulated`]: in memory, seeded, single-threaded, and as unkind as the rules allow.
//!
//! And [`model`] is a cluster in memory beneath the log on Kafka, for simulations of that one.
//!
//! A worker's loop is the same on each:
//!
//! ```
//! use musubi_log::{Budget, CommitError, Committed, Error, Log, Polled, Transaction};
//!
//! fn turn(log: &mut dyn Log) -> Result<(), Error> {
//!     match log.poll(Budget::records(10_000))? {
//!         Polled::Assignment { lost, gained } => { /* drop the lost; restore the gained from `log.changelog` */ }
//!         Polled::Records(records) => match log.commit(decide(records)) {
//!             Ok(Committed::Applied) => {}
//!             Ok(Committed::Unapplied { state, changelog }) => { /* one batch: the state and the positions */ }
//!             Err(CommitError::Failed(error)) => return Err(error),
//!             Err(CommitError::Fenced { .. } | CommitError::Unknown { .. }) => {
//!                 log.rewind()?; // then bring every partition up to date from `log.changelog`
//!             }
//!         },
//!     }
//!     Ok(())
//! }
//! # fn decide(_: Vec<musubi_log::Delivery>) -> Transaction { Transaction::default() }
//! ```
//!
//! What this crate is not: it knows no touchpoint, no person and no wire format; it chooses no partition. Only [`kafka`]
//! starts threads.

pub mod embedded;
mod error;
mod failpoint;
pub mod kafka;
pub mod model;
mod mutations;
mod record;
#[cfg(feature = "sabotage")]
pub mod sabotage;
pub mod simulated;
mod traits;

pub use bytes::Bytes;

pub use error::{CommitError, Error};
pub use failpoint::failpoint;
pub use mutations::{Mutation, Mutations, Table};
pub use record::{Append, Delivery, Header, Offset, Partition, Record, Topic};
pub use traits::{Budget, Changes, Committed, Lease, Log, Polled, Position, Producer, Reader, Stretch, Transaction};
