//! A partition of a topic: records, the marks of transactions, and how far readers of committed records see.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Bytes, Offset, Record};

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Committed,
    Aborted,
}

#[derive(Clone, Debug)]
struct Entry {
    offset: Offset,
    /// None is the mark of a transaction.
    record: Option<Record>,
    writer: Option<u64>,
    fate: Fate,
}

/// A partition of a topic.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    entries: Vec<Entry>,
    start: Offset,
    end: Offset,
    /// The first offset of each open transaction, by its writer.
    open: BTreeMap<u64, Offset>,
}

impl Lane {
    /// Appends a record; one of a transaction is undecided until its mark.
    pub(super) fn append(&mut self, record: Record, writer: Option<u64>) -> Offset {
        let fate = if writer.is_some() { Fate::Open } else { Fate::Committed };
        if let Some(writer) = writer {
            self.open.entry(writer).or_insert(self.end);
        }
        self.push(Some(record), writer, fate)
    }

    /// Writes the mark of a writer's transaction.
    pub(super) fn mark(&mut self, writer: u64, commit: bool) {
        let fate = if commit { Fate::Committed } else { Fate::Aborted };
        if let Some(first) = self.open.remove(&writer) {
            let from = self.entries.partition_point(|entry| entry.offset < first);
            for entry in &mut self.entries[from..] {
                if entry.writer == Some(writer) && entry.fate == Fate::Open {
                    entry.fate = fate;
                }
            }
        }
        self.push(None, Some(writer), fate);
    }

    fn push(&mut self, record: Option<Record>, writer: Option<u64>, fate: Fate) -> Offset {
        let offset = self.end;
        self.entries.push(Entry { offset, record, writer, fate });
        self.end += 1;
        offset
    }

    /// The first offset that is there.
    pub(super) const fn start(&self) -> Offset {
        self.start
    }

    /// The offset that the next entry gets.
    pub(super) const fn end(&self) -> Offset {
        self.end
    }

    /// The last stable offset: up to there everything is decided.
    pub(super) fn stable(&self) -> Offset {
        self.open.values().min().copied().unwrap_or(self.end)
    }

    /// The first committed record at `from` or after, below the last stable offset.
    pub(super) fn committed(&self, from: Offset) -> Option<(Offset, &Record)> {
        let stable = self.stable();
        let first = self.entries.partition_point(|entry| entry.offset < from);
        let below = self.entries[first..].iter().take_while(|entry| entry.offset < stable);
        let mut seen = below.filter(|entry| entry.fate == Fate::Committed);
        seen.find_map(|entry| Some((entry.offset, entry.record.as_ref()?)))
    }

    /// Deletes what is before an offset.
    pub(super) fn purge(&mut self, before: Offset) {
        self.start = self.start.max(before.min(self.stable()));
        let kept = self.entries.partition_point(|entry| entry.offset < self.start);
        self.entries.drain(..kept);
    }

    /// Keeps the last record of each key among those that are decided and older than `old`; deletes older than `deletes`
    /// go, too, and with them what was aborted and the marks.
    pub(super) fn compact(&mut self, old: i64, deletes: i64) {
        let stable = self.stable();
        let is_old = |entry: &Entry| {
            entry.offset < stable && entry.record.as_ref().is_none_or(|record| record.timestamp_ms < old)
        };
        let cleaned = self.entries.iter().position(|entry| !is_old(entry)).unwrap_or(self.entries.len());
        let mut seen = BTreeSet::<Bytes>::new();
        let mut kept = Vec::with_capacity(self.entries.len());
        for entry in self.entries.drain(..cleaned).rev() {
            let Some(record) = entry.record.as_ref().filter(|_| entry.fate == Fate::Committed) else { continue };
            let last = seen.insert(record.key.clone().unwrap_or_default());
            if last && (record.value.is_some() || record.timestamp_ms >= deletes) {
                kept.push(entry);
            }
        }
        kept.reverse();
        kept.append(&mut self.entries);
        self.entries = kept;
    }
}
