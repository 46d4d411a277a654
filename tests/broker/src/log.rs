//! The log of one partition: batches at offsets, who produced them, and which transactions are open in it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use tokio::sync::Notify;

use crate::batch::Batch;

/// Batches remembered of each producer, to know a repeated one: Kafka's number.
const REMEMBERED: usize = 5;
/// Stands for a producer of which nothing is known.
const NO_EPOCH: i16 = -1;

/// What the broker knows of a producer in this partition.
#[derive(Debug)]
struct Producer {
    epoch: i16,
    recent: VecDeque<Sent>,
    /// Where its open transaction begins.
    open: Option<i64>,
}

#[derive(Debug)]
struct Sent {
    first: i32,
    last: i32,
    offset: i64,
}

/// A transaction that was aborted, as a consumer must know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aborted {
    pub(crate) producer: i64,
    pub(crate) first: i64,
    last: i64,
}

/// What of a log a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    Uncommitted,
    Committed,
}

/// What a read found: whole batches, the first of which may begin before the offset asked for.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) batches: Vec<Batch>,
    pub(crate) bytes: usize,
    pub(crate) aborted: Vec<Aborted>,
}

/// The log of one partition.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The first offset that may be read.
    pub(crate) start: i64,
    /// The offset that the next record gets; with one replica also the high watermark.
    pub(crate) end: i64,
    pub(crate) batches: VecDeque<Batch>,
    producers: HashMap<i64, Producer>,
    /// First offset of each open transaction, and whose it is.
    open: BTreeMap<i64, i64>,
    aborted: Vec<Aborted>,
    /// Leader epochs, and the offset at which each began.
    epochs: Vec<(i32, i64)>,
    waiters: Vec<Arc<Notify>>,
    file: Option<(PathBuf, File)>,
}

impl Log {
    /// A log that is kept in a file too, with what the file holds. A torn end is cut off.
    pub(crate) fn open(path: &Path, start: i64) -> std::io::Result<Self> {
        let mut log = Self { start, end: start, ..Self::default() };
        let bytes = if path.exists() { Bytes::from(std::fs::read(path)?) } else { Bytes::new() };
        log.batches = whole_batches(bytes).into();
        // When they were appended is not in the file; the youngest record of each is what Kafka goes by, too.
        log.batches.iter_mut().for_each(|batch| batch.appended = batch.max_timestamp());
        log.recover();
        log.file = Some((path.to_owned(), OpenOptions::new().create(true).append(true).open(path)?));
        log.rewrite()?;
        Ok(log)
    }

    /// The last stable offset: below it no transaction is open.
    pub(crate) fn stable(&self) -> i64 {
        self.open.keys().next().copied().unwrap_or(self.end)
    }

