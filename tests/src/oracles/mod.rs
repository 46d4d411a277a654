//! The six oracles: what must hold once everything was read and nothing moves, whatever happened on the way.
//!
//! | oracle | says |
//! |---|---|
//! | [`coverage`] | the footers' stretches of each input are all of it, without a gap and without an overlap |
//! | [`positions`] | the group's offsets, the last footer and the state stand at the same place |
//! | [`versions`] | the versions of each person on `profile-changes` are 1, 2, 3 … |
//! | [`digests`] | the live state, the changelog, a replay, the batch algorithm and `musubi run` come to the same persons |
//! | [`openness`] | no transaction is left open on any topic |
//! | [`accounting`] | something became of every record that was read, and of each one thing |
//!
//! Each is a function from what was seen to deviations in words, none where all is well, so that each can be shown a
//! wrong story and be seen to object. [`Story::gather`] sees, on any cluster; [`Story::deviations`] asks all six.

mod accounting;
mod digests;
mod gather;
mod places;
mod versions;

pub use accounting::{Books, accounting};
pub use digests::{Digests, digests};
pub use gather::{Story, run};
pub use places::{Place, coverage, openness, positions};
pub use versions::{Said, versions};
