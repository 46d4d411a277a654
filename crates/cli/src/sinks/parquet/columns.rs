//! Columns as they are gathered, and their types.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, Int64Builder, ListBuilder, StringBuilder, StructBuilder, TimestampMicrosecondBuilder,
};
use arrow_schema::{DataType, Field, TimeUnit};
use musubi_core::identifier::Identifier;
use musubi_core::person::PersonId;
use musubi_core::time::Timestamp;

/// Bytes of a person's id as a text.
pub(super) const PERSON_BYTES: usize = 36;

/// A column that is never null.
pub(super) fn column(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, false)
}

/// A column that may be null.
pub(super) fn optional(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, true)
}

/// A column of texts, never null.
pub(super) fn text(name: &str) -> Field {
    column(name, DataType::Utf8)
}

/// A column of lists, never null, of items that are never null.
pub(super) fn list(name: &str, kind: DataType) -> Field {
    column(name, DataType::List(Arc::new(item(kind))))
}

fn item(kind: DataType) -> Field {
    Field::new("item", kind, false)
}

/// Instants: microseconds in UTC.
pub(super) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// An identifier: `namespace` and `value`.
pub(super) fn pair() -> DataType {
    DataType::Struct(vec![text("namespace"), text("value")].into())
}

/// A builder of a column of instants.
pub(super) fn instants() -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::new().with_timezone("UTC")
}

/// A builder of a column of lists of texts.
pub(super) fn texts() -> ListBuilder<StringBuilder> {
    ListBuilder::new(StringBuilder::new()).with_field(Arc::new(item(DataType::Utf8)))
}

/// A builder of a column of lists of structs.
pub(super) fn structs(kind: &DataType) -> ListBuilder<StructBuilder> {
    ListBuilder::new(one_struct(kind)).with_field(Arc::new(item(kind.clone())))
}

/// A builder of a column of structs.
pub(super) fn one_struct(kind: &DataType) -> StructBuilder {
    let DataType::Struct(fields) = kind else { unreachable!("a struct is of fields") };
    StructBuilder::from_fields(fields.clone(), 0)
}

/// The column at this place of a struct.
pub(super) fn part<B: ArrayBuilder>(structs: &mut StructBuilder, place: usize) -> &mut B {
    structs.field_builder(place).expect("the struct has such a column there, as a test of every table shows")
}

/// Appends the identifiers of one row. Says how many bytes they have.
pub(super) fn add_identifiers(lists: &mut ListBuilder<StructBuilder>, identifiers: &[Identifier]) -> usize {
    for identifier in identifiers {
        let pair = lists.values();
        part::<StringBuilder>(pair, 0).append_value(identifier.namespace_name());
        part::<StringBuilder>(pair, 1).append_value(identifier.value());
        pair.append(true);
    }
    lists.append(true);
    identifiers.iter().map(|identifier| identifier.text().len()).sum()
}

/// Appends an instant, or none.
pub(super) fn add_time(instants: &mut TimestampMicrosecondBuilder, time: Option<Timestamp>) {
    instants.append_option(time.map(Timestamp::as_micros));
}

/// Appends a count. Counts beyond a signed number do not occur.
pub(super) fn add_count(counts: &mut Int64Builder, count: u64) {
    counts.append_value(i64::try_from(count).unwrap_or(i64::MAX));
}

/// Appends a person's id, or none.
pub(super) fn add_person(persons: &mut StringBuilder, person: Option<PersonId>) {
    match person {
        Some(person) => {
            write!(persons, "{person}").expect("bytes in memory take what is written");
            persons.append_value("");
        }
        None => persons.append_null(),
    }
}
