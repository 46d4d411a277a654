//! The disk beneath a worker: what survives its death, and what does not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use musubi_log::kafka::Replica;
use musubi_log::model::Fate;
use musubi_log::{self as log, Mutation, Mutations, Offset, Partition, Table};
use musubi_stitcher::{Store, replay};
use musubi_store::codec::Malformed;
use musubi_store::{Error, InMemory, Options, Rocks, STATE_FAMILIES, Tables, Writer, keys, open};
use tempfile::TempDir;

use crate::Failed;
use crate::dice::Dice;

/// Memory enough for the state of a handful of persons.
const SMALL: Options = Options { block_cache: 1 << 20, memtables: 4 << 20, without_wal: false };

/// What happens to a disk when its process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// The process was killed: what it wrote is there.
    Kill,
    /// The machine lost its power: what was not flushed may be gone, from some batch on.
    Power,
    /// The power, and the end of a file is torn, or a bit is not what it was.
    Damage,
    /// The disk is gone.
    Loss,
}

/// The tables of one worker. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct Disk {
    tables: Kind,
    place: Option<Arc<TempDir>>,
    /// What is to become of the process that has it, where that is told.
    fate: Option<Arc<Fate>>,
}

impl Default for Disk {
    fn default() -> Self {
        Self { tables: Kind::Memory(Arc::default()), place: None, fate: None }
    }
}

#[derive(Clone)]
enum Kind {
    Memory(Arc<Mutex<Layers>>),
    Rocks(Rocks),
}

/// A store in memory that knows what is flushed.
#[derive(Default)]
struct Layers {
    live: InMemory,
    flushed: InMemory,
    /// Batches since, in order.
    since: Vec<Mutations>,
    /// After so many a flush comes by itself; 0 is after each.
    room: usize,
    /// Something in it is not what was written, and whoever reads it finds out.
    broken: bool,
}

impl Layers {
    fn apply(&mut self, state: &Mutations) {
        replay(state.iter(), &mut self.live);
        self.since.push(state.clone());
        if self.since.len() > self.room {
            self.flush();
        }
    }

    fn flush(&mut self) {
        for state in self.since.drain(..) {
            replay(state.iter(), &mut self.flushed);
        }
    }

    fn lose_power(&mut self, dice: &mut Dice) {
        let most = dice.index(self.since.len() + 1);
        let mut kept: BTreeMap<&str, usize> = STATE_FAMILIES.into_iter().map(|family| (family, most)).collect();
        #[cfg(feature = "sabotage")]
        if musubi_core::sabotage::is(musubi_core::sabotage::Bug::FlushInParts) {
            kept.values_mut().for_each(|kept| *kept = dice.index(self.since.len() + 1));
        }
        for (number, state) in self.since.drain(..).enumerate() {
            let survives = |table: Table| kept.get(table.0).is_some_and(|kept| number < *kept);
            replay(state.iter().filter(|mutation| survives(mutation.table())), &mut self.flushed);
        }
        kept.clear();
        self.live = self.flushed.clone();
    }

    fn whole(&self, table: &'static str) -> Result<(), Error> {
        if !self.broken {
            return Ok(());
        }
        Err(Error::Corrupt { table, key: "a block".to_owned(), why: Malformed::TooShort })
    }
}

