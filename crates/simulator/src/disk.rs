//! The disk beneath a worker: what survives its death.

use std::cell::RefCell;
use std::rc::Rc;

use musubi_log::Mutations;
use musubi_stitcher::Store;
use musubi_store::{Error, InMemory, Options, Rocks, Tables, open};
use tempfile::TempDir;

use crate::Failed;

/// Memory enough for the state of a handful of persons.
const SMALL: Options = Options { block_cache: 1 << 20, memtables: 4 << 20, without_wal: false };

/// The tables of one worker. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct Disk {
    tables: Kind,
    place: Option<Rc<TempDir>>,
}

#[derive(Clone)]
enum Kind {
    Memory(Rc<RefCell<InMemory>>),
    Rocks(Rocks),
}

impl Disk {
    /// An empty disk: a real one, or one in memory.
    pub(crate) fn new(real: bool) -> Result<Self, Failed> {
        if !real {
            return Ok(Self { tables: Kind::Memory(Rc::default()), place: None });
        }
        let place = Rc::new(TempDir::new().map_err(|why| Failed(format!("no directory for a store: {why}")))?);
        Ok(Self { tables: Kind::Rocks(Rocks::new(open(place.path(), SMALL, Vec::new())?)), place: Some(place) })
    }

    /// What is found on the disk after the worker that had it is dead. No clone of it may be left.
    pub(crate) fn reopen(self) -> Result<Self, Failed> {
        let Some(place) = self.place else { return Ok(self) };
        drop(self.tables);
        Ok(Self { tables: Kind::Rocks(Rocks::new(open(place.path(), SMALL, Vec::new())?)), place: Some(place) })
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
            Kind::Memory(tables) => tables.borrow().get_many(table, keys, visit),
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
            Kind::Memory(tables) => tables.borrow().scan(table, prefix, visit),
            Kind::Rocks(tables) => tables.scan(table, prefix, visit),
        }
    }
}

impl Store for Disk {
    fn apply(&mut self, state: &Mutations) -> Result<(), Error> {
        match &mut self.tables {
            Kind::Memory(tables) => tables.borrow_mut().apply(state),
            Kind::Rocks(tables) => tables.apply(state),
        }
    }
}
