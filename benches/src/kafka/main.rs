//! What the stitcher costs on Kafka, beside what Kafka itself costs, in one run: read the ratios.

mod children;
mod copy;
mod latency;
mod stage;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use musubi_benches::beside;
use musubi_log::kafka;
use musubi_serve::cluster;
use musubi_stitcher::Replica;
use musubi_store::{Rocks, STATE_FAMILIES, Tables as _};

use children::Running;
use stage::{Said, Stage};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the stitcher costs on Kafka, beside what Kafka itself costs.
///
/// The broker is the one in `KAFKA_BOOTSTRAP`, else the test broker, as a process on this machine.
#[derive(Parser)]
struct Arguments {
    /// Touchpoints of the generated stream
    #[arg(long, default_value_t = 300_000)]
    touchpoints: u64,
    /// Persons of the generated stream
    #[arg(long, default_value_t = 60_000)]
    persons: u64,
    /// Partitions of every topic
    #[arg(long, default_value_t = 4)]
    partitions: u32,
    /// Workers of the stitcher
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Records of a transaction at most
    #[arg(long, default_value_t = 10_000)]
    batch: usize,
    /// A Python that has `quixstreams`; without it that row is left out
    #[arg(long)]
    quix: Option<PathBuf>,
    /// Touchpoints a second at which the delay is measured; half of what was reached if it is not said
    #[arg(long)]
    rate: Option<u64>,
    /// Only these rows: `copy`, `stitch` (the next need it), `restore`, `rebuild`, `delay`; all where nothing is said
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// More settings of the stitcher, as its `--set` takes them
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// (what this program starts itself as) copy this topic
    #[arg(long, hide = true, num_args = 3, value_names = ["BOOTSTRAP", "FROM", "TO"])]
    copy: Vec<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let [bootstrap, from, to] = arguments.copy.as_slice() {
        writeln!(std::io::stdout(), "copying")?;
        return copy::copy(bootstrap, from, to, usize::try_from(arguments.touchpoints)?, arguments.batch);
    }
    let wants = |row: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == row);
    let stage = Stage::set(arguments.partitions, arguments.workers, arguments.batch, &arguments.set)?;
    let lines = musubi_benches::lines(arguments.persons, arguments.touchpoints);
    let count = stage.feed(&lines)?;
    say(&format!(
        "{count} touchpoints of {} persons, {} partitions, batches of {} at most, broker: {}; load average {}",
        arguments.persons,
        arguments.partitions,
        arguments.batch,
        stage.broker_is(),
        std::fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or_default()
    ))?;
    if wants("copy") {
        copies(&stage, &arguments, count)?;
    }
    if let Some(python) = &arguments.quix {
        quix(&stage, python, count)?;
    }
    let mut reached = None;
    if wants("stitch") {
        reached = Some(stitches(&stage, count)?);
        tells(&stage, count)?;
    }
    if wants("restore") {
        restores(&stage)?;
    }
    if wants("rebuild") {
        rebuilds(&stage, count)?;
    }
    if wants("delay") {
        let rate = arguments.rate.or(reached.map(|reached| reached / 2)).context("`--rate` or the row `stitch`")?;
        for partitions in BTreeSet::from([1, arguments.partitions]) {
            latency::measure(&Stage::beside(&stage, partitions)?, &lines, rate.max(1))?;
        }
    }
    Ok(())
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// A row: how many of what in which time, and what each cost the process and the broker.
fn row(name: &str, count: usize, wall: Duration, own: Option<Duration>, broker: Option<Duration>) -> Result<()> {
    let rate = count as f64 / wall.as_secs_f64();
    let each = |spent: Duration| format!("{:.1}", spent.as_secs_f64() * 1e6 / count as f64);
    let [own, broker] = [own, broker].map(|spent| spent.map_or_else(|| "-".to_owned(), each));
    say(&format!("{name:<44} {rate:>10.0}/s {own:>8} CPU µs each {broker:>8} in the broker"))
}

/// librdkafka alone.
fn copies(stage: &Stage, arguments: &Arguments, count: usize) -> Result<()> {
    let target = stage.scratch_topic()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--touchpoints", &count.to_string(), "--batch", &arguments.batch.to_string(), "--copy"]);
    command.args([stage.bootstrap(), &stage.touchpoints(), &target]);
    let before = stage.broker_time();
    let (running, _) = Running::start(&mut command)?;
    let started = Instant::now();
    let own = running.finish()?;
    row("librdkafka copies, exactly once", count, started.elapsed(), Some(own), stage.broker_since(before))
}

