//! Who is who, decided without touching the world.
//!
//! Everything here is a pure function or a plain value: touchpoints become evidence, evidence becomes clusters, the
//! policy cuts clusters into persons, and a person's profile is a fold of what her touchpoints said. Nothing in this
//! crate reads a clock, draws a random number, opens a file or iterates a set in hash order, which is what lets the
//! rest of Musubi promise that the order of arrival decides nothing.
//!
//! What this crate is not: it knows no topic, no partition's state on disk and no wire format.

pub mod change;
pub mod cluster;
pub mod decimal;
pub mod directive;
pub mod fingerprint;
pub mod forest;
pub mod identifier;
pub mod normalise;
pub mod packed;
pub mod person;
pub mod policy;
pub mod profile;
pub mod reading;
pub mod resolve;
#[cfg(feature = "sabotage")]
pub mod sabotage;
mod tight;
pub mod time;
pub mod touchpoint;
pub mod value;
