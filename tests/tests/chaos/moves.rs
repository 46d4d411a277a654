//! Partitions that move: who comes and goes under load, and how long a partition stands still.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use musubi_log::kafka::Gauge;
use musubi_tests::chance::{Chance, dose, tell};
use musubi_tests::cluster::{Fixture, PATIENCE, touchpoints_with_copies};
use musubi_tests::crew::Crew;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

/// How often it is looked whether partitions are written to.
const SAMPLES: usize = 100;
/// How many touchpoints come between two moves.
const PER_MOVE: usize = 500;

#[test]
fn nothing_is_lost_or_doubled_while_members_come_and_go() -> Result<()> {
    let (cycles, mut chance) = (dose("MUSUBI_CHAOS_REBALANCES", 1), Chance::new());
    let fixture = Fixture::start(4)?;
    let lines = touchpoints_with_copies((2 * cycles + 1) * PER_MOVE as u64, 14);
    let mut chunks = lines.chunks(PER_MOVE);
    let mut next = || chunks.next().unwrap_or_default();
    let mut crew = Crew::start(&fixture, 1, &["stitch.batch=100"])?;
    fixture.feed(next())?;
    for cycle in 0..cycles {
        let third = if cycle == 0 { crew.join()? } else { crew.begin(1).map(|()| 1)? };
        fixture.feed(next())?;
        std::thread::sleep(chance.milliseconds(2_000));
        // In good order, or not.
        let leaving = crew.take(third)?;
        if chance.below(2) == 0 {
            ensure!(leaving.stop()? == Some(0), "it did not end well");
        } else {
            leaving.kill()?;
        }
        fixture.feed(next())?;
        std::thread::sleep(chance.milliseconds(500));
    }
    tell(&format!("{cycles} times one came and went, {} ended by themselves", crew.gave_up));
    for chunk in chunks {
        fixture.feed(chunk)?;
    }
    tell(&crew.account(&lines)?);
    Ok(())
}

/// The longest time that nothing was written to each partition's changelog while a little came for it all the time.
fn standstills(fixture: &Fixture, lines: &[Vec<u8>], begun: Instant) -> Result<BTreeMap<u32, Duration>> {
    let settings = &fixture.cluster.settings;
    let (gauge, changelog) = (Gauge::open(settings)?, [settings.changelog.clone()]);
    let mut written = BTreeMap::<u32, (u64, Instant)>::new();
    let mut longest = BTreeMap::<u32, Duration>::new();
    for chunk in lines.chunks(lines.len().div_ceil(SAMPLES)) {
        fixture.feed(chunk)?;
        for ends in gauge.ends(&changelog)? {
            let now = Instant::now();
            let (end, since) = written.entry(ends.partition).or_insert((ends.end, begun));
            let still = longest.entry(ends.partition).or_default();
            *still = (*still).max(now - *since);
            if *end < ends.end {
                (*end, *since) = (ends.end, now);
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(longest)
}

/// Waits until each of two members holds two of four partitions, as the group tells.
fn shared_out(fixture: &Fixture) -> Result<()> {
    let settings = &fixture.cluster.settings;
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", fixture.bootstrap()).create()?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let groups = client.fetch_group_list(Some(&settings.group), Duration::from_secs(15))?;
        let members = groups.groups().iter().flat_map(|group| group.members());
        let held: Vec<usize> = members.map(|member| held_by(member.assignment().unwrap_or_default())).collect();
        if held == [2, 2] {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the partitions are never shared out: {held:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// How many partitions an assignment of the consumer protocol gives: a version, and for each topic its name and numbers.
fn held_by(assignment: &[u8]) -> usize {
    let name = assignment.get(6..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_be_bytes);
    let at = 8 + usize::from(name);
    let count = assignment.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    count as usize
}

/// Kills one of two for good, and says how long its partitions stand still.
fn taken_over(standby: bool) -> Result<String> {
    let size = dose("MUSUBI_CHAOS_MOVE_SIZE", 1_500);
    let fixture = Fixture::start(4)?;
    let lines = touchpoints_with_copies(size + 1_000, 15);
    let (before, during) = lines.split_at(lines.len() - 1_000);
    let setting = format!("stitch.standby={standby}");
    let mut crew = Crew::start(&fixture, 2, &[&setting])?;
    fixture.feed(before)?;
    crew.settle()?;
    shared_out(&fixture)?;
    let begun = Instant::now();
    crew.take(0)?.kill()?;
    let longest = standstills(&fixture, during, begun)?;
    let worst = longest.values().max().context("there are partitions")?.as_secs_f64();
    let each: Vec<String> = longest.values().map(|still| format!("{:.1}", still.as_secs_f64())).collect();
    ensure!(longest.values().max() < Some(&PATIENCE), "a partition stands still for {worst} s");
    let seen = crew.account(&lines)?;
    let session = fixture.cluster.settings.session_timeout.as_secs();
    let kind = if standby { "with a standby" } else { "without a standby" };
    Ok(format!(
        "{kind}, {size} touchpoints, session {session} s: seconds each partition stood still: {}\n{seen}",
        each.join(" ")
    ))
}

#[test]
fn a_partition_is_taken_over_from_a_standby() -> Result<()> {
    tell(&taken_over(true)?);
    Ok(())
}

#[test]
fn a_partition_is_taken_over_from_its_changelog() -> Result<()> {
    tell(&taken_over(false)?);
    Ok(())
}
