//! The memory of a partition: what is kept, under which keys, in which bytes, and how RocksDB holds it.
//!
//! What is kept is said in [`keys`]; the bytes in [`codec`] and [`pages`]; reading is [`Reader`], writing the `put_*` and
//! `drop_*` functions over any [`Writer`], so that one batch can hold the state and whatever else has to be atomic with
//! it. What this crate is not: it knows no log and decides nothing.

mod aside;
mod bulk;
pub mod codec;
mod frozen;
pub mod keys;
pub mod pages;
mod reader;
mod rocks;
mod tables;
mod writer;

pub use aside::{is_noted_damaged, note_damage, set_aside};
pub use bulk::Sorted;
pub use frozen::Frozen;
pub use pages::Pages;
pub use reader::{Reader, Stored};
pub use rocks::{Options, Rocks, STATE_FAMILIES, open, open_with};
pub use tables::{InMemory, Tables};
pub use writer::{Writer, drop_effect, put_effect, put_home, put_parent, put_seen};

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk or RocksDB failed; a retry or a restart may help.
    #[error("the store failed: {0}")]
    Rocks(#[from] rocksdb::Error),
    /// What is stored is not what was written. The partition must stop: `musubi verify` tells how much is wrong.
    #[error("corrupt value in `{table}` under key {key}: {why}")]
    Corrupt {
        /// The column family.
        table: &'static str,
        /// The key, in hexadecimal.
        key: String,
        /// What is wrong with the bytes.
        why: codec::Malformed,
    },
    /// The directory was written by another format, policy or deployment.
    #[error("the state's {what} is `{found}`, wanted `{wanted}`")]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// What this program wants.
        wanted: String,
        /// What the directory says.
        found: String,
    },
}
