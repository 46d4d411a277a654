//! The partition worker: the mesh protocol as a state machine, and the read-decide-write loop that drives it over any
//! log.
//!
//! What this crate is not: it decides nothing about identity (that is `musubi-core`), and it does not know which log or
//! which disk is beneath it.

mod account;
mod batch;
mod contract;
mod intake;
mod machine;
mod memory;
mod message;
mod occasion;
mod outbox;
mod publish;
mod replica;
pub mod topics;
mod transfer;
mod wire;
mod work;
mod worker;

pub use account::Account;
pub use batch::{Batch, Persons};
pub use contract::Contract;
pub use intake::{Intake, Reading, Refused};
pub use machine::{Alert, Effects, Input, Machine, Options, Ruling, Verdict};
pub use memory::Capacity;
pub use message::{Entry, Message, Piece};
pub use publish::{last_snapshot, snapshot, standing_resolution};
pub use replica::Replica;
pub use worker::{Error, State, Store, Turn, Worker, replay};
