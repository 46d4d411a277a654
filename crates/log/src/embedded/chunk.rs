//! Records as they lie on disk: in chunks, so that a thousand records cost one RocksDB entry.
//!
//! A chunk is stored under the last offset it covers. It holds its records' offsets itself, so the cleaner can take
//! records out of it, or pour several into one, without moving any. Layout, little-endian:
//!
//! ```text
//! bytes_before u64 · newest_ms i64 · horizon_ms u64 · span u64 · count u32 · record*
//! record = flags u8 · offset - base varint · timestamp i64 · key? · value? · headers?
//! ```
//!
//! Keys, values and headers are a varint length and the bytes.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{Offset, Record};

const HEADER: usize = 8 + 8 + 8 + 8 + 4;
const HAS_KEY: u8 = 1;
const HAS_VALUE: u8 = 2;
const HAS_HEADERS: u8 = 4;

/// A full chunk: about what a disk block holds after compression. Larger would make a small read pay for more; smaller
/// would bring back the cost per entry.
pub(crate) const TARGET_BYTES: usize = 64 * 1024;

/// No tombstone of the chunk has been seen by the cleaner yet.
pub(crate) const NO_HORIZON: u64 = u64::MAX;

/// A chunk being filled.
#[derive(Debug)]
pub(crate) struct Builder {
    base: Offset,
    newest_ms: i64,
    count: u32,
    next: Offset,
    bytes: Vec<u8>,
}

impl Builder {
    /// An empty chunk whose records stand at `base` or after. Where the offsets are not known yet, `base` is 0 and the
    /// offsets count from there: only their distances are written.
    pub(crate) fn new(base: Offset) -> Self {
        Self { base, newest_ms: i64::MIN, count: 0, next: base, bytes: vec![0; HEADER] }
    }

    /// Adds the record at the next offset.
    pub(crate) fn push(&mut self, record: &Record) {
        self.push_at(self.next, record);
    }

    /// Adds the record at an offset not before the last.
    pub(crate) fn push_at(&mut self, offset: Offset, record: &Record) {
        let mut flags = 0;
        flags |= if record.key.is_some() { HAS_KEY } else { 0 };
        flags |= if record.value.is_some() { HAS_VALUE } else { 0 };
        flags |= if record.headers.is_empty() { 0 } else { HAS_HEADERS };
        self.bytes.push(flags);
        put_varint(&mut self.bytes, offset - self.base);
        self.bytes.extend_from_slice(&record.timestamp_ms.to_le_bytes());
        record.key.iter().chain(&record.value).for_each(|bytes| put_bytes(&mut self.bytes, bytes));
        if !record.headers.is_empty() {
            put_varint(&mut self.bytes, record.headers.len() as u64);
            for (name, value) in &record.headers {
                put_bytes(&mut self.bytes, name.as_bytes());
                put_bytes(&mut self.bytes, value);
            }
        }
        self.newest_ms = self.newest_ms.max(record.timestamp_ms);
        self.count += 1;
        self.next = offset + 1;
    }

    /// How many records it holds.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Its size on disk so far, before compression.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has reached [`TARGET_BYTES`].
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= TARGET_BYTES
    }

    /// The bytes to be stored under the offset `last`, which no record in it is after.
    pub(crate) fn finish(mut self, last: Offset, bytes_before: u64, horizon_ms: u64) -> Vec<u8> {
        let span = last - self.base;
        self.bytes[0..8].copy_from_slice(&bytes_before.to_le_bytes());
        self.bytes[8..16].copy_from_slice(&self.newest_ms.to_le_bytes());
        self.bytes[16..24].copy_from_slice(&horizon_ms.to_le_bytes());
        self.bytes[24..32].copy_from_slice(&span.to_le_bytes());
        self.bytes[32..36].copy_from_slice(&self.count.to_le_bytes());
        self.bytes
    }
}

/// A chunk read from disk.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    /// The offset it is stored under.
    pub(crate) last: Offset,
    /// The bytes ever appended to the partition before it.
    pub(crate) bytes_before: u64,
    /// The newest timestamp in it.
    pub(crate) newest_ms: i64,
    /// When its tombstones may go, or [`NO_HORIZON`].
    pub(crate) horizon_ms: u64,
    /// How many records it holds.
    pub(crate) count: u32,
    base: Offset,
    bytes: Bytes,
}

impl Chunk {
    /// Reads the header of the chunk stored under `last`.
    pub(crate) fn parse(last: Offset, bytes: Bytes) -> Result<Self, &'static str> {
        let mut header = bytes.get(..HEADER).ok_or("wanted a chunk's header, found fewer bytes")?;
        let mut next = || take_u64(&mut header);
        let (bytes_before, newest, horizon_ms, span) = (next()?, next()?, next()?, next()?);
        let count = header.first_chunk().map(|count| u32::from_le_bytes(*count)).ok_or(TRUNCATED)?;
        let base = last.checked_sub(span).ok_or("wanted a span within the offsets, found a longer one")?;
        let newest_ms = newest.cast_signed();
        Ok(Self { last, bytes_before, newest_ms, horizon_ms, count, base, bytes })
    }

    /// Its size on disk before compression.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Its first possible offset.
    pub(crate) fn base(&self) -> Offset {
        self.base
    }

    /// Its records and their offsets, in order. Their bytes are slices of the chunk's.
    pub(crate) fn records(&self) -> Records<'_> {
        Records { chunk: self, at: HEADER, left: self.count }
    }
}

