//! Something disagreed: what, in which seed, and how to see it again.

use std::fmt;

/// What disagreed, in words.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) String);

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// A seed in which something disagreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What disagreed.
    pub what: String,
    /// What the seed drew: partitions, workers, faults.
    pub scenario: String,
    /// The last steps before it.
    pub story: String,
    /// The command that shows it again.
    pub replay: String,
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, what, scenario, story, replay } = self;
        write!(f, "seed {seed}: {what}\n{scenario}\nthe last steps:\n{story}again: {replay}")
    }
}
