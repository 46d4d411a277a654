//! Records that nobody can read, or nobody should: each is set aside with its reason, exactly once, and all else goes on.

use anyhow::{Result, ensure};
use bytes::Bytes;
use musubi_log::Record;
use musubi_tests::chance::{Chance, dose, tell};
use musubi_tests::cluster::{Fixture, touchpoints_with_copies};
use musubi_tests::crew::Crew;

/// The most that a record's value may have beside key and framing, under what the topic allows.
const LARGEST: usize = 8 * 1024 * 1024 - 4_096;

fn record(value: impl Into<Bytes>) -> Record {
    Record::new("email:poison@example.jp", value, 0)
}

/// One of each kind.
fn poisons() -> Vec<Record> {
    let single_object = |fingerprint: [u8; 8], body: &[u8]| [&[0xc3, 0x01], &fingerprint[..], body].concat();
    let nested = format!("{{\"source\":\"s\",\"traits\":{{\"a\":{}1{}}}}}", "[".repeat(50_000), "]".repeat(50_000));
    let mut invalid = br#"{"source":"s","event_id":"e","channel":"web","type":"view"#.to_vec();
    invalid.extend([0xff, 0xfe, 0x80]);
    invalid.extend(br#"","occurred_at":"2026-04-01T10:00:00Z","identifiers":[]}"#);
    vec![
        // Bad Avro: a header that nobody wrote, and garbage behind it.
        record(single_object([7; 8], &[0xff; 100])),
        record(single_object([7; 8], &[])),
        // The number of a schema that no registry knows, and a body cut off in the middle.
        record(vec![0, 0, 0, 0, 42, 1, 2, 3]),
        record(vec![0, 0, 0]),
        // Nothing at all, and a tombstone.
        record(Bytes::new()),
        Record { value: None, ..record(Bytes::new()) },
        record(invalid),
        record(nested),
        record("not JSON and not Avro"),
        record(r#"{"source":"s","event_id":"e"}"#),
        record(r#"[[[]]]"#),
        // No key.
        Record { key: None, ..record("null key") },
        // As large as the topic takes.
        record(vec![b'x'; LARGEST]),
        record([vec![b'{'], vec![b' '; LARGEST - 1]].concat()),
    ]
}

#[test]
fn poison_is_set_aside_once_and_everything_else_goes_on() -> Result<()> {
    let (doses, mut chance) = (dose("MUSUBI_CHAOS_POISONS", 2), Chance::new());
    let fixture = Fixture::start(3)?;
    let lines = touchpoints_with_copies(300 * (doses + 1), 16);
    // The first thing that a process meets is poison in every partition.
    fixture.feed_raw((0..3).map(|partition| (partition, record("first"))).collect())?;
    let mut crew = Crew::start(&fixture, 1, &["stitch.batch=50"])?;
    let mut poisoned = 3;
    for chunk in lines.chunks(lines.len().div_ceil(doses as usize)) {
        let (before, after) = chunk.split_at(chance.below(chunk.len() as u64) as usize);
        fixture.feed(before)?;
        let all = poisons();
        poisoned += all.len() as u64;
        for poison in all {
            fixture.feed_raw(vec![(chance.below(3) as u32, poison)])?;
        }
        fixture.feed(after)?;
        crew.bounce(0)?;
    }
    crew.settle()?;
    ensure!(crew.gave_up == 0, "poison ended a process {} times", crew.gave_up);
    let story = crew.story(&lines)?;
    let aside = story.books.quarantined;
    ensure!(aside == poisoned, "{poisoned} records were poison, {aside} were set aside");
    tell(&story.believed()?);
    Ok(())
}
