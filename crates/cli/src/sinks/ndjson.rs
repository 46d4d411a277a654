//! Records as one JSON object a line.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use musubi_schema::avro::Record;

use super::Sink;
use super::draft::Draft;

/// A sink into this file.
pub(super) fn sink(draft: Draft) -> Box<dyn Sink> {
    Box::new(Lines { draft, line: Vec::new() })
}

struct Lines {
    draft: Draft,
    line: Vec<u8>,
}

impl Sink for Lines {
    fn write(&mut self, record: &Record<'_>) -> Result<()> {
        self.line.clear();
        record.render(&mut self.line);
        self.line.push(b'\n');
        self.draft.write_all(&self.line).with_context(|| self.draft.place())
    }

    fn finish(self: Box<Self>) -> Result<Draft> {
        Ok(self.draft)
    }
}
