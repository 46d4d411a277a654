//! Compaction by key, as Kafka's cleaner does it: a pass maps the keys of the dirty part to their last offsets, as many
//! as its memory allows, and then walks the lane from its start to there, leaving out what the map supersedes.
//!
//! No record moves to another offset. Chunks that have become small are poured together, so that the lane's entries
//! shrink with its records. A pass that dies halfway has only removed what was superseded; the next one does it again.

use std::collections::HashMap;

use rocksdb::WriteBatch;

use super::chunk::{Builder, Chunk, NO_HORIZON, TARGET_BYTES};
use super::keys::{Lane, RECORDS};
use super::ledger::Bounds;
use super::maintain::Sheet;
use super::settings::Compaction;
use super::{Shared, family};
use crate::{Error, Offset, Record};

/// What a key costs in the map besides its own bytes: the entry, its share of empty room, and the allocation.
const MAP_ENTRY_BYTES: usize = 64;

/// How many bytes of rewritten chunks go into one RocksDB write.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The last offset of each key in a stretch. Only looked up, never iterated.
struct LastOffsets {
    offsets: HashMap<Box<[u8]>, Offset>,
    /// The stretch ends before this.
    end: Offset,
}

impl LastOffsets {
    fn supersedes(&self, offset: Offset, record: &Record) -> bool {
        let last = record.key.as_ref().and_then(|key| self.offsets.get(key.as_ref()));
        last.is_some_and(|last| *last > offset)
    }
}

impl Shared {
    /// One pass over the lane. Returns how many records it removed.
    pub(crate) fn clean(
        &self,
        lane: usize,
        sheet: Sheet,
        bounds: Bounds,
        compaction: &Compaction,
        now_ms: u64,
    ) -> Result<u64, Error> {
        let last = self.last_offsets(lane, sheet.clean_to, bounds.end, compaction.memory_bytes)?;
        let mut rewriter = Rewriter::new(self, lane);
        let mut chunks = self.chunks(lane, bounds.start, last.end)?;
        while let Some(chunk) = chunks.next()? {
            let swept = self.sweep(lane, &chunk, &last, compaction, now_ms)?;
            rewriter.take(chunk, swept)?;
        }
        let (kept, removed, horizon) = rewriter.finish()?;
        let horizon_ms = if horizon == NO_HORIZON { 0 } else { horizon };
        let (clean_to, end_floor) = (last.end, last.end.max(sheet.end_floor));
        let sheet = Sheet { clean_to, clean_records: kept, end_floor, cleaned_ms: now_ms, horizon_ms, ..sheet };
        let mut batch = WriteBatch::default();
        self.add_sheet(&mut batch, self.catalogue.lane(lane).0, sheet)?;
        self.write(batch)?;
        Ok(removed)
    }

    fn last_offsets(&self, lane: usize, from: Offset, end: Offset, memory: usize) -> Result<LastOffsets, Error> {
        let mut last = LastOffsets { offsets: HashMap::new(), end };
        let mut used = 0;
        let mut chunks = self.chunks(lane, from, end)?;
        while let Some(chunk) = chunks.next()? {
            for record in chunk.records() {
                let (offset, record) = record.map_err(|reason| self.corrupt(lane, chunk.last, reason))?;
                let Some(key) = record.key.filter(|_| offset >= from) else { continue };
                used += key.len() + MAP_ENTRY_BYTES;
                last.offsets.insert(key.as_ref().into(), offset);
            }
            if used >= memory {
                last.end = chunk.last + 1;
                break;
            }
        }
        Ok(last)
    }

    /// What a pass leaves of a chunk.
    fn sweep(
        &self,
        lane: usize,
        chunk: &Chunk,
        last: &LastOffsets,
        compaction: &Compaction,
        now_ms: u64,
    ) -> Result<Swept, Error> {
        let mut swept = Swept { records: Vec::with_capacity(chunk.count as usize), horizon_ms: NO_HORIZON };
        for record in chunk.records() {
            let (offset, record) = record.map_err(|reason| self.corrupt(lane, chunk.last, reason))?;
            // An earlier pass that saw the tombstone removed everything under it, so nothing can come back.
            let buried = record.value.is_none() && chunk.horizon_ms <= now_ms;
            if buried || last.supersedes(offset, &record) {
                continue;
            }
            if record.value.is_none() {
                swept.horizon_ms = chunk.horizon_ms.min(now_ms.saturating_add(compaction.tombstone_delay_ms));
            }
            swept.records.push((offset, record));
        }
        Ok(swept)
    }
}

