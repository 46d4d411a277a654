//! Records as Parquet: flat columns where a record is flat, lists and structs where it is not, and JSON text, the same
//! as in NDJSON, where it may be of any shape.
//!
//! Columns are gathered on the thread of the run; encoding and compressing, which is most of the work, happens on a
//! thread of the file.

mod changes;
mod columns;
mod pieces;
mod plain;
mod profiles;
mod rows;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::properties::WriterProperties;
use anyhow::{Context as _, Result, anyhow};
use arrow_array::RecordBatch;
use musubi_schema::avro::{Record, Topic};

use self::rows::Rows;
use super::Sink;
use super::draft::Draft;

/// Rows handed over at once, at most.
const BATCH_ROWS: usize = 8_192;

/// Bytes of texts handed over at once: beyond it a batch goes early.
const BATCH_BYTES: usize = 8 << 20;

/// Rows of a row group, at most.
const GROUP_ROWS: usize = 1 << 20;

/// Encoded bytes of a row group: what a file holds in memory until it can be written. Five files do so at once.
const GROUP_BYTES: usize = 32 << 20;

/// Batches that may wait for the thread of a file before the run waits for it.
const WAITING: usize = 1;

/// A sink of this topic's records into this file.
pub(super) fn sink(draft: Draft, topic: Topic) -> Result<Box<dyn Sink>> {
    let (place, rows) = (draft.place(), rows::of(topic));
    let level = ZstdLevel::try_new(1).expect("zstd has a level 1");
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(Some(GROUP_BYTES))
        .build();
    let writer = ArrowWriter::try_new(draft, rows.schema(), Some(properties)).with_context(|| place.clone())?;
    let (batches, received) = sync_channel(WAITING);
    let name = topic.name();
    let thread = std::thread::Builder::new().name(format!("write {name}")).spawn(move || encode(writer, &received))?;
    Ok(Box::new(Table { rows, place, batches, thread }))
}

/// Encodes batches as they come, until no more can come.
fn encode(mut writer: ArrowWriter<Draft>, batches: &Receiver<RecordBatch>) -> Result<Draft> {
    for batch in batches {
        writer.write(&batch)?;
    }
    Ok(writer.into_inner()?)
}

struct Table {
    rows: Box<dyn Rows>,
    place: String,
    batches: SyncSender<RecordBatch>,
    thread: JoinHandle<Result<Draft>>,
}

impl Table {
    fn hand_over(&mut self) -> Result<()> {
        let batch = self.rows.take().with_context(|| self.place.clone())?;
        // Nobody receives where the thread ended, which it only does early because of an error: `finish` tells it.
        self.batches.send(batch).map_err(|_| anyhow!("{}: the thread that writes it ended early", self.place))
    }
}

impl Sink for Table {
    fn write(&mut self, record: &Record<'_>) -> Result<()> {
        self.rows.add(record);
        if self.rows.len() >= BATCH_ROWS || self.rows.bytes() >= BATCH_BYTES {
            return self.hand_over();
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Draft> {
        let handed_over = if self.rows.len() > 0 { self.hand_over() } else { Ok(()) };
        let Self { batches, thread, place, .. } = *self;
        drop(batches);
        let written = thread.join().map_err(|_| anyhow!("the thread that writes it panicked"));
        let draft = written.and_then(std::convert::identity).context(place)?;
        handed_over.map(|()| draft)
    }
}
