//! The state's writes as records of the changelog, and back.

use std::sync::Arc;
use std::time::Duration;

use super::Settings;
use super::calls::{Cluster, Heard, Message, Place, Reads, View};
use super::client;
use super::footer::{Footer, Sum};
use super::pack;
use crate::{Error, Mutation, Mutations, Offset, Partition, Table, Topic};

/// How long nothing may come while a changelog is read before the read is given up.
const SILENCE: Duration = Duration::from_secs(30);
/// How long is waited for the next record before it is looked at the time.
const PATIENCE: Duration = Duration::from_millis(100);
/// How often is looked whether a transaction is decided.
const LOOK: Duration = Duration::from_millis(5);

/// Writes the key of a state write as its changelog has it: the table's name, a zero, the key. No two tables' keys meet.
pub(super) fn key_into(buffer: &mut Vec<u8>, table: Table, key: &[u8]) {
    buffer.clear();
    buffer.extend_from_slice(table.0.as_bytes());
    buffer.push(0);
    buffer.extend_from_slice(key);
}

fn split<'a>(key: &'a [u8], tables: &[Table]) -> Option<(Table, &'a [u8])> {
    let end = key.iter().position(|byte| *byte == 0)?;
    let table = tables.iter().find(|table| table.0.as_bytes() == &key[..end])?;
    Some((*table, &key[end + 1..]))
}

/// The value that a state write leaves under its key.
///
/// # Errors
/// [`Error::Misuse`] for a range: a compacted topic cannot say that every key of a range is gone.
pub(super) fn value_of<'a>(mutation: &Mutation<'a>) -> Result<Option<&'a [u8]>, Error> {
    match mutation {
        Mutation::Put { value, .. } => Ok(Some(value)),
        Mutation::Delete { .. } => Ok(None),
        Mutation::DeleteRange { .. } => Err(Error::Misuse("a changelog holds single deletes, and no range".to_owned())),
    }
}

/// One batch of a partition's changelog, whole.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) state: Mutations,
    /// Where the changelog goes on.
    pub(super) next: Offset,
}

/// What is known of the batch before the first that is read.
pub(super) enum Before {
    /// There is none, or nobody knows it.
    Nothing,
    /// This is its footer.
    Known(Footer),
    /// Its footer is the first record to be read. The records before it are not read again.
    First,
}

/// Why what is here cannot be brought up to date batch by batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stale {
    /// The footer that it ended with is not there any more: compacted away, or another topic of the same name.
    Gone,
    /// Deletes from after it may have been compacted away.
    Old,
}

/// Reads changelogs to their end.
pub(super) struct Tail<C: Cluster> {
    cluster: Arc<C>,
    consumer: C::Reads,
    asker: C::Reads,
    name: String,
    topic: Topic,
    tables: Vec<Table>,
    uncompacted_ms: i64,
    tombstones_ms: i64,
}