/// What is left of a chunk.
struct Swept {
    records: Vec<(Offset, Record)>,
    horizon_ms: u64,
}

/// Writes chunks back: large ones that did not change stay where they are, the others are poured together.
struct Rewriter<'a> {
    shared: &'a Shared,
    on_disk: Lane,
    batch: WriteBatch,
    pouring: Option<Pouring>,
    kept: u64,
    removed: u64,
    /// When the first of the tombstones kept may go.
    first_horizon_ms: u64,
}

/// Chunks being poured into one.
struct Pouring {
    builder: Builder,
    bytes_before: u64,
    horizon_ms: u64,
    /// The chunks it replaces, by last offset.
    replaced: Vec<Offset>,
    /// Whether it differs from what is on disk.
    changed: bool,
}

impl<'a> Rewriter<'a> {
    fn new(shared: &'a Shared, lane: usize) -> Self {
        let (on_disk, _) = shared.catalogue.lane(lane);
        Self {
            shared,
            on_disk,
            batch: WriteBatch::default(),
            pouring: None,
            kept: 0,
            removed: 0,
            first_horizon_ms: NO_HORIZON,
        }
    }

    fn take(&mut self, chunk: Chunk, swept: Swept) -> Result<(), Error> {
        let left = swept.records.len() as u64;
        self.kept += left;
        self.removed += u64::from(chunk.count) - left;
        self.first_horizon_ms = self.first_horizon_ms.min(swept.horizon_ms);
        let changed = left != u64::from(chunk.count) || swept.horizon_ms != chunk.horizon_ms;
        if !changed && chunk.size() >= TARGET_BYTES / 2 {
            return self.pour_out();
        }
        let pouring = self.pouring.get_or_insert_with(|| Pouring {
            builder: Builder::new(chunk.base()),
            bytes_before: chunk.bytes_before,
            horizon_ms: NO_HORIZON,
            replaced: Vec::new(),
            changed: false,
        });
        pouring.changed |= changed || !pouring.replaced.is_empty();
        pouring.horizon_ms = later_horizon(pouring.horizon_ms, swept.horizon_ms);
        pouring.replaced.push(chunk.last);
        swept.records.iter().for_each(|(offset, record)| pouring.builder.push_at(*offset, record));
        if pouring.builder.is_full() { self.pour_out() } else { Ok(()) }
    }

    fn pour_out(&mut self) -> Result<(), Error> {
        let Some(mut pouring) = self.pouring.take().filter(|pouring| pouring.changed) else { return Ok(()) };
        let records = family(&self.shared.db, RECORDS)?;
        if let (false, Some(last)) = (pouring.builder.count() == 0, pouring.replaced.last().copied()) {
            pouring.replaced.pop();
            let bytes = pouring.builder.finish(last, pouring.bytes_before, pouring.horizon_ms);
            self.batch.put_cf(records, self.on_disk.chunk(last), bytes);
        }
        for last in pouring.replaced {
            self.batch.delete_cf(records, self.on_disk.chunk(last));
        }
        if self.batch.size_in_bytes() >= BATCH_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Error> {
        Ok(self.shared.write(std::mem::take(&mut self.batch))?)
    }

    /// How many records it kept, how many it removed, and when the first tombstone kept may go.
    fn finish(mut self) -> Result<(u64, u64, u64), Error> {
        self.pour_out()?;
        self.write()?;
        Ok((self.kept, self.removed, self.first_horizon_ms))
    }
}

/// Poured together, tombstones wait for the last of them; a chunk without any has no say.
fn later_horizon(left: u64, right: u64) -> u64 {
    match (left, right) {
        (NO_HORIZON, horizon) | (horizon, NO_HORIZON) => horizon,
        (left, right) => left.max(right),
    }
}
