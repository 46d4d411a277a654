//! Prints what each part of the way costs, and the whole, in one run: read the ratios, not the absolute numbers.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use musubi_benches::{deployment, lines, policy, processor_time};
use musubi_core::change::{Output, Position, ProfileChange};
use musubi_schema::{Line, Parser, avro, render_change};
use musubi_stitcher::{Capacity, Input, Intake, Machine, Options, Reading, State, Store};
use musubi_store::{InMemory, Rocks, Stored, Writer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Touchpoints in a step.
const BATCH: usize = 10_000;

fn main() -> std::io::Result<()> {
    let argument = |place: usize, or: u64| std::env::args().nth(place).and_then(|word| word.parse().ok()).unwrap_or(or);
    let (persons, touchpoints) = (argument(1, 200_000), argument(2, 1_000_000));
    let mut out = std::io::stdout().lock();
    let lines = lines(persons, touchpoints);
    writeln!(out, "{} lines of {persons} persons, batches of {BATCH}, one core", lines.len())?;
    let mut row = |name: &str, count: usize, work: &mut dyn FnMut()| -> std::io::Result<()> {
        let (wall, processor) = (Instant::now(), processor_time());
        work();
        let (wall, processor) = (wall.elapsed(), processor_time() - processor);
        let rate = count as f64 / wall.as_secs_f64();
        let cost = processor.as_secs_f64() * 1e6 / count as f64;
        writeln!(out, "{name:<36} {rate:>12.0}/s {cost:>8.2} CPU µs each")
    };

    let mut parser = Parser::new();
    let mut touchpoints = Vec::with_capacity(lines.len());
    row("parse", lines.len(), &mut || {
        for line in &lines {
            if let Ok(Line::Touchpoint(touchpoint)) = parser.parse_line(line) {
                touchpoints.push(touchpoint);
            }
        }
    })?;
    let mut reading = Reading::new(policy(), deployment(), 1);
    let mut inputs = Vec::with_capacity(touchpoints.len());
    let topic: Arc<str> = "touchpoints".into();
    let count = touchpoints.len();
    row("read under the policy", count, &mut || {
        for (offset, touchpoint) in (0..).zip(touchpoints.drain(..)) {
            let position = Position { topic: Arc::clone(&topic), partition: 0, offset };
            if let Intake::Input(partition, input) = reading.touchpoint(touchpoint, position) {
                inputs.push((partition, input));
            }
        }
    })?;

    let everything = Capacity { clusters: usize::MAX / 4, parents: usize::MAX / 4 };
    let options = Options { capacity: everything, snapshots: false, throttle: true };
    let mut machine = Machine::new(policy(), 1, Stored(InMemory::default()), options);
    let batches: Vec<Vec<(u32, Input)>> = inputs.chunks(BATCH).map(<[_]>::to_vec).collect();
    let mut copies = Some(batches.clone());
    let mut batches = Some(batches);
    let mut outputs = 0;
    row("handlers, all in memory", inputs.len(), &mut || {
        for batch in copies.take().unwrap_or_default() {
            outputs += machine.step(batch).map_or(0, |effects| effects.outputs.len());
            machine.write(&mut Nowhere);
        }
    })?;
    drop(machine);
    let sample = batches.as_deref().unwrap_or_default();
    let Sample { changes, writes, touchpoints } = Sample::take(&sample[..sample.len().min(SAMPLE)], options);
    let mut bytes = Vec::new();
    row("render changes as NDJSON (each change)", changes.len(), &mut || {
        for change in &changes {
            bytes.clear();
            render_change(change, "bench", &mut bytes);
        }
    })?;
    row("encode changes as Avro (each change)", changes.len(), &mut || {
        for change in &changes {
            bytes.clear();
            avro::Record::Change(change, "bench").encode(&mut bytes).expect("a change has its schema");
        }
    })?;
    drop(changes);
    let alone = tempfile::tempdir()?;
    let mut rocks = open(alone.path())?;
    row("RocksDB writes alone", touchpoints, &mut || {
        for state in &writes {
            rocks.apply(&state.0).expect("the disk holds");
        }
    })?;
    drop((writes, rocks));

    let directory = tempfile::tempdir()?;
    let options = Options { snapshots: false, ..Options::default() };
    let mut rocks = open(directory.path())?;
    let mut machine = Machine::new(policy(), 1, Stored(rocks.clone()), options);
    row("handlers and RocksDB", inputs.len(), &mut || {
        for batch in batches.take().unwrap_or_default() {
            outputs += machine.step(batch).map_or(0, |effects| effects.outputs.len());
            let mut state = State::default();
            machine.write(&mut state);
            rocks.apply(&state.0).expect("the disk holds");
        }
    })?;
    writeln!(out, "{outputs} outputs")?;
    Ok(())
}

/// Batches of which the outputs and the writes are kept, for the rows that measure one part alone.
const SAMPLE: usize = 20;

/// What some batches lead to.
#[derive(Default)]
struct Sample {
    changes: Vec<ProfileChange>,
    writes: Vec<State>,
    touchpoints: usize,
}

impl Sample {
    fn take(batches: &[Vec<(u32, Input)>], options: Options) -> Self {
        let mut machine = Machine::new(policy(), 1, Stored(InMemory::default()), options);
        let mut sample = Self::default();
        for batch in batches {
            sample.touchpoints += batch.len();
            let effects = machine.step(batch.clone()).unwrap_or_default();
            sample.changes.extend(effects.outputs.into_iter().filter_map(|output| match output {
                Output::Change(change) => Some(change),
                Output::Profile(_) | Output::Gone(_) | Output::Identity(..) | Output::Redirect(..) => None,
            }));
            let mut state = State::default();
            machine.write(&mut state);
            sample.writes.push(state);
        }
        sample
    }
}

fn open(directory: &std::path::Path) -> std::io::Result<Rocks> {
    let options = musubi_store::Options { without_wal: true, ..musubi_store::Options::default() };
    let database = musubi_store::open(directory, options, Vec::new()).map_err(std::io::Error::other)?;
    Ok(Rocks::new(database).without_wal())
}

struct Nowhere;

impl Writer for Nowhere {
    fn put(&mut self, _: &'static str, _: &[u8], _: &[u8]) {}
    fn delete(&mut self, _: &'static str, _: &[u8]) {}
    fn delete_range(&mut self, _: &'static str, _: &[u8], _: &[u8]) {}
}
