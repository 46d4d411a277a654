//! Prints what each part of the way costs, and the whole, in one run: read the ratios, not the absolute numbers.

mod growth;

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::Result;
use clap::Parser as _;
use musubi_benches::{Lap, beside, deployment, lean, lines, policy};
use musubi_core::change::{Output, Position, ProfileChange};
use musubi_core::policy::Policy;
use musubi_schema::{Line, Parser, avro, render_change};
use musubi_stitcher::{Capacity, Input, Intake, Machine, Options, Reading, State, Store};
use musubi_store::{InMemory, Rocks, Stored};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Touchpoints in a step, where nothing else is said: as many as `musubi run` takes.
const BATCH: usize = 1_000;

/// Steps whose writes go to RocksDB together.
const STEPS_A_WRITE: usize = 10;

/// Batches of which the outputs and the writes are kept, for the rows that measure one part alone.
const SAMPLE: usize = 20;

/// Prints what each part of the way costs, and the whole.
#[derive(clap::Parser)]
struct Args {
    /// How many persons the generated stream is of.
    #[arg(long, default_value_t = 200_000)]
    persons: u64,
    /// How many touchpoints they leave.
    #[arg(long, default_value_t = 1_000_000)]
    touchpoints: u64,
    /// Only the rows whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// Only this policy: `lean` or `recommended`.
    #[arg(long, default_value = "")]
    policy: String,
    /// How many touchpoints a step takes in.
    #[arg(long, default_value_t = BATCH)]
    batch: usize,
    /// Instead of the parts: how the cost of a touchpoint grows with the state, at these sizes in thousands of persons.
    #[arg(long, value_delimiter = ',')]
    growth: Vec<u64>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if !args.growth.is_empty() {
        return growth::run(&args.growth);
    }
    let lines = lines(args.persons, args.touchpoints);
    let table = Table { only: args.only, policy: args.policy, batch: args.batch.max(1), count: lines.len() };
    say(&format!("{} lines of {} persons, steps of {}", lines.len(), args.persons, table.batch))?;
    for (name, policy) in
        [("lean", lean()), ("recommended", policy())].into_iter().filter(|(name, _)| table.is_of(name))
    {
        say(&format!("\n{name} policy"))?;
        parts(&table, &lines, &policy)?;
    }
    say("")?;
    whole(&table, &lines)
}

/// One line of text to stdout.
fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

/// The rows that are wanted.
struct Table {
    only: String,
    policy: String,
    batch: usize,
    count: usize,
}

impl Table {
    /// Whether a row is wanted.
    fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }

    /// Whether the rows of a policy are wanted.
    fn is_of(&self, policy: &str) -> bool {
        policy.contains(&self.policy)
    }

    /// Measures work and prints it as a row, of so many things.
    fn row(&self, name: &str, count: usize, work: impl FnOnce() -> Result<()>) -> Result<()> {
        if !self.wants(name) {
            return Ok(());
        }
        let mut lap = Lap::default();
        lap.around(work)?;
        self.print(name, count, &lap)
    }

    fn print(&self, name: &str, count: usize, lap: &Lap) -> Result<()> {
        let rate = count as f64 / lap.wall.as_secs_f64();
        let cost = lap.processor.as_secs_f64() * 1e6 / count as f64;
        if self.wants(name) {
            say(&format!("{name:<40} {rate:>12.0}/s {cost:>8.2} CPU µs each"))?;
        }
        Ok(())
    }
}

/// The parts, one after another, and the path through RocksDB.
fn parts(table: &Table, lines: &[Vec<u8>], policy: &Arc<Policy>) -> Result<()> {
    let mut parser = Parser::new();
    let mut touchpoints = Vec::with_capacity(lines.len());
    let mut lap = Lap::default();
    lap.around(|| {
        for line in lines {
            if let Ok(Line::Touchpoint(touchpoint)) = parser.parse_line(line) {
                touchpoints.push(touchpoint);
            }
        }
        Ok(())
    })?;
    table.print("parse", lines.len(), &lap)?;
    let mut reading = Reading::new(Arc::clone(policy), deployment(), 1);
    let mut inputs = Vec::with_capacity(touchpoints.len());
    let topic: Arc<str> = "touchpoints".into();
    let mut lap = Lap::default();
    lap.around(|| {
        for (offset, touchpoint) in (0..).zip(touchpoints.drain(..)) {
            let position = Position { topic: Arc::clone(&topic), partition: 0, offset };
            if let Intake::Input(partition, input) = reading.touchpoint(touchpoint, position) {
                inputs.push((partition, input));
            }
        }
        Ok(())
    })?;
    table.print("read under the policy", table.count, &lap)?;
    in_memory(table, policy, &inputs)?;
    one_by_one(table, policy, &inputs)?;
    through_rocks(table, policy, inputs)
}

/// The machine with everything it ever saw in memory: deciding alone, and the bytes of its writes apart.
fn in_memory(table: &Table, policy: &Arc<Policy>, inputs: &[(u32, Input)]) -> Result<()> {
    if !table.wants("handlers, all in memory") && !table.wants("bytes of the writes") {
        return Ok(());
    }
    let capacity = Capacity { clusters: usize::MAX / 4, parents: usize::MAX / 4 };
    let options = Options { capacity, snapshots: false, throttle: true };
    let mut machine = Machine::new(Arc::clone(policy), 1, Stored(InMemory::default()), options);
    let (mut deciding, mut writing) = (Lap::default(), Lap::default());
    let mut state = State::default();
    for batch in inputs.chunks(table.batch) {
        let batch = batch.to_vec();
        drop(deciding.around(|| Ok(machine.step(batch)?))?);
        writing.around(|| {
            machine.write(&mut state);
            Ok(())
        })?;
        state.0.clear();
    }
    table.print("handlers, all in memory", inputs.len(), &deciding)?;
    table.print("bytes of the writes", inputs.len(), &writing)
}

