//! Tables of bytes beneath the store: RocksDB, or a map for simulations and measurements.

use std::collections::BTreeMap;

use crate::Error;

/// Sorted tables of bytes.
pub trait Tables {
    /// Looks up many keys, sorted, of one table, and hands each value with the place of its key to `visit`.
    fn get_many<K: AsRef<[u8]>>(
        &self,
        table: &'static str,
        keys: &[K],
        visit: impl FnMut(usize, Option<&[u8]>) -> Result<(), Error>,
    ) -> Result<(), Error>;

    /// Visits every key of a table that starts with `prefix`, in order.
    fn scan(
        &self,
        table: &'static str,
        prefix: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error>;
}

/// Tables in memory.
#[derive(Clone, Debug, Default)]
pub struct InMemory(BTreeMap<(&'static str, Vec<u8>), Vec<u8>>);

impl InMemory {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl crate::Writer for InMemory {
    fn put(&mut self, table: &'static str, key: &[u8], value: &[u8]) {
        self.0.insert((table, key.to_vec()), value.to_vec());
    }

    fn delete(&mut self, table: &'static str, key: &[u8]) {
        self.0.remove(&(table, key.to_vec()));
    }

    fn delete_range(&mut self, table: &'static str, from: &[u8], to: &[u8]) {
        let range = (table, from.to_vec())..(table, to.to_vec());
        let keys: Vec<_> = self.0.range(range).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.0.remove(&key);
        }
    }
}

impl Tables for InMemory {
    fn get_many<K: AsRef<[u8]>>(
        &self,
        table: &'static str,
        keys: &[K],
        mut visit: impl FnMut(usize, Option<&[u8]>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        keys.iter()
            .enumerate()
            .try_for_each(|(place, key)| visit(place, self.0.get(&(table, key.as_ref().to_vec())).map(Vec::as_slice)))
    }

    fn scan(
        &self,
        table: &'static str,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.0
            .range((table, prefix.to_vec())..)
            .take_while(|((of, key), _)| *of == table && key.starts_with(prefix))
            .try_for_each(|((_, key), value)| visit(key, value))
    }
}
