//! Each format read back by a reader that is not ours.

use std::fs::{self, File};
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array as _, RecordBatch, StructArray};
use musubi_core::change::{Cause, Kind, Position};
use musubi_core::identifier::{DeploymentKey, IdentifierKey};
use musubi_core::policy::Policy;
use musubi_core::profile::{Profile, diff};
use musubi_schema::Parser;
use serde_json::Value;

use super::*;

const TOUCHPOINT: &str = r#"{"source":"ginza-pos","event_id":"r-1","channel":"store","type":"order_completed","occurred_at":"2026-04-01T10:00:00+09:00","identifiers":[{"namespace":"loyalty_card","value":"4901"},{"namespace":"email","value":"hana@musubi.jp"}],"traits":{"name":"花, \"]}","age":41.50},"properties":{"total":{"amount":"12800","currency":"JPY"}},"consent":{"email_marketing":true},"context":{"household":"h-1"}}"#;

fn person(number: u8) -> PersonId {
    PersonId::of(IdentifierKey([number; 16]))
}

/// A person with something in every field, and how it came to be.
fn sample() -> Result<(Snapshot, ProfileChange)> {
    let policy = Policy::recommended();
    let touchpoint = Parser::new().parse_touchpoint(TOUCHPOINT.as_bytes())?;
    let read = policy.read(touchpoint, &DeploymentKey::derive(b"test"));
    let mut read = read.map_err(|rejection| anyhow::anyhow!(rejection.reason()))?;
    // The hashes of the address are identifiers like others, and would only make the tables longer.
    read.identifiers.retain(|identifier| !identifier.namespace_name().contains("sha256"));
    let mut profile = Profile::default();
    profile.observe(&read.effect, &policy);
    let position = Position { topic: "a.ndjson".into(), partition: 0, offset: 7 };
    let change = ProfileChange {
        person_id: person(1),
        version: 3,
        kind: Kind::Merged,
        fields: diff(&Profile::default(), &profile),
        joined: read.identifiers.clone(),
        left: Vec::new(),
        from: vec![person(2), person(3)],
        into: None,
        cause: Some(Cause { directive: false, event: read.effect.event(), position }),
    };
    let mut identifiers = read.identifiers;
    identifiers.sort();
    Ok((Snapshot { person_id: person(1), version: 3, shared: false, identifiers, profile }, change))
}

/// The change that ended a person, which has little else.
fn end() -> ProfileChange {
    ProfileChange {
        person_id: person(2),
        version: 4,
        kind: Kind::Erased,
        fields: Vec::new(),
        joined: Vec::new(),
        left: Vec::new(),
        from: Vec::new(),
        into: Some(person(1)),
        cause: None,
    }
}

const REFUSED: Quarantined<'_> = Quarantined {
    source: None,
    event_id: Some("e"),
    reason: "invalid-utf8",
    detail: "no",
    file: Some("a.ndjson"),
    line: Some(9),
    original: b"\xff{",
    envelope: None,
};

/// Every record of the samples: each kind once, or twice where there are two sorts of it.
fn records<'a>(snapshot: &'a Snapshot, changes: &'a [ProfileChange; 2]) -> Vec<Record<'a>> {
    vec![
        Record::Identity(&snapshot.identifiers[0], Some(person(1))),
        Record::Identity(&snapshot.identifiers[1], Some(person(1))),
        Record::Profile(snapshot),
        Record::Change(&changes[0], "v1"),
        Record::Change(&changes[1], "v1"),
        Record::Redirect(person(2), Some(person(1))),
        Record::Quarantined(&REFUSED),
    ]
}

/// Writes the samples, and says what they are.
fn written(folder: &Path, format: Format) -> Result<(Snapshot, [ProfileChange; 2])> {
    let (snapshot, change) = sample()?;
    let mut sinks = Sinks::create(folder, format, "v1")?;
    for identifier in &snapshot.identifiers {
        sinks.identity(identifier, person(1))?;
    }
    sinks.profile(&snapshot)?;
    sinks.change(&change)?;
    sinks.change(&end())?;
    sinks.redirect(person(2), person(1))?;
    sinks.quarantine(&REFUSED)?;
    assert_eq!(names(folder)?, NAMES.map(|name| format!("{name}.{}.tmp", format.extension())));
    sinks.finish()?;
    assert_eq!(names(folder)?, NAMES.map(|name| format!("{name}.{}", format.extension())));
    Ok((snapshot, [change, end()]))
}

