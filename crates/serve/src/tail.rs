//! Tailing: the records of a topic as NDJSON, one object a record, as they come.
//!
//! A line is `{"partition", "offset", "time", "key", "value"}`: `time` is the record's own, in RFC 3339; `value` is the
//! record as the topic's schema has it, null for a tombstone. Messages of the mesh are for those who mend it, and are
//! shown as text. Order is kept within a partition, and nothing is promised between two.

use std::str::FromStr;
use std::time::{Duration, Instant};

use musubi_core::time::Timestamp;
use musubi_log::{Budget, Delivery, Offset, Reader as _, Topic};
use musubi_schema::{avro, render_time};
use musubi_stitcher::Message;
use musubi_stitcher::topics::ALL;
use musubi_store::codec::Decode;

use crate::{Disk, Error};

/// How many records are rendered at once.
const RECORDS: usize = 500;
/// And how many bytes of them.
const BYTES: usize = 1024 * 1024;

/// Where a tail begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum From {
    /// At the oldest record that is left.
    Start,
    /// After the newest record.
    #[default]
    End,
    /// At these offsets of these partitions; at the start of those not named. An offset that retention has passed begins
    /// at what is left, one beyond the end at the end.
    Offsets(Vec<(u32, Offset)>),
}

impl std::fmt::Display for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::End => f.write_str("end"),
            Self::Offsets(offsets) => {
                let pairs: Vec<String> =
                    offsets.iter().map(|(partition, offset)| format!("{partition}:{offset}")).collect();
                f.write_str(&pairs.join(","))
            }
        }
    }
}

impl FromStr for From {
    type Err = String;

    /// `start`, `end`, or `PARTITION:OFFSET,…`.
    fn from_str(text: &str) -> Result<Self, String> {
        let pair = |pair: &str| {
            let (partition, offset) = pair.split_once(':')?;
            Some((partition.trim().parse().ok()?, offset.trim().parse().ok()?))
        };
        match text {
            "start" => Ok(Self::Start),
            "end" => Ok(Self::End),
            offsets => offsets
                .split(',')
                .map(pair)
                .collect::<Option<_>>()
                .map(Self::Offsets)
                .ok_or_else(|| format!("wanted `start`, `end` or `PARTITION:OFFSET,…`, found `{text}`")),
        }
    }
}

/// The topic of that name; none where there is none.
pub(crate) fn topic(name: &str) -> Option<Topic> {
    ALL.into_iter().find(|topic| topic.as_str() == name)
}

/// A reader of all partitions of a topic.
pub struct Tail {
    disk: Disk,
    topic: Topic,
    next: Vec<Offset>,
}

impl Tail {
    /// A tail of the topic with that name; none where there is none.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub fn open(disk: Disk, name: &str, from: &From) -> Result<Option<Self>, Error> {
        let Some(topic) = topic(name) else { return Ok(None) };
        let next =
            (0..disk.partitions).map(|partition| first(&disk, &topic, partition, from)).collect::<Result<_, _>>()?;
        Ok(Some(Self { disk, topic, next }))
    }

    /// Appends the lines of what can be read now; how many there were. Where nothing is left it appends nothing.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub fn read(&mut self, lines: &mut Vec<u8>) -> Result<usize, Error> {
        let mut count = 0;
        let budget = Budget { bytes: BYTES, ..Budget::records(RECORDS) };
        for partition in 0..self.disk.partitions {
            let next = &mut self.next[partition as usize];
            // What was deleted while nobody looked is passed over: a tail shows what there is.
            *next = (*next).max(self.disk.log.start_offset(&self.topic, partition)?);
            let stretch = self.disk.log.read(&self.topic, partition, *next, budget)?;
            *next = stretch.next;
            count += stretch.records.len();
            stretch.records.iter().for_each(|record| render(record, lines));
        }
        Ok(count)
    }

    /// Waits until something is published to the log, or for so long, unless `read` since `mark` would find it.
    pub fn wait(&self, mark: u64, patience: Duration) {
        self.disk.log.wait_past(mark, Instant::now() + patience);
    }

    /// A mark to wait from: taken before [`Self::read`], nothing is missed.
    pub fn mark(&self) -> u64 {
        self.disk.log.mark()
    }
}

fn first(disk: &Disk, topic: &Topic, partition: u32, from: &From) -> Result<Offset, Error> {
    let (start, end) = (disk.log.start_offset(topic, partition)?, disk.log.end_offset(topic, partition)?);
    Ok(match from {
        From::Start => start,
        From::End => end,
        From::Offsets(offsets) => {
            let wanted = offsets.iter().find(|(of, _)| *of == partition).map_or(start, |(_, offset)| *offset);
            wanted.clamp(start, end)
        }
    })
}

fn render(delivery: &Delivery, out: &mut Vec<u8>) {
    let record = &delivery.record;
    let time = Timestamp::from_micros(record.timestamp_ms.saturating_mul(1_000));
    line((delivery.partition, delivery.offset, time), record.key.as_deref(), out, |out| {
        match record.value.as_deref() {
            Some(value) => shown(&delivery.topic, value, out),
            None => {
                out.extend_from_slice(b"null");
                Ok(())
            }
        }
    });
}

/// Appends the line of a record: its partition, offset and time, its key, and its value as `show` appends it. One that
/// cannot be shown is shown as what is wrong with it: nobody stops for it.
pub(crate) fn line(
    (partition, offset, time): (u32, Offset, Timestamp),
    key: Option<&[u8]>,
    out: &mut Vec<u8>,
    show: impl FnOnce(&mut Vec<u8>) -> Result<(), String>,
) {
    out.extend_from_slice(format!("{{\"partition\":{partition},\"offset\":{offset},\"time\":\"").as_bytes());
    render_time(time, out);
    out.extend_from_slice(b"\",\"key\":");
    json(&key.map(String::from_utf8_lossy), out);
    out.extend_from_slice(b",\"value\":");
    let start = out.len();
    if let Err(why) = show(out) {
        out.truncate(start);
        json(&serde_json::json!({ "unreadable": why }), out);
    }
    out.extend_from_slice(b"}\n");
}

/// Appends the value of a record.
fn shown(topic: &Topic, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    match avro::Topic::ALL.into_iter().find(|schema| schema.name() == topic.as_str()) {
        Some(schema) => avro::to_json(schema, bytes, out).map_err(|why| why.to_string()),
        None => {
            let message = Message::decode(&mut &bytes[..]).map_err(|why| why.to_string())?;
            json(&format!("{message:?}"), out);
            Ok(())
        }
    }
}

fn json(value: &impl serde::Serialize, out: &mut Vec<u8>) {
    let text = serde_json::to_vec(value);
    out.extend_from_slice(text.as_deref().unwrap_or(b"null"));
}
