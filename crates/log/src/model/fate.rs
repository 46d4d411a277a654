//! What is to become of a process.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// A process died: what unwinds through it, and what the driver catches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Died;

/// What is to become of a process. Whoever has it in hand tells it, and the process finds out in its calls.
#[derive(Debug, Default)]
pub struct Fate {
    dead: AtomicBool,
    /// It lives and is not heard: it stands still, or is cut off from its group.
    silent: AtomicBool,
    /// In so many calls it dies; 0 is never.
    doom: AtomicU32,
    /// How far its clock has run ahead.
    skew_ms: AtomicU64,
}

impl Fate {
    /// It is to die in so many calls.
    pub fn doom(&self, calls: u32) {
        self.doom.store(calls, Ordering::Relaxed);
    }

    /// Whether it is dead.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// It dies where it stands.
    pub fn end(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// Whether its group hears of it.
    pub fn silence(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    pub(super) fn is_heard(&self) -> bool {
        !self.is_dead() && !self.silent.load(Ordering::Relaxed)
    }

    pub(super) fn skew_ms(&self) -> u64 {
        self.skew_ms.load(Ordering::Relaxed)
    }

    /// Its clock runs ahead: to the process it seems that it was not looked after for so long.
    pub(super) fn run_ahead(&self, ms: u64) {
        self.skew_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// One of its calls: the process may die of it, by unwinding with [`Died`]. A dead one does nothing any more.
    pub fn call(&self) {
        if self.doom.load(Ordering::Relaxed) > 0 && self.doom.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.end();
        }
        if self.is_dead() {
            std::panic::resume_unwind(Box::new(Died));
        }
    }
}
