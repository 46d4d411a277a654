//! The states of persons: identifiers as a list of structs, instants as instants, the rest of a profile as JSON text.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    BooleanBuilder, Int64Builder, ListBuilder, StringBuilder, StructBuilder, TimestampMicrosecondBuilder,
};
use arrow_schema::{DataType, Field};
use musubi_schema::avro::Record;

use super::columns::{
    PERSON_BYTES, add_count, add_identifiers, add_person, add_time, column, instant, instants, list, optional, pair,
    structs, text,
};
use super::pieces;
use super::rows::Columns;

/// The columns that are JSON text, as they stand in a rendered profile.
const JSON: [&str; 7] = ["traits", "computed", "channels", "recent", "consent", "households", "accounts"];

/// The states of persons.
pub(super) struct Profiles {
    person_id: StringBuilder,
    version: Int64Builder,
    shared: BooleanBuilder,
    identifiers: ListBuilder<StructBuilder>,
    json: [StringBuilder; JSON.len()],
    first_seen: TimestampMicrosecondBuilder,
    last_seen: TimestampMicrosecondBuilder,
    rendered: Vec<u8>,
}

impl Default for Profiles {
    fn default() -> Self {
        Self {
            person_id: StringBuilder::new(),
            version: Int64Builder::new(),
            shared: BooleanBuilder::new(),
            identifiers: structs(&pair()),
            json: Default::default(),
            first_seen: instants(),
            last_seen: instants(),
            rendered: Vec::new(),
        }
    }
}

impl Columns for Profiles {
    fn fields() -> Vec<Field> {
        let head = [
            text("person_id"),
            column("version", DataType::Int64),
            column("shared", DataType::Boolean),
            list("identifiers", pair()),
        ];
        let seen = [optional("first_seen", instant()), optional("last_seen", instant())];
        head.into_iter().chain(JSON.map(text)).chain(seen).collect()
    }

    fn add(&mut self, record: &Record<'_>) -> usize {
        let Record::Profile(snapshot) = record else { unreachable!("profiles hold nothing else") };
        add_person(&mut self.person_id, Some(snapshot.person_id));
        add_count(&mut self.version, snapshot.version);
        self.shared.append_value(snapshot.shared);
        let bytes = add_identifiers(&mut self.identifiers, &snapshot.identifiers);
        add_time(&mut self.first_seen, snapshot.profile.first_seen());
        add_time(&mut self.last_seen, snapshot.profile.last_seen());
        bytes + PERSON_BYTES + self.add_json(record)
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        let head: [ArrayRef; 4] = [
            Arc::new(self.person_id.finish()),
            Arc::new(self.version.finish()),
            Arc::new(self.shared.finish()),
            Arc::new(self.identifiers.finish()),
        ];
        let json = self.json.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        let seen: [ArrayRef; 2] = [Arc::new(self.first_seen.finish()), Arc::new(self.last_seen.finish())];
        head.into_iter().chain(json).chain(seen).collect()
    }
}

impl Profiles {
    fn add_json(&mut self, record: &Record<'_>) -> usize {
        let rendered = render(record, &mut self.rendered);
        let mut found = [None; JSON.len()];
        for (name, value) in pieces::fields(rendered) {
            if let Some(place) = JSON.iter().position(|column| *column == name) {
                found[place] = Some(value);
            }
        }
        for (column, value) in self.json.iter_mut().zip(found) {
            column.append_value(value.unwrap_or("{}"));
        }
        rendered.len()
    }
}

/// The record as NDJSON has it.
pub(super) fn render<'a>(record: &Record<'_>, out: &'a mut Vec<u8>) -> &'a str {
    out.clear();
    record.render(out);
    std::str::from_utf8(out).expect("JSON is made of texts")
}
