//! Every bug that can be planted: in who is who and in the worker, and in the log on Kafka.

use musubi_core::sabotage as core;
use musubi_log::sabotage as log;

use crate::World;

/// One planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// In the core, the worker or the store.
    Core(core::Bug),
    /// In the log on Kafka.
    Log(log::Bug),
}

impl Bug {
    /// Every planted bug.
    pub fn all() -> impl Iterator<Item = Self> {
        core::Bug::ALL.into_iter().map(Self::Core).chain(log::Bug::ALL.into_iter().map(Self::Log))
    }

    /// Its name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core(bug) => bug.as_str(),
            Self::Log(bug) => bug.as_str(),
        }
    }

    /// The bug of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|bug| bug.as_str() == name)
    }

    /// The world in which it can do harm.
    pub const fn world(self) -> World {
        use core::Bug as In;
        match self {
            Self::Log(_) | Self::Core(In::FlushInParts | In::WriteBeforeCommit | In::ReusedOverlay) => World::Kafka,
            Self::Core(
                In::LostMessage
                | In::DoubleAbsorb
                | In::CommitBeforeWrite
                | In::ForgottenCompression
                | In::LimitIgnored
                | In::StaleRedirect
                | In::ClockForEventTime
                | In::HashOrder,
            ) => World::Gentle,
        }
    }
}

/// Plants a bug in this thread, or takes it out.
pub(crate) fn plant(bug: Option<Bug>) {
    let (in_core, in_log) = match bug {
        None => (None, None),
        Some(Bug::Core(bug)) => (Some(bug), None),
        Some(Bug::Log(bug)) => (None, Some(bug)),
    };
    core::plant(in_core);
    log::plant(in_log);
}
