//! Changes of persons: lists of structs for what changed and who joined or left, with values before and after as JSON.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{Int64Builder, ListBuilder, StringBuilder, StructBuilder};
use arrow_schema::{DataType, Field};
use musubi_core::change::{Cause, ProfileChange};
use musubi_core::person::PersonId;
use musubi_schema::avro::Record;

use super::columns::{
    PERSON_BYTES, add_count, add_identifiers, add_person, column, list, one_struct, optional, pair, part, structs,
    text, texts,
};
use super::pieces;
use super::profiles::render;
use super::rows::Columns;

/// Changes of persons.
pub(super) struct Changes {
    person_id: StringBuilder,
    version: Int64Builder,
    kind: StringBuilder,
    changes: ListBuilder<StructBuilder>,
    joined: ListBuilder<StructBuilder>,
    left: ListBuilder<StructBuilder>,
    from: ListBuilder<StringBuilder>,
    into: StringBuilder,
    cause: StructBuilder,
    policy_version: StringBuilder,
    rendered: Vec<u8>,
}

/// A field that changed.
fn field() -> DataType {
    let fields = vec![text("field"), optional("before", DataType::Utf8), optional("after", DataType::Utf8)];
    DataType::Struct(fields.into())
}

/// What caused a change.
fn cause() -> DataType {
    let texts = ["type", "source", "event_id", "topic"].map(text);
    let place = ["partition", "offset"].map(|name| column(name, DataType::Int64));
    DataType::Struct(texts.into_iter().chain(place).collect())
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            person_id: StringBuilder::new(),
            version: Int64Builder::new(),
            kind: StringBuilder::new(),
            changes: structs(&field()),
            joined: structs(&pair()),
            left: structs(&pair()),
            from: texts(),
            into: StringBuilder::new(),
            cause: one_struct(&cause()),
            policy_version: StringBuilder::new(),
            rendered: Vec::new(),
        }
    }
}

impl Columns for Changes {
    fn fields() -> Vec<Field> {
        vec![
            text("person_id"),
            column("version", DataType::Int64),
            text("kind"),
            list("changes", field()),
            list("joined", pair()),
            list("left", pair()),
            list("from", DataType::Utf8),
            optional("into", DataType::Utf8),
            optional("cause", cause()),
            text("policy_version"),
        ]
    }

    fn add(&mut self, record: &Record<'_>) -> usize {
        let Record::Change(change, policy_version) = record else { unreachable!("changes hold nothing else") };
        add_person(&mut self.person_id, Some(change.person_id));
        add_count(&mut self.version, change.version);
        self.kind.append_value(change.kind.as_str());
        let moved = add_identifiers(&mut self.joined, &change.joined) + add_identifiers(&mut self.left, &change.left);
        self.add_from(&change.from);
        add_person(&mut self.into, change.into);
        self.add_cause(change.cause.as_ref());
        self.policy_version.append_value(policy_version);
        moved + PERSON_BYTES + self.add_changes(change, record)
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.person_id.finish()),
            Arc::new(self.version.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.changes.finish()),
            Arc::new(self.joined.finish()),
            Arc::new(self.left.finish()),
            Arc::new(self.from.finish()),
            Arc::new(self.into.finish()),
            Arc::new(self.cause.finish()),
            Arc::new(self.policy_version.finish()),
        ]
    }
}

impl Changes {
    fn add_from(&mut self, from: &[PersonId]) {
        from.iter().for_each(|person| add_person(self.from.values(), Some(*person)));
        self.from.append(true);
    }

    fn add_cause(&mut self, cause: Option<&Cause>) {
        let kind = cause.map_or("", |cause| if cause.directive { "directive" } else { "touchpoint" });
        let texts = cause.map_or([""; 3], |cause| {
            let event = &cause.event;
            [event.source.as_ref(), event.event_id.as_ref(), cause.position.topic.as_ref()]
        });
        let [source, event_id, topic] = texts;
        for (place, value) in [kind, source, event_id, topic].into_iter().enumerate() {
            part::<StringBuilder>(&mut self.cause, place).append_value(value);
        }
        let position = cause.map_or([0; 2], |cause| [cause.position.partition.into(), cause.position.offset]);
        for (place, number) in (4..).zip(position) {
            add_count(part(&mut self.cause, place), number);
        }
        self.cause.append(cause.is_some());
    }

    /// Adds the fields that changed, their values as NDJSON has them.
    fn add_changes(&mut self, change: &ProfileChange, record: &Record<'_>) -> usize {
        let rendered = render(record, &mut self.rendered);
        let value = |object, wanted| pieces::fields(object).find(|(name, _)| *name == wanted).map(|(_, value)| value);
        let items = pieces::items(value(rendered, "changes").unwrap_or("[]"));
        for (field, item) in change.fields.iter().zip(items) {
            let row = self.changes.values();
            let before = field.before.as_ref().and_then(|_| value(item, "before"));
            let after = field.after.as_ref().and_then(|_| value(item, "after"));
            part::<StringBuilder>(row, 0).append_value(field.field.name());
            part::<StringBuilder>(row, 1).append_option(before);
            part::<StringBuilder>(row, 2).append_option(after);
            row.append(true);
        }
        self.changes.append(true);
        rendered.len()
    }
}