/// Quix Streams: a get and a set.
fn quix(stage: &Stage, python: &std::path::Path, count: usize) -> Result<()> {
    let state = tempfile::tempdir()?;
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), include_str!("quix.py"))?;
    let mut command = Command::new(python);
    command.arg(script.path()).args([stage.bootstrap(), &stage.touchpoints(), &count.to_string()]).arg(state.path());
    let before = stage.broker_time();
    let (running, _) = Running::start(&mut command)?;
    let started = Instant::now();
    let own = running.finish()?;
    row("Quix Streams: a get and a set, exactly once", count, started.elapsed(), Some(own), stage.broker_since(before))
}

/// The stitcher, from nothing to all of it. Returns the touchpoints it did a second.
fn stitches(stage: &Stage, count: usize) -> Result<u64> {
    let before = stage.broker_time();
    let started = Instant::now();
    let (stitcher, _) = Running::start(&mut stage.stitcher()?)?;
    stage.settle()?;
    let (wall, own) = (started.elapsed(), stitcher.processor_time());
    row("musubi stitch, exactly once", count, wall, Some(own), stage.broker_since(before))?;
    // As if killed: what is there is what the next one starts with.
    drop(stitcher);
    say(&format!("  the state: {} MiB in RocksDB", stage.state_bytes()? >> 20))?;
    // It waits on the cluster when the next one starts; the clients that look on are open by then.
    let probe = stage.probe()?;
    let started = Instant::now();
    let (stitcher, _) = Running::start(&mut stage.stitcher()?)?;
    probe.told()?;
    say(&format!("  killed, and started on its state: the next touchpoint is told after {:?}", started.elapsed()))?;
    stitcher.stop()?;
    Ok((count as f64 / wall.as_secs_f64()) as u64)
}

/// What a touchpoint became, by topic.
fn tells(stage: &Stage, count: usize) -> Result<()> {
    for (name, said) in stage.said()? {
        let each = |sum: usize| sum as f64 / count as f64;
        say(&format!(
            "  on {name:<40} {:>6.3} records {:>8.1} bytes a touchpoint",
            each(said.records),
            each(said.bytes)
        ))?;
    }
    Ok(())
}

/// The changelog, from nothing.
fn restores(stage: &Stage) -> Result<()> {
    let settings = &stage.cluster.settings;
    let changelog =
        |(name, said): (String, Said)| name.starts_with(settings.changelog.as_str()).then_some(said.records);
    let records: usize = stage.said()?.into_iter().filter_map(changelog).sum();
    let directory = tempfile::tempdir()?;
    let rocks = stage.cluster.state(directory.path())?;
    let (started, spent) = (Instant::now(), musubi_benches::processor_time());
    kafka::recover(settings, Arc::new(Replica(rocks.clone())), &kafka::Progress::default())?;
    let (wall, spent) = (started.elapsed(), musubi_benches::processor_time() - spent);
    let rows = rows(&rocks)?;
    ensure!(rows > 0, "nothing was restored");
    row("restore from nothing (changelog records)", records, wall, Some(spent), None)?;
    row("  the same by rows of the state", rows, wall, Some(spent), None)
}

/// How many rows a state has.
fn rows(rocks: &Rocks) -> Result<usize> {
    let mut rows = 0;
    for table in STATE_FAMILIES {
        rocks.scan(table, &[], |_, _| {
            rows += 1;
            Ok(())
        })?;
    }
    Ok(rows)
}

/// Everything once more from the touchpoints.
fn rebuilds(stage: &Stage, count: usize) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (started, spent) = (Instant::now(), musubi_benches::processor_time());
    cluster::rebuild(&stage.cluster, directory.path(), &mut |_, _| ())?;
    let (wall, spent) = (started.elapsed(), musubi_benches::processor_time() - spent);
    row("rebuild from the touchpoints, one thread", count, wall, Some(spent), None)
}

/// The binary under test.
fn musubi() -> Result<PathBuf> {
    beside("musubi")
}
