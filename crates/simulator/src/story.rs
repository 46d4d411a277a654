//! What happened, step by step: the last of it is shown where something disagrees.

use std::collections::VecDeque;
use std::fmt;

use musubi_stitcher::Turn;

/// How many steps are remembered.
const REMEMBERED: usize = 40;

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// An arrival was sent to a partition.
    Sent { arrival: usize, partition: u32, astray: bool },
    /// A worker had its turn.
    Turned { seat: usize, records: usize, messages: u64, outputs: usize, undone: bool },
    /// A worker died, and another sits in its place.
    Died { seat: usize, disk_lost: bool },
    /// A partition went to another worker.
    Moved { partition: u32, to: usize },
    /// A process is not heard by its group, and may stand still.
    Silent { seat: usize, still: bool },
    /// The group prepares another generation.
    Unsettled,
    /// The group told a process something.
    Told { seat: usize, word: String },
    /// A process ended with an error.
    Ended { seat: usize, why: String },
    /// All arrivals are in; from here on nobody dies.
    Resting,
}

impl Step {
    /// The turn of the worker in this seat.
    pub(crate) fn turned(seat: usize, turn: &Turn) -> Self {
        let Turn { records, messages, undone, .. } = *turn;
        Self::Turned { seat, records, messages, outputs: turn.outputs.len(), undone }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent { arrival, partition, astray } => {
                let how = if *astray { "astray to" } else { "to" };
                write!(f, "arrival {arrival} is sent {how} partition {partition}")
            }
            Self::Turned { seat, records, messages, outputs, undone } => {
                let how = if *undone { ", undone" } else { "" };
                write!(f, "worker {seat} reads {records}, sends {messages}, says {outputs}{how}")
            }
            Self::Died { seat, disk_lost } => {
                let disk = if *disk_lost { "a new" } else { "the same" };
                write!(f, "worker {seat} dies and comes back with {disk} disk")
            }
            Self::Moved { partition, to } => write!(f, "partition {partition} moves to worker {to}"),
            Self::Silent { seat, still } => {
                let how = if *still { "stands still" } else { "is cut off from its group" };
                write!(f, "process {seat} {how}")
            }
            Self::Unsettled => write!(f, "the group prepares another generation"),
            Self::Told { seat, word } => write!(f, "process {seat} is told: {word}"),
            Self::Ended { seat, why } => write!(f, "process {seat} ends: {why}"),
            Self::Resting => write!(f, "everything is in; the troubles end"),
        }
    }
}

/// The last steps, and how many there were.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    last: VecDeque<Step>,
    told: u64,
}

impl Story {
    /// Goes on with a step.
    pub(crate) fn tell(&mut self, step: Step) {
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(step);
        self.told += 1;
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.told - self.last.len() as u64;
        for (number, step) in (first..).zip(&self.last) {
            writeln!(f, "  {number:>5}  {step}")?;
        }
        Ok(())
    }
}