impl<C: Cluster> Tail<C> {
    pub(super) fn open(cluster: &Arc<C>, settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            consumer: cluster.reads(View::Committed)?,
            asker: cluster.reads(View::Written)?,
            cluster: Arc::clone(cluster),
            name: settings.name(&settings.changelog),
            topic: settings.changelog.clone(),
            tables: settings.tables.clone(),
            uncompacted_ms: i64::try_from(settings.uncompacted.as_millis()).unwrap_or(i64::MAX),
            tombstones_ms: i64::try_from(settings.tombstones.as_millis()).unwrap_or(i64::MAX),
        })
    }

    /// The first offset of a topic's partition, and the one after the last, committed or not.
    pub(super) fn bounds(&self, name: &str, partition: Partition) -> Result<(Offset, Offset), Error> {
        watermarks(&self.asker, name, partition)
    }

    /// The end of a changelog once nothing before it is undecided. A client that reads committed records only would be
    /// told an end that leaves out what was committed a moment ago.
    fn settled_end(&self, partition: Partition, patience: Duration) -> Result<Offset, Error> {
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is(crate::sabotage::Bug::StableForEnd) {
            return watermarks(&self.consumer, &self.name, partition).map(|(_, stable)| stable);
        }
        let (_, end) = self.bounds(&self.name, partition)?;
        let deadline = self.cluster.now() + patience;
        loop {
            let (_, stable) = watermarks(&self.consumer, &self.name, partition)?;
            if stable >= end {
                return Ok(end);
            }
            if self.cluster.now() > deadline {
                let what = format!("`{}/{partition}` is still undecided at {stable} of {end}", self.name);
                return Err(Error::Stalled { what });
            }
            self.cluster.pause(LOOK);
        }
    }

    /// What the group has committed of each input of a partition, once nothing of it is undecided.
    ///
    /// # Errors
    /// [`Error::Broker`].
    pub(super) fn committed(&self, settings: &Settings, partition: Partition) -> Result<Vec<(Topic, Offset)>, Error> {
        let place = |topic: &Topic| Place { topic: settings.name(topic), partition, at: 0 };
        let committed = self.consumer.committed(&settings.inputs.iter().map(place).collect::<Vec<_>>());
        let committed = committed.map_err(|why| Error::broker("asking what the group has read", why))?;
        let of = |(topic, offset): (&Topic, Option<Offset>)| Some((topic.clone(), offset?));
        Ok(settings.inputs.iter().zip(committed).filter_map(of).collect())
    }

    fn read_from(&self, partition: Partition, at: Offset) -> Result<(), Error> {
        let assigned = self.consumer.assign(&[Place { topic: self.name.clone(), partition, at }]);
        assigned.map_err(|why| Error::broker("reading a changelog", why))
    }

    /// Whether a state that ends with the footer at `footer` can be brought up to date from what comes after it.
    ///
    /// # Errors
    /// [`Error::Broker`], [`Error::Stalled`].
    pub(super) fn stale(&self, partition: Partition, footer: Offset) -> Result<Option<Stale>, Error> {
        self.read_from(partition, footer)?;
        let deadline = self.cluster.now() + SILENCE;
        loop {
            match self.consumer.poll(PATIENCE, |message| self.judge(&message, footer)) {
                Heard::Message(judged) => return Ok(judged),
                Heard::End => return Ok(Some(Stale::Gone)),
                Heard::Failed(why) if !client::passes(&why) => return Err(Error::broker("reading a changelog", why)),
                Heard::Nothing | Heard::Failed(_) if self.cluster.now() > deadline => {
                    return Err(Error::Stalled { what: format!("nothing came from `{}/{partition}`", self.name) });
                }
                Heard::Nothing | Heard::Failed(_) => {}
            }
        }
    }

    /// Judges a state by the record that should be its last footer.
    fn judge(&self, message: &Message<'_>, footer: Offset) -> Option<Stale> {
        if message.offset != footer || !Footer::is_key(message.key.unwrap_or_default()) {
            return Some(Stale::Gone);
        }
        let written = message.timestamp_ms.unwrap_or_default();
        (self.cluster.wall_ms().saturating_sub(written) > self.tombstones_ms).then_some(Stale::Old)
    }

    /// Hands over every batch from `from` to the end, in order, and returns the last footer. `patience` is how long a
    /// transaction may stay undecided.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where a batch is torn: its records do not match its footer, or it has none.
    pub(super) fn read(
        &self,
        partition: Partition,
        from: Offset,
        before: Before,
        patience: Duration,
        mut each: impl FnMut(Batch) -> Result<(), Error>,
    ) -> Result<Option<Footer>, Error> {
        let end = self.settled_end(partition, patience)?;
        if from >= end {
            return Ok(match before {
                Before::Known(footer) => Some(footer),
                Before::Nothing | Before::First => None,
            });
        }
        self.read_from(partition, from)?;
        let mut gathering = Gathering::new(self, partition, from, before);
        let mut heard = self.cluster.now();
        loop {
            match self.consumer.poll(PATIENCE, |message| gathering.take(&message)) {
                Heard::Message(taken) => {
                    heard = self.cluster.now();
                    if let Some(batch) = taken? {
                        each(batch)?;
                    }
                }
                Heard::End => break,
                Heard::Failed(why) if !client::passes(&why) => return Err(Error::broker("reading a changelog", why)),
                // A broker that is away tells so again and again.
                Heard::Nothing | Heard::Failed(_) if self.cluster.now().saturating_sub(heard) > SILENCE => {
                    return Err(Error::Stalled { what: format!("nothing came from `{}/{partition}`", self.name) });
                }
                Heard::Nothing | Heard::Failed(_) => {}
            }
        }
        gathering.finish(end)
    }
}

