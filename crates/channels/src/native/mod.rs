//! Natives: what the most used presets say in jq, said once more in Rust, because an interpreter is too slow for them.
//!
//! The jq is the truth. A native makes of an item exactly what the preset's `touchpoints` makes of it, or declines, and
//! then the jq is asked: errors, rare shapes and messages are its alone. Only a preset that nobody edited has one at work.

use jaq_json::Val;

use crate::mapping::Globals;

mod segment;

/// The touchpoint of an item; none where the mapping is to be asked.
pub(crate) type Native = fn(&Val, &Globals) -> Option<Val>;

/// The native of a preset, if it has one.
pub(crate) fn native(preset: &str) -> Option<Native> {
    match preset {
        "segment" => Some(segment::touchpoint),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
