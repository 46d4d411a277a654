//! What the presets make of payloads in the shapes that their senders use, and of payloads that nobody would send.

mod commerce;
mod common;
mod door;
mod guide;
mod hostile;
mod records;
mod sns;
mod talk;
mod web;
