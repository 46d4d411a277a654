//! The state as it stood at one moment, for those who read while a worker writes.

use rocksdb::{ReadOptions, Snapshot};

use crate::keys::PREFIX;
use crate::{Error, Rocks, Tables};

/// The tables at the moment of [`Rocks::freeze`]: whatever is committed afterwards does not show, so that several
/// look-ups agree with one another. RocksDB keeps superseded values for it while it lives, so it should not live long.
pub struct Frozen<'a> {
    rocks: &'a Rocks,
    snapshot: Snapshot<'a>,
}

impl Rocks {
    /// The tables as they stand now.
    pub fn freeze(&self) -> Frozen<'_> {
        Frozen { rocks: self, snapshot: self.database().snapshot() }
    }
}

impl Tables for Frozen<'_> {
    fn get_many<K: AsRef<[u8]>>(
        &self,
        table: &'static str,
        keys: &[K],
        mut visit: impl FnMut(usize, Option<&[u8]>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let family = self.rocks.family(table);
        let values = self.snapshot.multi_get_cf(keys.iter().map(|key| (family, key)));
        values.into_iter().enumerate().try_for_each(|(place, value)| visit(place, value?.as_deref()))
    }

    fn scan(
        &self,
        table: &'static str,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(prefix.len() < PREFIX);
        options.set_prefix_same_as_start(prefix.len() >= PREFIX);
        let mut keys = self.snapshot.raw_iterator_cf_opt(self.rocks.family(table), options);
        keys.seek(prefix);
        while let Some((key, value)) = keys.item().filter(|(key, _)| key.starts_with(prefix)) {
            visit(key, value)?;
            keys.next();
        }
        Ok(keys.status()?)
    }
}

#[cfg(test)]
mod tests {
    use crate::keys::META;
    use crate::{Options, Rocks, Tables, Writer, open};

    #[test]
    fn what_is_written_afterwards_does_not_show() {
        let directory = tempfile::tempdir().expect("a directory");
        let rocks = Rocks::new(open(directory.path(), Options::default(), Vec::new()).expect("a database"));
        let put = |value: &[u8]| rocks.write(|batch| batch.put(META, b"name", value)).expect("written");
        put(b"old");
        let frozen = rocks.freeze();
        put(b"new");
        let mut seen = Vec::new();
        let mut keep = |value: Option<&[u8]>| seen.push(value.map(<[u8]>::to_vec));
        frozen
            .get_many(META, &[b"name"], |_, value| {
                keep(value);
                Ok(())
            })
            .expect("read");
        frozen
            .scan(META, b"na", |_, value| {
                keep(Some(value));
                Ok(())
            })
            .expect("read");
        rocks
            .get_many(META, &[b"name"], |_, value| {
                keep(value);
                Ok(())
            })
            .expect("read");
        assert_eq!(seen, [Some(b"old".to_vec()), Some(b"old".to_vec()), Some(b"new".to_vec())]);
    }
}