fn watermarks(client: &impl Reads, name: &str, partition: Partition) -> Result<(Offset, Offset), Error> {
    let asked = client.watermarks(name, partition);
    asked.map_err(|why| Error::broker(format!("asking where `{name}/{partition}` begins and ends"), why))
}

/// The batch that is being read.
struct Gathering<'a> {
    topic: &'a Topic,
    tables: &'a [Table],
    partition: Partition,
    before: Option<Footer>,
    /// Where the footer of the batch before stands, if it is still to be read.
    first: Option<Offset>,
    state: Mutations,
    sum: Sum,
    /// From then on nothing is compacted, in milliseconds since 1970.
    whole_since: i64,
}

impl<'a> Gathering<'a> {
    fn new<C: Cluster>(tail: &'a Tail<C>, partition: Partition, from: Offset, before: Before) -> Self {
        let whole_since = tail.cluster.wall_ms().saturating_sub(tail.uncompacted_ms);
        let (before, first) = match before {
            Before::Nothing => (None, None),
            Before::Known(footer) => (Some(footer), None),
            Before::First => (None, Some(from)),
        };
        let (topic, tables) = (&tail.topic, tail.tables.as_slice());
        Self { topic, tables, partition, before, first, state: Mutations::new(), sum: Sum::default(), whole_since }
    }

    fn take(&mut self, message: &Message<'_>) -> Result<Option<Batch>, Error> {
        let (offset, key) = (message.offset, message.key.unwrap_or_default());
        if Footer::is_key(key) {
            let footer = Footer::decode(message.value.unwrap_or_default());
            let footer = footer.ok_or_else(|| self.corrupt(offset, "its footer cannot be read"))?;
            if self.first == Some(offset) {
                self.before = Some(footer);
                return Ok(None);
            }
            let compacted = message.timestamp_ms.is_none_or(|at| at < self.whole_since);
            return self.end(footer, offset, compacted).map(Some);
        }
        self.take_in(key, message.value).map_err(|reason| self.corrupt(offset, reason))?;
        self.sum.add(key, message.value);
        Ok(None)
    }

    /// A row of the state, or a pack of them.
    fn take_in(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), &'static str> {
        if let Some((table, at)) = split(key, self.tables) {
            change(&mut self.state, table, at, value);
            return Ok(());
        }
        let table = pack::table_of(key, self.tables).ok_or("its key names no table of the state")?;
        for row in pack::rows(value.unwrap_or_default()) {
            let (at, value) = row.ok_or("its rows cannot be read")?;
            change(&mut self.state, table, at, value);
        }
        Ok(())
    }

    fn end(&mut self, footer: Footer, offset: Offset, compacted: bool) -> Result<Batch, Error> {
        let sum = std::mem::take(&mut self.sum);
        if let Some(reason) = torn(&footer, self.before.as_ref(), &sum, compacted) {
            return Err(self.corrupt(offset, reason));
        }
        self.before = Some(footer);
        Ok(Batch { state: std::mem::take(&mut self.state), next: offset + 1 })
    }

    fn finish(self, end: Offset) -> Result<Option<Footer>, Error> {
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is(crate::sabotage::Bug::SkippedFooter) {
            return Ok(self.before);
        }
        match self.sum.count {
            0 => Ok(self.before),
            _ => Err(self.corrupt(end.saturating_sub(1), "it has no footer: the transaction was torn")),
        }
    }

    fn corrupt(&self, offset: Offset, reason: &'static str) -> Error {
        Error::Corrupt { topic: self.topic.clone(), partition: self.partition, offset, reason }
    }
}

