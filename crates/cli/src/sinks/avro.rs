//! Records in Avro object container files, by the schemas of the topics.
//!
//! The blocks are not compressed: of the codecs that our build of Avro has, the only one besides none is a deflate that
//! takes many times as long as everything else that happens to a record.

use anyhow::{Context as _, Result};
use apache_avro::Writer;
use musubi_schema::avro::{self, Record, Topic};

use super::Sink;
use super::draft::Draft;

/// Bytes of a block: large enough that its 16-byte mark costs nothing, small enough to be one read of a consumer.
const BLOCK: usize = 256 * 1_024;

/// A sink of this topic's records into this file.
pub(super) fn sink(draft: Draft, topic: Topic) -> Result<Box<dyn Sink>> {
    let place = draft.place();
    let writer = Writer::builder().schema(avro::schema(topic)).writer(draft).block_size(BLOCK).human_readable(false);
    let writer = writer.build().with_context(|| place.clone())?;
    Ok(Box::new(Container { writer, place }))
}

struct Container {
    writer: Writer<'static, Draft>,
    place: String,
}

impl Sink for Container {
    fn write(&mut self, record: &Record<'_>) -> Result<()> {
        self.writer.append_ser(record).with_context(|| self.place.clone()).map(drop)
    }

    fn finish(self: Box<Self>) -> Result<Draft> {
        self.writer.into_inner().context(self.place)
    }
}