fn lock(layers: &Mutex<Layers>) -> MutexGuard<'_, Layers> {
    layers.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk {
    /// An empty disk: a real one, or one in memory.
    pub(crate) fn new(real: bool) -> Result<Self, Failed> {
        if !real {
            return Ok(Self::default());
        }
        let place = Arc::new(TempDir::new().map_err(|why| Failed(format!("no directory for a store: {why}")))?);
        let tables = Kind::Rocks(Rocks::new(open(place.path(), SMALL, Vec::new())?));
        Ok(Self { tables, place: Some(place), fate: None })
    }

    /// The same disk, which holds so many batches before it flushes them; a real one as it does.
    pub(crate) fn with_room(self, batches: usize) -> Self {
        if let Kind::Memory(layers) = &self.tables {
            lock(layers).room = batches;
        }
        self
    }

    /// The same disk in the hands of a process that may die in the midst of writing.
    pub(crate) fn with_fate(self, fate: &Arc<Fate>) -> Self {
        Self { fate: Some(Arc::clone(fate)), ..self }
    }

    /// What is found on the disk after the worker that had it is dead. No clone of it may be left.
    pub(crate) fn reopen(self) -> Result<Self, Failed> {
        let Some(place) = self.place else { return Ok(self) };
        drop(self.tables);
        let tables = Kind::Rocks(Rocks::new(open(place.path(), SMALL, Vec::new())?));
        Ok(Self { tables, place: Some(place), fate: None })
    }

    /// What is found on it after a blow; none where it is found at once that it cannot be read: it is set aside, and an
    /// empty one takes its place. What befalls real files is tried in a test of its own.
    pub(crate) fn after(self, blow: Blow, dice: &mut Dice) -> Result<Self, Failed> {
        let Kind::Memory(layers) = &self.tables else {
            return match blow {
                Blow::Kill | Blow::Power | Blow::Damage => self.reopen(),
                Blow::Loss => Self::new(true),
            };
        };
        let room = lock(layers).room;
        match blow {
            Blow::Kill => {}
            Blow::Power => lock(layers).lose_power(dice),
            Blow::Damage => {
                let mut layers = lock(layers);
                layers.lose_power(dice);
                layers.broken = true;
                if dice.happens(500) {
                    drop(layers);
                    return Ok(Self::new(false)?.with_room(room));
                }
            }
            Blow::Loss => return Ok(Self::new(false)?.with_room(room)),
        }
        Ok(Self { fate: None, ..self })
    }

    fn step(&self) {
        if let Some(fate) = &self.fate {
            fate.call();
        }
    }

    fn write(&self, state: &Mutations) -> Result<(), Error> {
        self.step();
        match &self.tables {
            Kind::Memory(layers) => lock(layers).apply(state),
            Kind::Rocks(tables) => tables.clone().apply(state)?,
        }
        self.step();
        Ok(())
    }

    /// All that is on it, of one partition.
    pub(crate) fn part(&self, partition: Partition) -> Result<InMemory, Failed> {
        let mut part = InMemory::default();
        for family in STATE_FAMILIES {
            self.scan(family, &keys::partition_bytes(partition), |key, value| {
                part.put(family, key, value);
                Ok(())
            })?;
        }
        Ok(part)
    }
}

impl Tables for Disk {
    fn get_many<K: AsRef<[u8]>>(
        &self,
        table: &'static str,
        keys: &[K],
        visit: impl FnMut(usize, Option<&[u8]>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match &self.tables {
            Kind::Memory(layers) => {
                let layers = lock(layers);
                layers.whole(table)?;
                layers.live.get_many(table, keys, visit)
            }
            Kind::Rocks(tables) => tables.get_many(table, keys, visit),
        }
    }

    fn scan(
        &self,
        table: &'static str,
        prefix: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match &self.tables {
            Kind::Memory(layers) => {
                let layers = lock(layers);
                layers.whole(table)?;
                layers.live.scan(table, prefix, visit)
            }
            Kind::Rocks(tables) => tables.scan(table, prefix, visit),
        }
    }
}

impl Store for Disk {
    fn apply(&mut self, state: &Mutations) -> Result<(), Error> {
        self.write(state)
    }
}

/// As restoring sees it: what `musubi_stitcher::Replica` is to RocksDB.
impl Replica for Disk {
    fn position(&self, partition: Partition) -> Result<Option<Offset>, log::Error> {
        let mut position = None;
        let read = self.get_many(keys::META, &[keys::changelog(partition)], |_, value| {
            position = value.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
            Ok(())
        });
        read.map_err(failed).map(|()| position)
    }

    fn apply(&self, partition: Partition, state: &Mutations, next: Offset) -> Result<(), log::Error> {
        let mut state = state.clone();
        state.put(Table(keys::META), &keys::changelog(partition), &next.to_be_bytes());
        self.write(&state).map_err(failed)
    }

    /// Files of sorted values are flushed by their nature, and with them what was written before.
    fn load(&self, sorted: &[Mutation<'_>]) -> Result<(), log::Error> {
        self.step();
        let values = sorted.iter().map(|write| match *write {
            Mutation::Put { table, key, value } => (table.0, key, Some(value)),
            Mutation::Delete { table, key } | Mutation::DeleteRange { table, from: key, .. } => (table.0, key, None),
        });
        match &self.tables {
            Kind::Memory(layers) => {
                let mut layers = lock(layers);
                layers.flush();
                let Layers { live, flushed, .. } = &mut *layers;
                for (table, key, value) in values {
                    for tables in [&mut *live, &mut *flushed] {
                        match value {
                            Some(value) => tables.put(table, key, value),
                            None => tables.delete(table, key),
                        }
                    }
                }
            }
            Kind::Rocks(tables) => tables.ingest(values).map_err(failed)?,
        }
        self.step();
        Ok(())
    }

    fn clear(&self, partition: Partition) -> Result<(), log::Error> {
        if let Kind::Rocks(tables) = &self.tables {
            return tables.clear(partition).map_err(failed);
        }
        let (from, to) = (keys::partition_bytes(partition), keys::partition_bytes(partition + 1));
        let mut state = Mutations::new();
        STATE_FAMILIES.into_iter().for_each(|family| state.delete_range(Table(family), &from, &to));
        self.write(&state).map_err(failed)
    }
}

fn failed(why: Error) -> log::Error {
    log::Error::State(Arc::new(why))
}