/// The records of a chunk. After an error it is exhausted.
pub(crate) struct Records<'a> {
    chunk: &'a Chunk,
    at: usize,
    left: u32,
}

impl Iterator for Records<'_> {
    type Item = Result<(Offset, Record), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let record = self.record();
        if record.is_err() {
            self.left = 0;
        }
        Some(record)
    }
}

impl Records<'_> {
    fn record(&mut self) -> Result<(Offset, Record), &'static str> {
        let flags = self.skip(1)?[0];
        let offset = self.chunk.base.checked_add(self.varint()?).ok_or("an offset beyond the last possible")?;
        let timestamp_ms = take_u64(&mut self.skip(8)?)?.cast_signed();
        let key = (flags & HAS_KEY != 0).then(|| self.bytes()).transpose()?;
        let value = (flags & HAS_VALUE != 0).then(|| self.bytes()).transpose()?;
        let mut headers = Vec::new();
        if flags & HAS_HEADERS != 0 {
            for _ in 0..self.varint()? {
                let name = String::from_utf8(self.bytes()?.into()).map_err(|_| "a header's name is not text")?;
                headers.push((Cow::Owned(name), self.bytes()?));
            }
        }
        Ok((offset, Record { key, value, headers, timestamp_ms }))
    }

    fn bytes(&mut self) -> Result<Bytes, &'static str> {
        let length = usize::try_from(self.varint()?).map_err(|_| TRUNCATED)?;
        let start = self.at;
        self.skip(length)?;
        Ok(self.chunk.bytes.slice(start..self.at))
    }

    fn skip(&mut self, length: usize) -> Result<&[u8], &'static str> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.chunk.bytes.len()).ok_or(TRUNCATED)?;
        let skipped = &self.chunk.bytes[self.at..end];
        self.at = end;
        Ok(skipped)
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.chunk.bytes.get(self.at).ok_or(TRUNCATED)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number of more than 64 bits")
    }
}

const TRUNCATED: &str = "wanted more bytes than there are";

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn put_bytes(bytes: &mut Vec<u8>, content: &[u8]) {
    put_varint(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

fn take_u64(bytes: &mut &[u8]) -> Result<u64, &'static str> {
    let (first, rest) = bytes.split_first_chunk().ok_or(TRUNCATED)?;
    *bytes = rest;
    Ok(u64::from_le_bytes(*first))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(chunk: &Chunk) -> Vec<(Offset, Record)> {
        chunk.records().map(|record| record.expect("a whole chunk")).collect()
    }

    prop_compose! {
        fn records()(parts in prop::collection::vec(
            (any::<Option<Vec<u8>>>(), any::<Option<Vec<u8>>>(), any::<i64>(), prop::collection::vec((".*", any::<Vec<u8>>()), 0..3)),
            1..20,
        )) -> Vec<Record> {
            let bytes = |bytes: Option<Vec<u8>>| bytes.map(Bytes::from);
            let headers = |headers: Vec<(String, Vec<u8>)>| {
                headers.into_iter().map(|(name, value)| (Cow::Owned(name), Bytes::from(value))).collect()
            };
            parts
                .into_iter()
                .map(|(key, value, timestamp_ms, notes)| Record { key: bytes(key), value: bytes(value), headers: headers(notes), timestamp_ms })
                .collect()
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(records in records(), base in 0..1_u64 << 40) {
            let mut builder = Builder::new(0);
            records.iter().for_each(|record| builder.push(record));
            let span = records.len() as u64 - 1;
            let newest = records.iter().map(|record| record.timestamp_ms).max();
            let chunk = Chunk::parse(base + span, builder.finish(span, 77, 5).into()).expect("a whole chunk");
            prop_assert_eq!(read(&chunk), (base..).zip(records).collect::<Vec<_>>());
            prop_assert_eq!((chunk.bytes_before, chunk.horizon_ms, Some(chunk.newest_ms)), (77, 5, newest));
        }

        #[test]
        fn broken_bytes_are_an_error_and_never_a_panic(records in records(), cut in any::<prop::sample::Index>(), flip in any::<(prop::sample::Index, u8)>()) {
            let mut builder = Builder::new(0);
            records.iter().for_each(|record| builder.push(record));
            let mut bytes = builder.finish(records.len() as u64, 0, NO_HORIZON);
            let at = flip.0.index(bytes.len());
            bytes[at] ^= flip.1;
            bytes.truncate(cut.index(bytes.len()));
            if let Ok(chunk) = Chunk::parse(1_000, bytes.into()) {
                let _ = chunk.records().take(1_000).count();
            }
        }
    }

    #[test]
    fn offsets_survive_a_gap() {
        let mut builder = Builder::new(100);
        builder.push_at(103, &Record::new("a", "1", 0));
        builder.push_at(250, &Record::tombstone("b", 0));
        let chunk = Chunk::parse(300, builder.finish(300, 0, NO_HORIZON).into()).expect("a whole chunk");
        assert_eq!(chunk.base(), 100);
        assert_eq!(read(&chunk), [(103, Record::new("a", "1", 0)), (250, Record::tombstone("b", 0))]);
    }
}
