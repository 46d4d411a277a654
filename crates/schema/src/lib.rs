//! What crosses a topic: canonical JSON, NDJSON renderings and Avro, to and from the values of the core.
//!
//! Reading is strict about shape and lenient about everything else: what cannot be a touchpoint comes back as
//! [`Malformed`] with a reason for the quarantine, never as a panic. What this crate is not: it knows no policy (whether
//! an identifier means anything is not asked here), does no IO and reads no clock.

pub mod avro;
mod digest;
mod framing;
mod interner;
mod json;
mod json_schema;
mod malformed;
mod read;
mod render;
#[cfg(test)]
mod samples;
mod time;
mod touchpoint;
mod writers;

pub use digest::content_digest;
pub use framing::{Framing, Ids};
pub use json_schema::json_schema;
pub use malformed::{Malformed, Reason};
pub use read::{Line, MAX_DEPTH, MAX_LINE, Parser, is_directive};
pub use render::{Quarantined, render_change, render_identity, render_profile, render_quarantined, render_redirect};
pub use time::{parse_time, render_time};
pub use touchpoint::{render_directive, render_touchpoint, render_value};
pub use writers::{Registered, Source, Unavailable, Writers};