/// What follows on deciding, each part alone.
fn one_by_one(table: &Table, policy: &Arc<Policy>, inputs: &[(u32, Input)]) -> Result<()> {
    const ROWS: [&str; 3] =
        ["render changes as NDJSON (each change)", "encode changes as Avro (each change)", "RocksDB writes alone"];
    if !ROWS.iter().any(|row| table.wants(row)) {
        return Ok(());
    }
    let Sample { changes, writes, touchpoints } = Sample::take(policy, inputs, table.batch)?;
    let bytes: usize = writes.iter().map(|state| state.0.size()).sum();
    table.row(ROWS[0], changes.len(), || {
        let mut bytes = Vec::new();
        for change in &changes {
            bytes.clear();
            render_change(change, "bench", &mut bytes);
        }
        Ok(())
    })?;
    table.row(ROWS[1], changes.len(), || {
        let mut bytes = Vec::new();
        for change in &changes {
            bytes.clear();
            avro::Record::Change(change, "bench").encode(&mut bytes)?;
        }
        Ok(())
    })?;
    let alone = tempfile::tempdir()?;
    let mut rocks = open(alone.path(), musubi_store::Options::default())?;
    table.row(&format!("{}, {} bytes each", ROWS[2], bytes / touchpoints.max(1)), touchpoints, || {
        for state in &writes {
            rocks.apply(&state.0)?;
        }
        Ok(())
    })
}

/// Inputs through the machine and RocksDB, with caches of the usual size.
fn through_rocks(table: &Table, policy: &Arc<Policy>, inputs: Vec<(u32, Input)>) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let rocks = open(directory.path(), musubi_store::Options::default())?;
    table.row("handlers and RocksDB", inputs.len(), || stitch(policy, rocks, inputs, table.batch))
}

fn stitch(policy: &Arc<Policy>, mut rocks: Rocks, inputs: Vec<(u32, Input)>, size: usize) -> Result<()> {
    let options = Options { snapshots: false, ..Options::default() };
    let mut machine = Machine::new(Arc::clone(policy), 1, Stored(rocks.clone()), options);
    let mut state = State::default();
    let mut inputs = inputs.into_iter();
    while inputs.len() > 0 {
        for _ in 0..STEPS_A_WRITE {
            machine.step(inputs.by_ref().take(size).collect())?;
            machine.write_ahead(&mut state);
        }
        machine.write(&mut state);
        rocks.apply(&state.0)?;
        state.0.clear();
    }
    Ok(())
}

/// What some batches lead to.
#[derive(Default)]
struct Sample {
    changes: Vec<ProfileChange>,
    writes: Vec<State>,
    touchpoints: usize,
}

impl Sample {
    fn take(policy: &Arc<Policy>, inputs: &[(u32, Input)], size: usize) -> Result<Self> {
        let options = Options { snapshots: false, ..Options::default() };
        let mut machine = Machine::new(Arc::clone(policy), 1, Stored(InMemory::default()), options);
        let mut sample = Self::default();
        for batch in inputs.chunks(size).take(SAMPLE) {
            sample.touchpoints += batch.len();
            let effects = machine.step(batch.to_vec())?;
            sample.changes.extend(effects.outputs.into_iter().filter_map(|output| match output {
                Output::Change(change) => Some(change),
                Output::Profile(_) | Output::Gone(_) | Output::Identity(..) | Output::Redirect(..) => None,
            }));
            let mut state = State::default();
            machine.write(&mut state);
            sample.writes.push(state);
        }
        Ok(sample)
    }
}

fn open(directory: &Path, options: musubi_store::Options) -> Result<Rocks> {
    let options = musubi_store::Options { without_wal: true, ..options };
    Ok(Rocks::new(musubi_store::open(directory, options, Vec::new())?).without_wal())
}

/// `musubi run` as a process of its own: lines of a file in, every output file out, for each policy.
fn whole(table: &Table, lines: &[Vec<u8>]) -> Result<()> {
    if !table.wants("musubi run, whole") {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let input = directory.path().join("in.ndjson");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&input)?);
    for line in lines {
        file.write_all(line)?;
        file.write_all(b"\n")?;
    }
    file.flush()?;
    let lean = directory.path().join("lean.toml");
    std::fs::write(&lean, musubi_benches::LEAN)?;
    for (name, policy) in
        [("lean", Some(&lean)), ("recommended", None)].into_iter().filter(|(name, _)| table.is_of(name))
    {
        let mut run = Command::new(beside("musubi")?);
        run.arg("run").arg("--quiet").arg("--out").arg(directory.path().join(name)).arg(&input);
        run.args(policy.into_iter().flat_map(|policy| [Path::new("--policy"), policy]));
        let mut lap = Lap::default();
        lap.around_child(&mut run)?;
        table.print(&format!("musubi run, whole, {name} policy"), lines.len(), &lap)?;
    }
    Ok(())
}