const NAMES: [&str; 5] = ["identity-map", "profile-changes", "profiles", "quarantine", "redirects"];

fn names(folder: &Path) -> Result<Vec<String>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}

fn json(record: &Record<'_>) -> Result<Value> {
    let mut line = Vec::new();
    record.render(&mut line);
    Ok(serde_json::from_slice(&line)?)
}

#[test]
fn ndjson_holds_every_record_as_it_is_rendered() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (snapshot, changes) = written(folder.path(), Format::Ndjson)?;
    for topic in [Topic::IdentityMap, Topic::Profiles, Topic::ProfileChanges, Topic::Redirects, Topic::Quarantine] {
        let text = fs::read_to_string(folder.path().join(format!("{}.ndjson", topic.name())))?;
        let found: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let records = records(&snapshot, &changes);
        let expected: Vec<Value> =
            records.iter().filter(|record| record.topic() == topic).map(json).collect::<Result<_>>()?;
        assert_eq!(found, expected, "{}", topic.name());
    }
    Ok(())
}

#[test]
fn avro_containers_hold_every_record_by_its_schema() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (snapshot, changes) = written(folder.path(), Format::Avro)?;
    for topic in [Topic::IdentityMap, Topic::Profiles, Topic::ProfileChanges, Topic::Redirects, Topic::Quarantine] {
        let file = File::open(folder.path().join(format!("{}.avro", topic.name())))?;
        let reader = apache_avro::Reader::new(file)?;
        assert_eq!(reader.writer_schema(), musubi_schema::avro::schema(topic));
        let found: Vec<_> = reader.collect::<Result<_, _>>()?;
        let records = records(&snapshot, &changes);
        let expected = records.iter().filter(|record| record.topic() == topic).map(Record::to_value);
        assert_eq!(found, expected.collect::<Result<Vec<_>, _>>()?, "{}", topic.name());
    }
    Ok(())
}

/// The one batch of a Parquet file.
fn table(folder: &Path, topic: Topic) -> Result<RecordBatch> {
    let file = File::open(folder.join(format!("{}.parquet", topic.name())))?;
    let mut batches = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
    let batch = batches.next().context("a batch")??;
    assert!(batches.next().is_none());
    Ok(batch)
}

/// A column of texts; null where there is none.
fn texts(table: &StructArray, name: &str) -> Vec<Option<String>> {
    let column = table.column_by_name(name).unwrap_or_else(|| panic!("no column `{name}`"));
    column.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}

/// The rows of a list in the first row.
fn rows(table: &StructArray, name: &str, row: usize) -> StructArray {
    let column = table.column_by_name(name).unwrap_or_else(|| panic!("no column `{name}`"));
    column.as_list::<i32>().value(row).as_struct().clone()
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn parquet_has_profiles_with_lists_of_identifiers_and_json_where_anything_goes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (snapshot, _) = written(folder.path(), Format::Parquet)?;
    let table: StructArray = table(folder.path(), Topic::Profiles)?.into();
    let rendered = json(&Record::Profile(&snapshot))?;
    assert_eq!(texts(&table, "person_id"), some(&[&person(1).to_string()]));
    for name in ["traits", "computed", "channels", "recent", "consent", "households"] {
        let text = texts(&table, name).remove(0).context("never null")?;
        assert_eq!(serde_json::from_str::<Value>(&text)?, rendered[name], "{name}");
    }
    assert_eq!(texts(&table, "accounts"), some(&["{}"]));
    let identifiers = rows(&table, "identifiers", 0);
    assert_eq!(texts(&identifiers, "namespace"), some(&["email", "loyalty_card"]));
    assert_eq!(texts(&identifiers, "value"), some(&["hana@musubi.jp", "4901"]));
    let first_seen = table.column_by_name("first_seen").context("an instant")?;
    assert_eq!(first_seen.as_primitive::<TimestampMicrosecondType>().value(0), 1_775_005_200_000_000);
    Ok(())
}

