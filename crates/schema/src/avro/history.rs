//! Every version of every schema: kept, pinned, and still read by those after it.
//!
//! When a schema has to change: change the `.avsc`, copy it to `schemas/history/TOPIC.N.avsc` under the next number, add
//! it to `VERSIONS`, and run these tests with `UPDATE_EXPECT=1`, which pins it and writes a record of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use apache_avro::schema_compatibility::SchemaCompatibility;
use expect_test::{expect, expect_file};
use xxhash_rust::xxh3::xxh3_64;

use super::*;
use crate::samples;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/history")
}

/// The versions of a topic, oldest first.
fn versions(topic: Topic) -> Vec<(u32, &'static str)> {
    VERSIONS.iter().filter(|(of, ..)| *of == topic).map(|(_, number, text)| (*number, *text)).collect()
}

#[test]
fn the_versions_are_the_files_of_the_folder() {
    let named = VERSIONS.iter().map(|(topic, number, text)| (format!("{}.{number}.avsc", topic.name()), *text));
    let named: BTreeMap<String, String> = named.map(|(name, text)| (name, text.to_owned())).collect();
    let files =
        std::fs::read_dir(folder()).expect("the folder of versions").map(|entry| entry.expect("an entry").path());
    let schemas = files.filter(|path| path.extension().is_some_and(|extension| extension == "avsc"));
    let found: BTreeMap<String, String> = schemas
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("text"))
        })
        .collect();
    assert_eq!(named, found);
}

#[test]
fn the_versions_of_a_topic_are_numbered_from_one_and_the_last_is_the_schema_of_now() {
    for topic in Topic::ALL {
        let versions = versions(topic);
        let counted = (1..).zip(&versions).all(|(number, (of, _))| number == *of);
        assert!(counted, "the versions of `{}` are {versions:?}", topic.name());
        let newest = versions.last().map(|(_, text)| *text);
        assert_eq!(newest, Some(topic.text()), "`{}` has changed, and is no version yet", topic.name());
    }
}

/// A version that somebody may have written under never changes. What is pinned is the fingerprint that stands in a
/// single object, and a hash of the text.
#[test]
fn a_kept_version_is_the_one_that_was_kept() {
    let mut pinned = String::new();
    for (topic, number, text) in VERSIONS {
        let header = header(&Schema::parse_str(text).expect("a schema"));
        let fingerprint = hex(&header[2..]);
        writeln!(pinned, "{}.{number} {fingerprint} {:016x}", topic.name(), xxh3_64(text.as_bytes())).expect("text");
    }
    expect![[r#"
        touchpoints.1 f7ee982fe0334b04 6e155a48182e8fa3
        directives.1 c184d611b36b4552 260afea3abe7222b
        profile-changes.1 fcfc853ba331c84b 2ce6ec0dff307704
        profiles.1 f6bf165b62b19339 bd12c35c830d273f
        identity-map.1 592e247598a01da5 e7980a0a3ab72e91
        redirects.1 0d67728fe5d0feb2 aca8538e6665b198
        quarantine.1 a508f8c0bf0024c8 39859ae81dd2d860
        quarantine.2 8894e05d65e1aef3 8f335a109e45f4ee
        profile-identifiers.1 8886769897d70f47 eaa39240f7a904a1
        profile-traits.1 115d5ea338850dc7 a7ef11820da03791
    "#]]
    .assert_eq(&pinned);
}

#[test]
fn every_version_reads_what_each_one_before_it_wrote() {
    let mut pairs = 0;
    for topic in Topic::ALL {
        let schemas: Vec<Schema> =
            versions(topic).iter().map(|(_, text)| Schema::parse_str(text).expect("a schema")).collect();
        for (later, reader) in schemas.iter().enumerate() {
            for writer in &schemas[..=later] {
                SchemaCompatibility::can_read(writer, reader).expect("a version reads what an earlier one wrote");
                pairs += 1;
            }
        }
    }
    assert!(pairs >= VERSIONS.len());
}

#[test]
fn a_record_of_every_version_is_still_read() {
    let mut written: BTreeMap<Topic, String> = BTreeMap::new();
    samples::each_record(|record| {
        let mut bytes = Vec::new();
        record.encode(&mut bytes).expect("a record fits its schema");
        writeln!(written.entry(record.topic()).or_default(), "{}", hex(&bytes)).expect("text");
    });
    for (topic, number, text) in VERSIONS {
        let file = folder().join(format!("{}.{number}", topic.name()));
        if *text == topic.text() {
            expect_file![file.with_added_extension("hex")].assert_eq(&written[topic]);
        }
        let records = std::fs::read_to_string(file.with_added_extension("hex")).expect("records of the version");
        let mut shown = Vec::new();
        for line in records.lines() {
            to_json(*topic, &unhex(line), &mut shown).expect("a record of an earlier version");
            shown.push(b'\n');
        }
        expect_file![file.with_added_extension("ndjson")].assert_eq(&String::from_utf8(shown).expect("text"));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |place: usize| u8::from_str_radix(&text[place..place + 2], 16).expect("two digits");
    (0..text.len()).step_by(2).map(digits).collect()
}
