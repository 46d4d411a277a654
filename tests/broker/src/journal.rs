//! What the coordinators know, as facts in a journal, so that a restart finds it again, or loses the end of it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::groups::GroupFact;
use crate::offsets::Offset;
use crate::transactions::Txn;

/// One thing that is so, until another fact with the same key says otherwise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Fact {
    Topic { name: String, id: u128, partitions: i32, configs: BTreeMap<String, String> },
    Start { topic: String, partition: i32, offset: i64 },
    Txn(Txn),
    Offset { group: String, topic: String, partition: i32, offset: Offset },
    Pending { group: String, producer: i64, offsets: BTreeMap<String, BTreeMap<i32, Offset>> },
    Group(GroupFact),
    NextProducer(i64),
    LeaderEpoch(i32),
}

impl Fact {
    /// What the fact is about.
    fn key(&self) -> String {
        match self {
            Self::Topic { name, .. } => format!("topic {name}"),
            Self::Start { topic, partition, .. } => format!("start {topic} {partition}"),
            Self::Txn(txn) => format!("txn {}", txn.id),
            Self::Offset { group, topic, partition, .. } => format!("offset {topic} {partition} {group}"),
            Self::Pending { group, producer, .. } => format!("pending {producer} {group}"),
            Self::Group(group) => format!("group {}", group.name),
            Self::NextProducer(_) => "next-producer".to_owned(),
            Self::LeaderEpoch(_) => "leader-epoch".to_owned(),
        }
    }
}

/// A line of the file: a fact, or that it is no longer so.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    key: String,
    fact: Option<Fact>,
}

/// The facts that are safe, and those a restart may lose.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    safe: BTreeMap<String, Fact>,
    tail: Vec<(u64, Line)>,
    file: Option<(PathBuf, File)>,
    /// Lines in the file.
    lines: usize,
}

/// Lines after which the file is written anew: an hour of transactions is a few megabytes then.
const LONG: usize = 50_000;

impl Journal {
    /// Opens the journal's file and writes it anew, without what is superseded. A torn last line is dropped.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let mut journal = Self::default();
        let text = if path.exists() { std::fs::read_to_string(path)? } else { String::new() };
        text.lines().map_while(|line| serde_json::from_str(line).ok()).for_each(|line| journal.settle(line));
        journal.rewrite(path)?;
        Ok(journal)
    }

    fn rewrite(&mut self, path: &Path) -> std::io::Result<()> {
        let safe = self.safe.iter().map(|(key, fact)| Line { key: key.clone(), fact: Some(fact.clone()) });
        let lines = safe.chain(self.tail.iter().map(|(_, line)| line.clone()));
        self.lines = self.safe.len() + self.tail.len();
        let text: String = lines.filter_map(|line| Some(serde_json::to_string(&line).ok()? + "\n")).collect();
        let beside = path.with_extension("new");
        std::fs::write(&beside, text)?;
        std::fs::rename(&beside, path)?;
        self.file = Some((path.to_owned(), OpenOptions::new().append(true).open(path)?));
        Ok(())
    }

    fn settle(&mut self, line: Line) {
        match line.fact {
            Some(fact) => self.safe.insert(line.key, fact),
            None => self.safe.remove(&line.key),
        };
    }

    /// Writes a fact down.
    pub(crate) fn put(&mut self, stamp: u64, fact: Fact) {
        self.push(stamp, Line { key: fact.key(), fact: Some(fact) });
    }

    /// Writes down that the fact with that key is no longer so.
    pub(crate) fn forget(&mut self, stamp: u64, fact: &Fact) {
        self.push(stamp, Line { key: fact.key(), fact: None });
    }

    fn push(&mut self, stamp: u64, line: Line) {
        if let (Some((_, file)), Ok(text)) = (&mut self.file, serde_json::to_string(&line)) {
            // A broker for tests that cannot write goes on in memory, and says so.
            self.lines += 1;
            if let Err(error) = file.write_all((text + "\n").as_bytes()) {
                tracing::error!(%error, "the journal cannot be written");
            }
        }
        self.tail.push((stamp, line));
    }

    /// What was written before that place in the order of writes can no longer be lost.
    pub(crate) fn sync(&mut self, before: u64) {
        let safe = self.tail.partition_point(|(stamp, _)| *stamp < before);
        let lines: Vec<_> = self.tail.drain(..safe).collect();
        lines.into_iter().for_each(|(_, line)| self.settle(line));
        if self.lines > LONG + 2 * self.safe.len() {
            self.rewrite_file();
        }
    }

    /// Loses what is not safe.
    pub(crate) fn lose(&mut self) {
        self.tail.clear();
        self.rewrite_file();
    }

    fn rewrite_file(&mut self) {
        if let Some((path, _)) = self.file.take()
            && let Err(error) = self.rewrite(&path)
        {
            tracing::error!(%error, "the journal cannot be written");
        }
    }

    /// Everything that is so and safe.
    pub(crate) fn facts(&self) -> impl Iterator<Item = Fact> + '_ {
        self.safe.values().cloned()
    }
}
