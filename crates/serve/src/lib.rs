//! The doors: everything that a running Musubi on one machine is, behind HTTP.
//!
//! A [`Deployment`] is one directory with the log and the state in it; [`up`] runs a stitcher over it and opens the
//! doors: touchpoints and directives in, profiles, explanations, topics, metrics and the fingerprint out. Clocks are read
//! here and nowhere beneath.
//!
//! What this crate is not: it decides nothing about identity, and it prints nothing.

mod aside;
mod body;
mod census;
mod clock;
pub mod cluster;
mod collect;
mod deployment;
mod directives;
mod entrance;
mod error;
pub mod explain;
mod facts;
mod key;
mod lookup;
mod metrics;
mod outlet;
mod problem;
mod routes;
mod running;
mod sources;
mod stitcher;
mod tail;

pub use census::Census;
pub use deployment::{Deployment, Disk, GROUP, Options};
pub use error::Error;
pub use key::{DEVELOPMENT_SECRET, Key, KeyOrigin};
pub use lookup::Found;
pub use outlet::{Outlet, Piece, Put};
pub use running::{Running, Stopper, up};
pub use sources::{SourceError, Sources, open_settings, open_source};
pub use tail::{From, Tail};
