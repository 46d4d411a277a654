//! A payload of some channel becomes touchpoints.
//!
//! A [`Source`] is made of [`Settings`] (one `[[source]]` of `musubi.toml`) and takes requests, records of topics and rows
//! of files. What a payload means is said by a mapping in jq: a [`Preset`]'s, or one that the user made of it. What this
//! crate is not: it opens no socket and no file, reads no clock, and knows no policy; the instant of receipt and the
//! secrets are given to it.

mod auth;
mod body;
pub mod files;
mod form;
mod handshake;
mod json;
mod mapping;
mod native;
mod node;
mod preset;
mod request;
pub mod samples;
mod secret;
mod settings;
mod signature;
mod source;
mod spelling;
mod time;

pub use mapping::Error as MappingError;
pub use preset::{PRESETS, Preset, preset};
pub use request::{Answer, Outcome, Request, SetAside, Taken};
pub use secret::{Kept, Secret};
pub use settings::{Error, Fields, OnBadKey, Pull, RateLimit, Settings};
pub use signature::{Encoding, Hash, Plain, Scheme, Topics};
pub use source::{Record, Row, Secrets, Source};
