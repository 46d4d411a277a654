//! Upkeep: deleting the oldest records, and calling the cleaner where it is due.

use rocksdb::WriteBatch;

use super::keys::{BOOK, Lane, RECORDS};
use super::ledger::Bounds;
use super::settings::{Compaction, Retention};
use super::{Shared, family};
use crate::{Error, Offset};

/// What a round of upkeep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// How far starts moved, summed over partitions: records deleted for their age or number.
    pub retired: u64,
    /// Records removed because a later one of their key superseded them, tombstones among them.
    pub superseded: u64,
}

/// A lane's entry in the book: what cannot be read off its chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sheet {
    /// The first offset that retention has left.
    pub(crate) start: Offset,
    /// Up to here no key has two records.
    pub(crate) clean_to: Offset,
    /// How many records stood before `clean_to` after the last pass.
    pub(crate) clean_records: u64,
    /// The lane's end is not before this, even where its last records were removed.
    pub(crate) end_floor: Offset,
    /// When the last pass was made, and when its first tombstone may go, in milliseconds; 0 where there is none.
    pub(crate) cleaned_ms: u64,
    pub(crate) horizon_ms: u64,
}

impl Sheet {
    fn encode(self) -> Vec<u8> {
        let Self { start, clean_to, clean_records, end_floor, cleaned_ms, horizon_ms } = self;
        [start, clean_to, clean_records, end_floor, cleaned_ms, horizon_ms].map(u64::to_be_bytes).concat()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (fields, []) = bytes.as_chunks::<8>() else { return None };
        let fields: [[u8; 8]; 6] = fields.try_into().ok()?;
        let [start, clean_to, clean_records, end_floor, cleaned_ms, horizon_ms] = fields.map(u64::from_be_bytes);
        Some(Self { start, clean_to, clean_records, end_floor, cleaned_ms, horizon_ms })
    }
}

impl Shared {
    /// One round over all topics.
    pub(crate) fn maintain(&self, now_ms: i64) -> Result<Upkeep, Error> {
        let _alone = self.maintenance.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut upkeep = Upkeep::default();
        for lane in 0..self.catalogue.lane_count() {
            let cleanup = &self.catalogue.lane(lane).1.cleanup;
            if let Some(retention) = cleanup.retention() {
                upkeep.retired += self.retire(lane, retention, now_ms)?;
            }
            if let Some(compaction) = cleanup.compaction() {
                upkeep.superseded += self.clean_if_due(lane, compaction, now_ms)?;
            }
        }
        Ok(upkeep)
    }

    /// The lane's entry in the book.
    pub(crate) fn sheet(&self, lane: usize) -> Result<Sheet, Error> {
        let (on_disk, _) = self.catalogue.lane(lane);
        let Some(bytes) = self.db.get_cf(family(&self.db, BOOK)?, on_disk.bounds())? else {
            return Ok(Sheet::default());
        };
        Sheet::parse(&bytes).ok_or_else(|| self.corrupt(lane, 0, "wanted a lane's bounds of 48 bytes"))
    }

    /// Adds the lane's new entry in the book to the batch.
    pub(crate) fn add_sheet(&self, batch: &mut WriteBatch, lane: Lane, sheet: Sheet) -> Result<(), Error> {
        batch.put_cf(family(&self.db, BOOK)?, lane.bounds(), sheet.encode());
        Ok(())
    }

    fn retire(&self, lane: usize, retention: &Retention, now_ms: i64) -> Result<u64, Error> {
        let bounds = self.ledger.bounds(lane);
        let start = self.retirement(lane, retention, bounds, now_ms)?;
        if start == bounds.start {
            return Ok(0);
        }
        let (on_disk, _) = self.catalogue.lane(lane);
        let sheet = self.sheet(lane)?;
        let sheet = Sheet { start, end_floor: start.max(sheet.end_floor), ..sheet };
        let mut batch = WriteBatch::default();
        batch.delete_range_cf(family(&self.db, RECORDS)?, on_disk.chunk(bounds.start), on_disk.chunk(start));
        self.add_sheet(&mut batch, on_disk, sheet)?;
        // Readers are turned away before the records go, so that none mistakes a deletion for a gap.
        self.ledger.pages().bounds[lane].start = start;
        self.write(batch)?;
        Ok(start - bounds.start)
    }

    /// Where the lane shall start: after the last chunk from its start on that every rule lets go.
    fn retirement(&self, lane: usize, retention: &Retention, bounds: Bounds, now_ms: i64) -> Result<Offset, Error> {
        let spared = if retention.spare_unread { self.slowest_position(lane) } else { None }.unwrap_or(bounds.end);
        let mut start = bounds.start;
        let mut chunks = self.chunks(lane, bounds.start, bounds.end)?;
        while let Some(chunk) = chunks.next()? {
            let (records_after, bytes_after) =
                (bounds.end - chunk.last - 1, bounds.bytes.saturating_sub(chunk.bytes_before + chunk.size() as u64));
            let expired = retention.max_age_ms.is_some_and(|age| chunk.newest_ms < now_ms.saturating_sub(age))
                || retention.max_bytes.is_some_and(|limit| bytes_after >= limit)
                || retention.max_records.is_some_and(|limit| records_after >= limit);
            if !expired || chunk.last >= spared {
                break;
            }
            start = chunk.last + 1;
        }
        Ok(start)
    }

    fn slowest_position(&self, lane: usize) -> Option<Offset> {
        let pages = self.ledger.pages();
        pages.positions.iter().filter(|((_, of), _)| *of == lane).map(|(_, next)| *next).min()
    }

    fn clean_if_due(&self, lane: usize, compaction: &Compaction, now_ms: i64) -> Result<u64, Error> {
        let bounds = self.ledger.bounds(lane);
        let sheet = self.sheet(lane)?;
        let clean_to = sheet.clean_to.max(bounds.start);
        let now = u64::try_from(now_ms).unwrap_or_default();
        if !is_due(sheet, bounds.end - clean_to, compaction, now) {
            return Ok(0);
        }
        self.clean(lane, Sheet { clean_to, ..sheet }, bounds, compaction, now)
    }
}

fn is_due(sheet: Sheet, dirty: u64, compaction: &Compaction, now_ms: u64) -> bool {
    let total = u128::from(dirty) + u128::from(sheet.clean_records);
    let dirty_enough = u128::from(dirty) * 100 >= total * u128::from(compaction.dirty_percent);
    let lags = compaction.max_lag_ms.is_some_and(|limit| now_ms.saturating_sub(sheet.cleaned_ms) >= limit);
    let tombstones_due = sheet.horizon_ms != 0 && sheet.horizon_ms <= now_ms;
    tombstones_due || (dirty > 0 && (dirty_enough || lags))
}
