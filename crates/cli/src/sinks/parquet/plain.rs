//! Records that are flat: the identity map, redirects and the quarantine.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{BinaryBuilder, Int64Builder, StringBuilder};
use arrow_schema::{DataType, Field};
use musubi_schema::avro::Record;

use super::columns::{PERSON_BYTES, add_person, column, optional, text};
use super::rows::Columns;

/// Whose identifiers are.
#[derive(Default)]
pub(super) struct Identities {
    namespace: StringBuilder,
    value: StringBuilder,
    person_id: StringBuilder,
}

impl Columns for Identities {
    fn fields() -> Vec<Field> {
        vec![text("namespace"), text("value"), optional("person_id", DataType::Utf8)]
    }

    fn add(&mut self, record: &Record<'_>) -> usize {
        let Record::Identity(identifier, person) = record else { unreachable!("the identity map holds nothing else") };
        self.namespace.append_value(identifier.namespace_name());
        self.value.append_value(identifier.value());
        add_person(&mut self.person_id, *person);
        identifier.text().len() + PERSON_BYTES
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        vec![Arc::new(self.namespace.finish()), Arc::new(self.value.finish()), Arc::new(self.person_id.finish())]
    }
}

/// The persons that old ids stand for.
#[derive(Default)]
pub(super) struct Redirects {
    from: StringBuilder,
    to: StringBuilder,
}

impl Columns for Redirects {
    fn fields() -> Vec<Field> {
        vec![text("from"), optional("to", DataType::Utf8)]
    }

    fn add(&mut self, record: &Record<'_>) -> usize {
        let Record::Redirect(from, to) = record else { unreachable!("redirects hold nothing else") };
        add_person(&mut self.from, Some(*from));
        add_person(&mut self.to, *to);
        2 * PERSON_BYTES
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        vec![Arc::new(self.from.finish()), Arc::new(self.to.finish())]
    }
}

/// What was set aside.
#[derive(Default)]
pub(super) struct Quarantine {
    source: StringBuilder,
    event_id: StringBuilder,
    reason: StringBuilder,
    detail: StringBuilder,
    file: StringBuilder,
    line: Int64Builder,
    original: BinaryBuilder,
    envelope: StringBuilder,
}

impl Columns for Quarantine {
    fn fields() -> Vec<Field> {
        vec![
            optional("source", DataType::Utf8),
            optional("event_id", DataType::Utf8),
            text("reason"),
            text("detail"),
            optional("file", DataType::Utf8),
            optional("line", DataType::Int64),
            column("original", DataType::Binary),
            optional("envelope", DataType::Utf8),
        ]
    }

    fn add(&mut self, record: &Record<'_>) -> usize {
        let Record::Quarantined(one) = record else { unreachable!("the quarantine holds nothing else") };
        self.source.append_option(one.source);
        self.event_id.append_option(one.event_id);
        self.reason.append_value(one.reason);
        self.detail.append_value(one.detail);
        self.file.append_option(one.file);
        self.line.append_option(one.line.map(|line| i64::try_from(line).unwrap_or(i64::MAX)));
        self.original.append_value(one.original);
        self.envelope.append_option(one.envelope);
        one.original.len() + one.detail.len()
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.source.finish()),
            Arc::new(self.event_id.finish()),
            Arc::new(self.reason.finish()),
            Arc::new(self.detail.finish()),
            Arc::new(self.file.finish()),
            Arc::new(self.line.finish()),
            Arc::new(self.original.finish()),
            Arc::new(self.envelope.finish()),
        ]
    }
}