#[test]
fn parquet_has_changes_with_their_fields_and_causes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_, changes) = written(folder.path(), Format::Parquet)?;
    let table: StructArray = table(folder.path(), Topic::ProfileChanges)?.into();
    assert_eq!(texts(&table, "kind"), some(&["merged", "erased"]));
    assert_eq!(texts(&table, "into"), [None, Some(person(1).to_string())]);
    let fields = rows(&table, "changes", 0);
    let rendered = json(&Record::Change(&changes[0], "v1"))?;
    let rendered = rendered["changes"].as_array().context("a list")?;
    assert_eq!((fields.len(), rows(&table, "changes", 1).len()), (rendered.len(), 0));
    for (place, change) in rendered.iter().enumerate() {
        assert_eq!(texts(&fields, "field")[place].as_deref(), change["field"].as_str());
        assert_eq!(texts(&fields, "before")[place], None);
        let after = texts(&fields, "after")[place].clone().context("it was set")?;
        assert_eq!(serde_json::from_str::<Value>(&after)?, change["after"]);
    }
    let cause = table.column_by_name("cause").context("a cause")?.as_struct();
    assert_eq!(
        (texts(cause, "event_id")[0].as_deref(), cause.is_null(0), cause.is_null(1)),
        (Some("r-1"), false, true)
    );
    assert_eq!(cause.column_by_name("offset").context("an offset")?.as_primitive::<Int64Type>().value(0), 7);
    Ok(())
}

#[test]
fn parquet_has_flat_tables_for_the_rest() -> Result<()> {
    let folder = tempfile::tempdir()?;
    written(folder.path(), Format::Parquet)?;
    let map: StructArray = table(folder.path(), Topic::IdentityMap)?.into();
    assert_eq!(texts(&map, "value"), some(&["hana@musubi.jp", "4901"]));
    let redirects: StructArray = table(folder.path(), Topic::Redirects)?.into();
    assert_eq!(texts(&redirects, "to"), some(&[&person(1).to_string()]));
    let quarantine: StructArray = table(folder.path(), Topic::Quarantine)?.into();
    assert_eq!((texts(&quarantine, "source"), texts(&quarantine, "reason")), (vec![None], some(&["invalid-utf8"])));
    let original = quarantine.column_by_name("original").context("the bytes")?;
    assert_eq!(original.as_binary::<i32>().value(0), REFUSED.original);
    Ok(())
}

#[test]
fn many_records_go_in_many_batches_and_none_is_lost() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (snapshot, _) = sample()?;
    let mut sinks = Sinks::create(folder.path(), Format::Parquet, "v1")?;
    for number in 0..20_000_u32 {
        let [_, a, b, _] = number.to_be_bytes();
        sinks.redirect(person(a), person(b))?;
        sinks.profile(&snapshot)?;
    }
    sinks.finish()?;
    for topic in [Topic::Redirects, Topic::Profiles] {
        let file = File::open(folder.path().join(format!("{}.parquet", topic.name())))?;
        let metadata = ParquetRecordBatchReaderBuilder::try_new(file)?.metadata().clone();
        assert_eq!(Arc::as_ref(&metadata).file_metadata().num_rows(), 20_000);
    }
    Ok(())
}

#[test]
fn a_run_that_ends_early_leaves_the_files_of_the_one_before() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for format in [Format::Ndjson, Format::Avro, Format::Parquet] {
        let name = folder.path().join(format!("profiles.{}", format.extension()));
        fs::write(&name, "of the run before")?;
        let mut sinks = Sinks::create(folder.path(), format, "v1")?;
        sinks.profile(&sample()?.0)?;
        drop(sinks);
        assert_eq!(fs::read_to_string(&name)?, "of the run before");
    }
    Ok(())
}
