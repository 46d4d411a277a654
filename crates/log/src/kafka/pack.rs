//! Many rows of the state in one record of the changelog.
//!
//! A record for each row costs as much as its row is small, and what it buys is compaction: the newest row of a key stays,
//! and a tombstone takes it away. Tables whose rows are written once, or change seldom, and say nothing of anybody, buy
//! nothing by it ([`Settings::packed`](super::Settings::packed)). Their rows of one batch go into packs under keys of their
//! own, which compaction never touches; a later pack's row stands over an earlier one's, and so do deletes, as entries.

use std::collections::BTreeMap;

use crate::{Mutation, Partition, Table};

const KEY: &[u8; 6] = b"\0pack/";

/// How large a pack grows. Large enough that the record around it costs nothing beside it.
const MOST_BYTES: usize = 32 * 1024;

/// The packs of a batch that are not full yet.
#[derive(Default)]
pub(super) struct Packs(BTreeMap<(Partition, Table), Pack>);

/// Rows of one table and partition.
#[derive(Default)]
struct Pack {
    number: u32,
    bytes: Vec<u8>,
}

/// A pack on its way out: where it goes, and what it is as a record.
pub(super) struct Packed {
    pub(super) partition: Partition,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

impl Packs {
    /// Adds a row to the packs of a batch of this number. Returns a pack where that made it full.
    pub(super) fn add(&mut self, partition: Partition, batch: u64, write: &Mutation<'_>) -> Option<Packed> {
        let table = write.table();
        let pack = self.0.entry((partition, table)).or_default();
        pack.add(write);
        (pack.bytes.len() >= MOST_BYTES).then(|| pack.take(partition, table, batch))
    }

    /// What is left at the end of the batch.
    pub(super) fn finish(self, batch_of: impl Fn(Partition) -> u64) -> impl Iterator<Item = Packed> {
        let begun = self.0.into_iter().filter(|(_, pack)| !pack.bytes.is_empty());
        begun.map(move |((partition, table), mut pack)| pack.take(partition, table, batch_of(partition)))
    }
}

impl Pack {
    fn add(&mut self, write: &Mutation<'_>) {
        self.size(write.key().len());
        self.bytes.extend_from_slice(write.key());
        match write {
            Mutation::Put { value, .. } => {
                self.size(value.len() + 1);
                self.bytes.extend_from_slice(value);
            }
            Mutation::Delete { .. } | Mutation::DeleteRange { .. } => self.size(0),
        }
    }

    /// Seven bits a byte, the least first, the last without the high bit.
    fn size(&mut self, mut size: usize) {
        while size >= 0x80 {
            self.bytes.push(size as u8 | 0x80);
            size >>= 7;
        }
        self.bytes.push(size as u8);
    }

    /// A key names the batch and the pack's place in it, so no two packs of a partition ever have the same.
    fn take(&mut self, partition: Partition, table: Table, batch: u64) -> Packed {
        let number = self.number.to_be_bytes();
        self.number += 1;
        let key = [KEY.as_slice(), table.0.as_bytes(), &[0], &batch.to_be_bytes(), &number].concat();
        let value = std::mem::replace(&mut self.bytes, Vec::with_capacity(MOST_BYTES));
        Packed { partition, key, value }
    }
}

/// The table whose rows a record of this key packs; None where it is no pack of any of these.
pub(super) fn table_of(key: &[u8], tables: &[Table]) -> Option<Table> {
    let named = key.strip_prefix(KEY)?;
    let end = named.iter().position(|byte| *byte == 0)?;
    tables.iter().find(|table| table.0.as_bytes() == &named[..end]).copied()
}

/// The rows of a pack, each with its value or that it is gone; an item of None where the bytes are no pack's.
pub(super) fn rows(mut bytes: &[u8]) -> impl Iterator<Item = Option<(&[u8], Option<&[u8]>)>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let row = row(&mut bytes);
        if row.is_none() {
            bytes = &[];
        }
        Some(row)
    })
}

fn row<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let length = size(bytes)?;
    let key = bytes.split_off(..length)?;
    let value = match size(bytes)? {
        0 => None,
        length => Some(bytes.split_off(..length - 1)?),
    };
    Some((key, value))
}

fn size(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0_usize;
    for shift in (0..usize::BITS).step_by(7) {
        let byte = bytes.split_off_first()?;
        number |= usize::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEEN: Table = Table("seen");
    const PARENTS: Table = Table("parents");

    fn batch_of(_: Partition) -> u64 {
        7
    }

    #[test]
    fn rows_come_back_by_table_and_partition_in_order() {
        let mut packs = Packs::default();
        for (partition, table, key) in [(1, SEEN, b"a"), (2, SEEN, b"b"), (1, PARENTS, b"c"), (1, SEEN, b"d")] {
            assert!(packs.add(partition, 7, &Mutation::Put { table, key, value: b"" }).is_none(), "it is not full");
        }
        assert!(packs.add(1, 7, &Mutation::Delete { table: SEEN, key: b"a" }).is_none());
        let packed: Vec<Packed> = packs.finish(batch_of).collect();
        let told = packed.iter().map(|pack| {
            let rows: Vec<_> = rows(&pack.value).map(|row| row.expect("a row")).collect();
            (pack.partition, table_of(&pack.key, &[SEEN, PARENTS]).expect("its table"), rows)
        });
        let row = |key: &'static [u8]| (key, Some(&[][..]));
        let gone: (&[u8], Option<&[u8]>) = (b"a", None);
        let wanted =
            [(1, PARENTS, vec![row(b"c")]), (1, SEEN, vec![row(b"a"), row(b"d"), gone]), (2, SEEN, vec![row(b"b")])];
        assert_eq!(told.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_full_pack_goes_out_and_no_two_have_the_same_key() {
        let mut packs = Packs::default();
        let value = [0; 1_000];
        let put = |key| Mutation::Put { table: SEEN, key, value: &value };
        let numbers: Vec<[u8; 4]> = (0..200_u32).map(u32::to_be_bytes).collect();
        let full: Vec<Packed> = numbers.iter().filter_map(|number| packs.add(1, 7, &put(number))).collect();
        let mut keys: Vec<Vec<u8>> = full.into_iter().chain(packs.finish(batch_of)).map(|packed| packed.key).collect();
        let count = keys.len();
        assert!(count > 3, "{count}");
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn a_key_of_another_kind_or_of_no_table_is_no_pack() {
        assert_eq!(table_of(b"seen\0\0\x01x", &[SEEN]), None);
        assert_eq!(table_of(b"\0pack/seen", &[SEEN]), None);
        assert_eq!(table_of(b"\0pack/strange\0", &[SEEN]), None);
    }

    proptest! {
        #[test]
        fn bytes_that_nobody_packed_are_an_answer_and_no_panic(bytes: Vec<u8>) {
            let told = rows(&bytes).collect::<Vec<_>>();
            prop_assert!(told.iter().rev().skip(1).all(Option::is_some), "nothing comes after what cannot be read");
        }
    }
}
