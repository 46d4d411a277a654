//! Rows of one kind as they are gathered, until they are taken as a batch.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use musubi_schema::avro::{Record, Topic};

use super::changes::Changes;
use super::plain::{Identities, Quarantine, Redirects};
use super::profiles::Profiles;

/// Rows of one kind.
pub(super) trait Rows: Send {
    /// Their columns.
    fn schema(&self) -> SchemaRef;

    /// Adds the row of a record.
    fn add(&mut self, record: &Record<'_>);

    /// How many rows there are.
    fn len(&self) -> usize;

    /// About how many bytes they have.
    fn bytes(&self) -> usize;

    /// Takes them all.
    fn take(&mut self) -> Result<RecordBatch, ArrowError>;
}

/// The columns of one kind of record.
pub(super) trait Columns: Default + Send + 'static {
    /// Their names and types.
    fn fields() -> Vec<Field>;

    /// Adds the row of a record. Says about how many bytes it has.
    ///
    /// # Panics
    /// If the record is of another kind.
    fn add(&mut self, record: &Record<'_>) -> usize;

    /// Takes everything, in the order of [`Self::fields`].
    fn take(&mut self) -> Vec<ArrayRef>;
}

/// Rows for the records of a topic.
///
/// # Panics
/// For touchpoints and directives, which no run writes.
pub(super) fn of(topic: Topic) -> Box<dyn Rows> {
    match topic {
        Topic::IdentityMap => Gathered::<Identities>::empty(),
        Topic::Profiles => Gathered::<Profiles>::empty(),
        Topic::ProfileChanges => Gathered::<Changes>::empty(),
        Topic::Redirects => Gathered::<Redirects>::empty(),
        Topic::Quarantine => Gathered::<Quarantine>::empty(),
        Topic::Touchpoints | Topic::Directives => unreachable!("a run reads `{}` and writes none", topic.name()),
        Topic::ProfileIdentifiers | Topic::ProfileTraits => unreachable!("a run writes `profiles` and no flat rows"),
    }
}

struct Gathered<C> {
    schema: SchemaRef,
    columns: C,
    rows: usize,
    bytes: usize,
}

impl<C: Columns> Gathered<C> {
    fn empty() -> Box<dyn Rows> {
        Box::new(Self { schema: Arc::new(Schema::new(C::fields())), columns: C::default(), rows: 0, bytes: 0 })
    }
}

impl<C: Columns> Rows for Gathered<C> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn add(&mut self, record: &Record<'_>) {
        self.bytes += self.columns.add(record);
        self.rows += 1;
    }

    fn len(&self) -> usize {
        self.rows
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new(self.schema(), self.columns.take())
    }
}