fn change(state: &mut Mutations, table: Table, key: &[u8], value: Option<&[u8]>) {
    match value {
        Some(value) => state.put(table, key, value),
        None => state.delete(table, key),
    }
}

/// Why a batch is not whole, if it is not. Compaction may have taken records and footers away, but never added any.
fn torn(footer: &Footer, before: Option<&Footer>, sum: &Sum, compacted: bool) -> Option<&'static str> {
    #[cfg(feature = "sabotage")]
    if crate::sabotage::is(crate::sabotage::Bug::SkippedFooter) {
        return None;
    }
    if before.is_some_and(|before| footer.batch <= before.batch) {
        return Some("its footer's number does not rise: a batch was written twice");
    }
    if before.is_some_and(|before| footer.batch != before.batch + 1) && !compacted {
        return Some("its footer's number leaves one out: a batch is missing");
    }
    if sum.count > footer.count && before.is_some_and(|before| footer.batch == before.batch + 1) {
        return Some("it holds more records than its footer says");
    }
    if sum.count < footer.count && !compacted {
        return Some("it holds fewer records than its footer says: the transaction was torn");
    }
    if sum.count == footer.count && sum.finish() != footer.hash {
        return Some("its records are not those that its footer was written for");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footer(batch: u64, records: &[(&[u8], &[u8])]) -> (Footer, Sum) {
        let mut sum = Sum::default();
        records.iter().for_each(|(key, value)| sum.add(key, Some(value)));
        (Footer { batch, count: sum.count, hash: sum.finish(), inputs: Vec::new() }, sum)
    }

    #[test]
    fn a_whole_batch_is_whole() {
        let (before, _) = footer(1, &[]);
        let (after, sum) = footer(2, &[(b"a", b"1"), (b"b", b"2")]);
        assert_eq!(torn(&after, Some(&before), &sum, false), None);
        assert_eq!(torn(&after, None, &sum, false), None);
    }

    #[test]
    fn every_way_to_be_torn_is_seen() {
        let (before, _) = footer(1, &[]);
        let (after, _) = footer(2, &[(b"a", b"1"), (b"b", b"2")]);
        let sum = |records: &[(&[u8], &[u8])]| footer(0, records).1;
        let said = |footer: &Footer, records: &[(&[u8], &[u8])]| torn(footer, Some(&before), &sum(records), false);
        assert!(said(&after, &[(b"a", b"1")]).is_some_and(|why| why.contains("fewer")));
        assert!(said(&after, &[(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]).is_some_and(|why| why.contains("more")));
        assert!(said(&after, &[(b"a", b"1"), (b"b", b"9")]).is_some_and(|why| why.contains("not those")));
        let (skipped, whole) = footer(3, &[(b"a", b"1")]);
        assert!(torn(&skipped, Some(&before), &whole, false).is_some_and(|why| why.contains("missing")));
        let (again, whole) = footer(1, &[(b"a", b"1")]);
        assert!(torn(&again, Some(&before), &whole, true).is_some_and(|why| why.contains("twice")));
    }

    #[test]
    fn what_compaction_took_away_is_not_torn() {
        let (before, _) = footer(1, &[]);
        let (after, _) = footer(9, &[(b"a", b"1"), (b"b", b"2")]);
        let left = footer(0, &[(b"b", b"2")]).1;
        assert_eq!(torn(&after, Some(&before), &left, true), None);
    }

    #[test]
    fn keys_of_two_tables_never_meet() {
        let tables = [Table("effects"), Table("seen")];
        let mut buffer = Vec::new();
        key_into(&mut buffer, tables[1], b"\0\x01\0x");
        assert_eq!(split(&buffer, &tables), Some((tables[1], b"\0\x01\0x".as_slice())));
        assert_eq!(split(b"strange\0x", &tables), None);
        assert_eq!(split(b"seen", &tables), None);
    }
}
