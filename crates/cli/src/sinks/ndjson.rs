//! Records as one JSON object a line.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use musubi_schema::avro::Record;
use musubi_schema::{
    render_change, render_directive, render_identity, render_profile, render_quarantined, render_redirect,
    render_touchpoint,
};

use super::Sink;
use super::draft::Draft;

/// A sink into this file.
pub(super) fn sink(draft: Draft) -> Box<dyn Sink> {
    Box::new(Lines { draft, line: Vec::new() })
}

/// Appends a record as JSON, without a line's end.
pub(super) fn render(record: &Record<'_>, out: &mut Vec<u8>) {
    match record {
        Record::Touchpoint(touchpoint) => render_touchpoint(touchpoint, out),
        Record::Directive(directive) => render_directive(directive, out),
        Record::Change(change, policy_version) => render_change(change, policy_version, out),
        Record::Profile(snapshot) => render_profile(snapshot, out),
        Record::Identity(identifier, person) => render_identity(identifier, *person, out),
        Record::Redirect(from, to) => render_redirect(*from, *to, out),
        Record::Quarantined(quarantined) => render_quarantined(quarantined, out),
    }
}

struct Lines {
    draft: Draft,
    line: Vec<u8>,
}

impl Sink for Lines {
    fn write(&mut self, record: &Record<'_>) -> Result<()> {
        self.line.clear();
        render(record, &mut self.line);
        self.line.push(b'\n');
        self.draft.write_all(&self.line).with_context(|| self.draft.place())
    }

    fn finish(self: Box<Self>) -> Result<Draft> {
        Ok(self.draft)
    }
}
