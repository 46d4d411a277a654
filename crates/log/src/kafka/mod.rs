//! The log on Apache Kafka, through librdkafka.
//!
//! ```text
//!                 ┌ member thread: the group's membership, and nothing else
//!  one process    │ fetch thread: one consumer for the inputs of every partition held ──► an inbox a worker
//!                 │ restore threads: changelogs into the replica, one partition after another
//!                 └ standby thread: changelogs of partitions held elsewhere, kept warm
//!  worker thread    Worker: inbox ─► decide ─► transaction ─► replica
//! ```
//!
//! **What makes it exactly once.** A commit is one Kafka transaction: outputs, the changelog with its footer, and the
//! positions of the inputs under the group's generation. Only when Kafka said yes is the state written, with the
//! changelog's position in the same batch, so the state is never ahead of Kafka. Where the answer is lost, the producer
//! is made anew under its own id, which fences whatever was in flight, and the changelog says what happened.
//!
//! **Where reading goes on** is told by the last footer of a partition's changelog ([`Footer`]), not by the group's
//! offsets: those are Kafka's means to fence a zombie, and a monitor's to see the lag.
//!
//! **Membership and reading are two clients.** Kafka's assignors give away partitions of topics one by one, while a
//! partition here is one of every input together. So the group is joined for the lead topic alone, and what follows from
//! its assignment is read by a second client that starts where the footer says, after the state is there. A queue for each
//! partition is avoided on purpose: it loses wake-ups (librdkafka issue 4340).
//!
//! **What is decided is apart from what is called** ([`calls`]): the same decisions run on librdkafka and on the model of a
//! cluster, [`crate::model`], where the simulation has them.

pub mod calls;
mod changelog;
mod client;
mod edge;
mod fetch;
mod footer;
mod group;
mod inbox;
mod lag;
mod librdkafka;
mod member;
mod outcome;
mod pack;
mod read;
mod replica;
mod restore;
mod settings;
mod steps;
mod topics;
mod transactor;
mod watchdog;
mod worker;

pub use edge::Edge;
pub use footer::{Covered, Footer};
pub use group::Group;
pub use lag::{Ends, Gauge, Lag, ends, lag};
pub use librdkafka::Librdkafka;
pub use read::Onlooker;
pub use replica::Replica;
pub use restore::{Progress, Restoring, recover, recover_from};
pub use settings::{Protocol, Settings};
pub use steps::Steps;
pub use topics::{Cleanup, Difference, Planned, apply, check, purge};
pub use watchdog::Watchdog;
pub use worker::Worker;
