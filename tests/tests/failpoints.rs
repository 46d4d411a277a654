//! A process that ends at named places, as by a kill. Wants the feature `failpoints`, and the binary built with it first:
//! `cargo build` and `cargo nextest run --release --workspace --features musubi-tests/failpoints`, with `--bin musubi` and
//! with `--test failpoints`. `tests/chaos --failpoints N` does both.
//!
//! `MUSUBI_CHAOS_FAILPOINTS` says how often each place is tried.
#![cfg(feature = "failpoints")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use musubi_tests::chance::{Chance, dose, tell};
use musubi_tests::cluster::{Fixture, PATIENCE, touchpoints_with_copies};
use musubi_tests::crew::Crew;
use musubi_tests::processes::Under;

/// The places on the way of every batch, and when a partition comes.
const OFTEN: [&str; 9] = [
    "before-produce",
    "after-produce",
    "delivered",
    "offsets-sent",
    "commit-sent",
    "commit-acked",
    "before-write",
    "after-write",
    "assign",
];
/// The places where a partition is restored: batch by batch from an older state, or from nothing.
const RESTORING: [&str; 3] = ["restore", "ingest", "ingested"];
/// The places where a partition goes.
const GOING: [&str; 2] = ["revoke", "revoked"];
/// How many touchpoints come while a process is about to end.
const PER_END: usize = 200;

/// Waits until the process has ended there.
fn ends(crew: &mut Crew<'_>, place: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut stitcher = crew.take(0)?;
    while stitcher.lives()? {
        ensure!(Instant::now() < deadline, "it never comes to `{place}`");
        std::thread::sleep(Duration::from_millis(10));
    }
    let words = stitcher.last_words();
    ensure!(words.contains(&format!("a failpoint ends the process name=\"{place}\"")), "at `{place}`: {words}");
    Ok(())
}

/// Starts the first process, to end at the place when it comes there for the `times`-th time.
fn begin_to_end(crew: &mut Crew<'_>, place: &str, times: u64) -> Result<()> {
    let told = format!("{place}:{times}");
    crew.begin_in(0, &Under { variables: &[("MUSUBI_FAILPOINT", &told)], ..Under::default() })
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

#[test]
fn an_end_at_any_named_place_loses_and_doubles_nothing() -> Result<()> {
    let (rounds, mut chance) = (dose("MUSUBI_CHAOS_FAILPOINTS", 1), Chance::new());
    let fixture = Fixture::start(4)?;
    let places = OFTEN.len() + 2 * RESTORING.len() + 2 * GOING.len();
    let lines = touchpoints_with_copies(((places + 2) * PER_END) as u64 * rounds, 22);
    let mut chunks = lines.chunks(PER_END);
    let mut feed = || fixture.feed(chunks.next().context("enough touchpoints")?);
    let mut crew = Crew::start(&fixture, 1, &["stitch.batch=40"])?;
    feed()?;
    for _ in 0..rounds {
        for place in OFTEN {
            crew.settle()?;
            crew.take(0)?.kill()?;
            begin_to_end(&mut crew, place, if place == "assign" { 1 } else { 1 + chance.below(3) })?;
            feed()?;
            ends(&mut crew, place)?;
            crew.begin(0)?;
        }
        for place in RESTORING {
            crew.settle()?;
            let older = tempfile::tempdir()?;
            ensure!(crew.take(0)?.stop()? == Some(0), "it did not end well");
            copy(&crew.state(0), older.path())?;
            crew.begin(0)?;
            feed()?;
            crew.settle()?;
            crew.take(0)?.kill()?;
            std::fs::remove_dir_all(crew.state(0))?;
            if place == "restore" {
                copy(older.path(), &crew.state(0))?;
            }
            begin_to_end(&mut crew, place, 1 + chance.below(2))?;
            feed()?;
            ends(&mut crew, place)?;
            crew.begin(0)?;
        }
        for place in GOING {
            crew.settle()?;
            crew.take(0)?.kill()?;
            begin_to_end(&mut crew, place, 1)?;
            feed()?;
            // Who joins gets partitions of the other, which has to give them up.
            let second = if crew.len() == 1 { crew.join()? } else { crew.begin(1).map(|()| 1)? };
            ends(&mut crew, place)?;
            crew.begin(0)?;
            crew.settle()?;
            ensure!(crew.take(second)?.stop()? == Some(0), "it did not end well");
            // Its partitions come back when its session is over: at rest, the first has them all.
            feed()?;
        }
    }
    for chunk in chunks {
        fixture.feed(chunk)?;
    }
    let tried = (OFTEN.len() + RESTORING.len() + GOING.len()) as u64;
    tell(&format!("{rounds} ends at each of {tried} places, {} ended by themselves", crew.gave_up));
    tell(&crew.account(&lines)?);
    Ok(())
}
