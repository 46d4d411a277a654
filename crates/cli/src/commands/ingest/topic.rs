//! A topic of the cluster that others write, read from where it was read to: at least once, which is enough, because a
//! copy of an event is known by its id. One process reads a topic.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use musubi_channels::{Record, SetAside, Source, Taken};
use musubi_core::time::Timestamp;
use musubi_log::kafka::Onlooker;
use musubi_log::{Budget, Delivery, Offset, Reader as _, Topic};
use musubi_serve::Piece;

use super::avro::{Unread, Values};
use super::{Args, Count, Intake, progress};
use crate::configuration::Configuration;

/// How much is read of a partition at a time.
const PIECE: Budget = Budget { records: 1_000, bytes: 4 << 20, patience: Duration::ZERO };
/// How long to wait where nothing came.
const PAUSE: Duration = Duration::from_millis(500);

/// Reads the topic of a source.
pub(super) fn take(
    args: &Args,
    intake: &Intake,
    (source, topic): (&Source, &str),
    configuration: &Configuration,
) -> Result<Count> {
    let mut settings = configuration.cluster()?.settings;
    // The topic is somebody else's, and its name is whole.
    settings.prefix = String::new();
    let onlooker = Onlooker::open(&settings)?;
    let topic = Topic::new(topic);
    let path = args.state.join(format!(".{}.positions.musubi", source.settings().name));
    let next = positions(&path)?;
    let values = Values::new(configuration.registry()?);
    let mut reading = Reading { intake, source, onlooker, topic, path, next, values, count: Count::default() };
    let ends = args.once.then(|| reading.ends()).transpose()?;
    loop {
        let moved = reading.round()?;
        match &ends {
            Some(ends) if reading.is_past(ends) => return Ok(reading.count),
            _ if !moved => std::thread::sleep(PAUSE),
            _ => {}
        }
    }
}

type Positions = BTreeMap<u32, Offset>;

fn positions(path: &std::path::Path) -> Result<Positions> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("`{}` holds no positions", path.display())),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(Positions::new()),
        Err(why) => Err(why).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

/// A topic that is being read.
struct Reading<'a> {
    intake: &'a Intake,
    source: &'a Source,
    onlooker: Onlooker,
    topic: Topic,
    /// Where the positions are kept.
    path: PathBuf,
    next: Positions,
    values: Values,
    count: Count,
}

impl Reading<'_> {
    fn ends(&self) -> Result<Positions> {
        let partitions = self.onlooker.partitions(&self.topic)?;
        let end = |partition| Ok((partition, self.onlooker.end_offset(&self.topic, partition)?));
        (0..partitions).map(end).collect()
    }

    fn is_past(&self, ends: &Positions) -> bool {
        ends.iter().all(|(partition, end)| self.next.get(partition).is_some_and(|next| next >= end))
    }

    /// Reads a piece of every partition, puts it in, and keeps where it goes on; whether there was anything.
    fn round(&mut self) -> Result<bool> {
        let (mut pieces, mut next) = (Vec::new(), self.next.clone());
        for partition in 0..self.onlooker.partitions(&self.topic)? {
            let start = self.onlooker.start_offset(&self.topic, partition)?;
            // What retention took before it was read is gone.
            let from = next.get(&partition).copied().unwrap_or(start).max(start);
            let stretch = self.onlooker.read(&self.topic, partition, from, PIECE)?;
            for delivery in &stretch.records {
                pieces.push(Piece { taken: self.record(delivery)?, file: None, row: None });
            }
            next.insert(partition, stretch.next);
        }
        if next == self.next {
            return Ok(false);
        }
        let records = pieces.len() as u64;
        if records > 0 {
            let put = self.intake.outlet.put(pieces)?;
            self.count.add(records, put);
        }
        progress::replace(&self.path, &serde_json::to_vec(&next)?)?;
        self.next = next;
        Ok(true)
    }

    fn record(&mut self, delivery: &Delivery) -> Result<Taken> {
        let record = &delivery.record;
        // When the cluster had it: the same each time it is read.
        let received_at = Timestamp::from_micros(record.timestamp_ms.saturating_mul(1_000));
        let value = match record.value.as_deref().map(|value| self.values.read(value)).transpose() {
            Ok(value) => value,
            Err(Unread::Later(why)) => return Err(why),
            Err(Unread::Never(detail)) => return Ok(self.unreadable(delivery, detail)),
        };
        let headers: Vec<(&str, &[u8])> =
            record.headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        let offset = i64::try_from(delivery.offset).unwrap_or(i64::MAX);
        let position = (self.topic.as_str(), i32::try_from(delivery.partition).unwrap_or(i32::MAX), offset);
        let (key, value) = (record.key.as_deref(), value.as_deref());
        Ok(self.source.take_record(&Record { position, key, value, headers: &headers, received_at }))
    }

    fn unreadable(&self, delivery: &Delivery, detail: String) -> Taken {
        let aside = SetAside {
            source: self.source.settings().name.clone(),
            event_id: None,
            reason: "invalid-avro".into(),
            detail,
            original: delivery.record.value.as_deref().unwrap_or_default().to_vec(),
            item: None,
            // The bytes are no JSON: whoever takes them again needs the registry, and reads the topic once more.
            envelope: None,
        };
        Taken { touchpoints: Vec::new(), set_aside: vec![aside] }
    }
}
