//! A believable stream of touchpoints, with the truth about whose they are, and the score of those who guess.
//!
//! [`Generator`] writes canonical touchpoints, one JSON object a line: ten channels, each from its own sources with its
//! own identifiers; people who browse before they are known; cookies that expire; families on one tablet; terminals in
//! the shops; junk, typing errors, late and repeated deliveries, clocks that run ahead. [`Scorer`] says how much of it a
//! policy put together again.
//!
//! **What is true.** The person of a touchpoint is the real one who left it, whether or not anything on earth could tell:
//! a cookie on which nobody ever signs in still has its person, and costs recall. Touchpoints of crawlers and of shop
//! terminals at which nobody showed a card belong to nobody; their truth is `null` and they are left out of the score.
//! A stream of the retail shape leaves so little untied that a good policy can reach a recall of 0.97.
//!
//! What this crate is not: it does no IO, reads no clock, and knows neither policies nor resolution. Equal options give
//! equal bytes on every machine.

mod calendar;
mod channels;
mod delivery;
mod demo;
mod dice;
mod draft;
mod generator;
mod identifiers;
mod journeys;
mod json;
mod junk;
mod names;
mod people;
mod score;
mod shapes;
mod visit;

pub use delivery::{Line, Truth};
pub use generator::{Generator, Options};
pub use score::{Score, Scorer};
pub use shapes::{Shape, UnknownShape};
