//! The state of a worker, as the restoring of a log that does not hold it sees it.

use std::sync::Arc;

use musubi_log::{Error, Mutation, Mutations, Offset, Partition, kafka};
use musubi_store::{self as store, Rocks, Tables, Writer, keys};

use crate::worker::replay;

/// The state in RocksDB, to be restored from a changelog. Cheap to clone.
#[derive(Clone)]
pub struct Replica(pub Rocks);

impl kafka::Replica for Replica {
    fn position(&self, partition: Partition) -> Result<Option<Offset>, Error> {
        let mut position = None;
        let read = self.0.get_many(keys::META, &[keys::changelog(partition)], |_, value| {
            position = value.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
            Ok(())
        });
        read.map_err(failed).map(|()| position)
    }

    fn apply(&self, partition: Partition, state: &Mutations, next: Offset) -> Result<(), Error> {
        let written = self.0.write(|batch| {
            replay(state.sorted(), batch);
            batch.put(keys::META, &keys::changelog(partition), &next.to_be_bytes());
        });
        written.map_err(failed)
    }

    fn load(&self, sorted: &[Mutation<'_>]) -> Result<(), Error> {
        let values = sorted.iter().map(|write| match *write {
            Mutation::Put { table, key, value } => (table.0, key, Some(value)),
            Mutation::Delete { table, key } | Mutation::DeleteRange { table, from: key, .. } => (table.0, key, None),
        });
        self.0.ingest(values).map_err(failed)
    }

    fn clear(&self, partition: Partition) -> Result<(), Error> {
        self.0.clear(partition).map_err(failed)
    }
}

fn failed(why: store::Error) -> Error {
    Error::State(Arc::new(why))
}
