//! The state beside a log that does not hold it itself.

use crate::{Error, Mutation, Mutations, Offset, Partition};

/// The state of partitions on this machine, as restoring sees it. Always a little behind its changelog, never ahead.
pub trait Replica: Send + Sync {
    /// Where the partition's changelog is to be read next; None where nothing of the partition is here.
    ///
    /// # Errors
    /// [`Error::State`].
    fn position(&self, partition: Partition) -> Result<Option<Offset>, Error>;

    /// Writes one batch of the changelog with the position after it, atomically.
    ///
    /// # Errors
    /// [`Error::State`].
    fn apply(&self, partition: Partition, state: &Mutations, next: Offset) -> Result<(), Error>;

    /// Brings in many writes at once, sorted by table and key, each key once, and no range. The position is not moved:
    /// where this is interrupted, it is done once more from the beginning.
    ///
    /// # Errors
    /// [`Error::State`].
    fn load(&self, sorted: &[Mutation<'_>]) -> Result<(), Error>;

    /// Forgets a partition.
    ///
    /// # Errors
    /// [`Error::State`].
    fn clear(&self, partition: Partition) -> Result<(), Error>;
}