    pub(crate) fn limit(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::Uncommitted => self.end,
            Isolation::Committed => self.stable(),
        }
    }

    /// Whether that producer has a transaction open here, in that epoch.
    pub(crate) fn has_open(&self, producer: i64, epoch: i16) -> bool {
        self.producers.get(&producer).is_some_and(|known| known.open.is_some() && known.epoch == epoch)
    }

    /// Appends a producer's batches and returns the offset of the first; of a repeated batch, the offset that it has.
    pub(crate) fn append(&mut self, batches: Vec<Batch>, epoch: i32, stamp: u64, now: i64) -> Answer<i64> {
        let mut first = None;
        for batch in batches {
            let offset = match self.check(&batch)? {
                Some(known) => known,
                None => self.push(batch, epoch, stamp, now)?,
            };
            first.get_or_insert(offset);
        }
        self.wake();
        first.ok_or(ResponseError::InvalidRecord)
    }

    /// Ends a producer's transaction here. A marker for no open transaction is written too, as Kafka does.
    pub(crate) fn mark(&mut self, batch: Batch, epoch: i32, stamp: u64, now: i64) -> Answer<()> {
        let known = self.producers.get(&batch.producer());
        if known.is_some_and(|known| batch.producer_epoch() < known.epoch) {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        self.push(batch, epoch, stamp, now)?;
        self.wake();
        Ok(())
    }

    /// The rules of idempotence. `Some` is the offset of the same batch, appended before.
    fn check(&self, batch: &Batch) -> Answer<Option<i64>> {
        if batch.producer() < 0 {
            return Ok(None);
        }
        let Some(known) = self.producers.get(&batch.producer()) else { return Ok(None) };
        if batch.producer_epoch() < known.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        let (first, last) = (batch.first_sequence(), batch.last_sequence());
        let new_epoch = batch.producer_epoch() > known.epoch;
        if !new_epoch && let Some(sent) = known.recent.iter().find(|sent| sent.first == first && sent.last == last) {
            return Ok(Some(sent.offset));
        }
        let wanted = match known.recent.back() {
            Some(sent) if !new_epoch => sent.last.checked_add(1).unwrap_or(0),
            // Nothing is known of this epoch: it begins at 0, but for a producer whose records are all gone.
            _ if known.epoch == NO_EPOCH => first,
            _ => 0,
        };
        if first != wanted {
            return Err(ResponseError::OutOfOrderSequenceNumber);
        }
        if known.open.is_some() && !batch.is_transactional() {
            return Err(ResponseError::InvalidTxnState);
        }
        Ok(None)
    }

    fn push(&mut self, mut batch: Batch, epoch: i32, stamp: u64, now: i64) -> Answer<i64> {
        (batch.base, batch.epoch, batch.stamp, batch.appended) = (self.end, epoch, stamp, now);
        if let Some((_, file)) = &mut self.file {
            let mut bytes = BytesMut::with_capacity(batch.size());
            batch.write(&mut bytes);
            file.write_all(&bytes).map_err(|_| ResponseError::KafkaStorageError)?;
        }
        self.note(&batch);
        let offset = batch.base;
        self.batches.push_back(batch);
        Ok(offset)
    }

    /// Learns from a batch that is now the last one.
    fn note(&mut self, batch: &Batch) {
        self.end = batch.last() + 1;
        if self.epochs.last().is_none_or(|&(epoch, _)| epoch < batch.epoch) {
            self.epochs.push((batch.epoch, batch.base));
        }
        if batch.producer() < 0 {
            return;
        }
        let fresh = || Producer { epoch: NO_EPOCH, recent: VecDeque::new(), open: None };
        let known = self.producers.entry(batch.producer()).or_insert_with(fresh);
        if batch.producer_epoch() != known.epoch {
            known.epoch = batch.producer_epoch();
            known.recent.clear();
        }
        if batch.is_control() {
            if let Some(first) = known.open.take() {
                self.open.remove(&first);
                if !batch.commits() {
                    self.aborted.push(Aborted { producer: batch.producer(), first, last: batch.base });
                }
            }
            return;
        }
        if known.recent.len() == REMEMBERED {
            known.recent.pop_front();
        }
        known.recent.push_back(Sent { first: batch.first_sequence(), last: batch.last_sequence(), offset: batch.base });
        if batch.is_transactional() && known.open.is_none() {
            known.open = Some(batch.base);
            self.open.insert(batch.base, batch.producer());
        }
    }

    /// Index of the first batch that ends at the offset or after it.
    pub(crate) fn index(&self, offset: i64) -> usize {
        self.batches.partition_point(|batch| batch.last() < offset)
    }

    /// Whole batches from the offset on, up to `room` bytes, but always one.
    pub(crate) fn read(&self, offset: i64, room: usize, isolation: Isolation) -> Answer<Found> {
        if offset < self.start || offset > self.end {
            return Err(ResponseError::OffsetOutOfRange);
        }
        let limit = self.limit(isolation);
        let mut found = Found::default();
        for batch in self.batches.range(self.index(offset)..).take_while(|batch| batch.base < limit) {
            if found.bytes > 0 && found.bytes + batch.size() > room {
                break;
            }
            found.bytes += batch.size();
            found.batches.push(batch.clone());
        }
        if let (Isolation::Committed, Some(last)) = (isolation, found.batches.last()) {
            let end = last.last();
            found.aborted =
                self.aborted.iter().filter(|gone| gone.last >= offset && gone.first <= end).copied().collect();
        }
        Ok(found)
    }

    /// The first record at that time or later: its offset and its time.
    pub(crate) fn at_time(&self, time: i64, isolation: Isolation) -> Answer<Option<(i64, i64)>> {
        let limit = self.limit(isolation);
        let later = |batch: &&Batch| batch.max_timestamp() >= time && !batch.is_control();
        for batch in self.batches.iter().take_while(|batch| batch.base < limit).filter(later) {
            for entry in batch.entries()? {
                let (offset, at) = (batch.base + entry.offset_delta, batch.base_timestamp() + entry.timestamp_delta);
                if at >= time && offset >= self.start {
                    return Ok(Some((offset, at)));
                }
            }
        }
        Ok(None)
    }

    /// The greatest epoch that is not above the one asked for, and where it ends.
    pub(crate) fn epoch_end(&self, epoch: i32, current: i32) -> (i32, i64) {
        if epoch >= current {
            return (if epoch == current { epoch } else { -1 }, if epoch == current { self.end } else { -1 });
        }
        let next = self.epochs.partition_point(|&(known, _)| known <= epoch);
        let end = self.epochs.get(next).map_or(self.end, |&(_, start)| start);
        match next.checked_sub(1).and_then(|at| self.epochs.get(at)) {
            Some(&(known, _)) => (known, end),
            None => (epoch, self.epochs.first().map_or(self.end, |&(_, start)| start)),
        }
    }

    pub(crate) fn epoch_at(&self, offset: i64) -> i32 {
        self.batches.get(self.index(offset)).or(self.batches.back()).map_or(-1, |batch| batch.epoch)
    }

    /// Whether the batch belongs to a transaction that was aborted.
    pub(crate) fn is_aborted(&self, batch: &Batch) -> bool {
        let of = |gone: &Aborted| gone.producer == batch.producer() && (gone.first..=gone.last).contains(&batch.base);
        batch.is_transactional() && self.aborted.iter().any(of)
    }

    /// Rings when something was appended or became stable.
    pub(crate) fn wait(&mut self, waiter: &Arc<Notify>) {
        if !self.waiters.iter().any(|known| Arc::ptr_eq(known, waiter)) {
            self.waiters.push(Arc::clone(waiter));
        }
    }

    fn wake(&mut self) {
        self.waiters.drain(..).for_each(|waiter| waiter.notify_one());
    }

    /// Forgets what is below the offset.
    pub(crate) fn drop_below(&mut self, offset: i64) {
        self.start = self.start.max(offset.min(self.end));
        while self.batches.front().is_some_and(|batch| batch.last() < self.start) {
            self.batches.pop_front();
        }
        let start = self.start;
        self.aborted.retain(|gone| gone.last >= start);
        let _ = self.rewrite();
    }

    /// Loses every batch that was written at that place in the order of writes or later.
    pub(crate) fn lose(&mut self, from: u64) {
        while self.batches.back().is_some_and(|batch| batch.stamp >= from) {
            self.batches.pop_back();
        }
    }

    /// Learns everything anew from the batches, as a broker does that starts.
    pub(crate) fn recover(&mut self) {
        (self.end, self.producers, self.open) = (self.start, HashMap::new(), BTreeMap::new());
        (self.aborted, self.epochs) = (Vec::new(), Vec::new());
        let batches = std::mem::take(&mut self.batches);
        batches.iter().for_each(|batch| self.note(batch));
        self.batches = batches;
        self.end = self.end.max(self.start);
        self.wake();
    }

    /// Lets go of the file and of who waits, because the topic is gone.
    pub(crate) fn close(&mut self) {
        self.file = None;
        self.wake();
    }

    /// Writes the file anew.
    pub(crate) fn rewrite(&mut self) -> std::io::Result<()> {
        let Some((path, _)) = &self.file else { return Ok(()) };
        let mut bytes = BytesMut::new();
        self.batches.iter().for_each(|batch| batch.write(&mut bytes));
        let beside = path.with_extension("new");
        std::fs::write(&beside, &bytes)?;
        std::fs::rename(&beside, path)?;
        let file = OpenOptions::new().append(true).open(path)?;
        self.file = Some((path.clone(), file));
        Ok(())
    }
}

/// A result as the wire knows it.
pub(crate) type Answer<T> = Result<T, ResponseError>;

/// The batches at the front of a file, up to the first that is torn.
fn whole_batches(mut bytes: Bytes) -> Vec<Batch> {
    let mut batches = Vec::new();
    while let Ok(batch) = Batch::cut(&mut bytes) {
        batches.push(batch);
    }
    batches
}
