//! How the cost of a touchpoint grows with the state, beside what RocksDB alone takes for the same kind of touchpoints.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use musubi_benches::{Lap, deployment, lean};
use musubi_core::change::Position;
use musubi_core::cluster::SignatureKey;
use musubi_core::forest::Parent;
use musubi_core::identifier::IdentifierKey;
use musubi_core::touchpoint::EventKey;
use musubi_generator::{Generator, Options as Stream, Shape};
use musubi_schema::{Line, Parser};
use musubi_stitcher::{Input, Intake, Machine, Options, Reading, State, Store as _};
use musubi_store::codec::Decode as _;
use musubi_store::{Rocks, Stored, Tables as _, Writer as _, keys};

use crate::{BATCH, open, say};

/// Bytes of the block cache, however large the state is.
const BLOCK_CACHE: usize = 256 << 20;

/// How many touchpoints are measured at each size of the state, on each side.
const SAMPLE: usize = 200_000;

/// A generated stream has five touchpoints a person, and when four fifths of it have passed everybody was there.
const TOUCHPOINTS_PER_PERSON: u64 = 5;
const ALL_BORN: u64 = 4;

/// Bytes of an effect as it is stored, of a common touchpoint.
const EFFECT: usize = 120;

/// Bytes of what is remembered of an event.
const SEEN: usize = 17;

/// Grows the state to each of these sizes, in thousands of persons, and prints a row for each.
pub(crate) fn run(sizes: &[u64]) -> Result<()> {
    let largest = 1_000 * sizes.iter().max().context("wanted at least one size")?;
    let directory = tempfile::tempdir()?;
    let mut growth = Growth::new(directory.path(), largest)?;
    say(&format!(
        "lean policy, a block cache of {} MiB, {SAMPLE} touchpoints a row, batches of {BATCH}",
        BLOCK_CACHE >> 20
    ))?;
    for size in sizes.iter().map(|thousands| 1_000 * thousands) {
        while growth.taken < ALL_BORN * size {
            let batch = growth.next_batch();
            growth.stitch(batch)?;
        }
        let (mut alone, mut stitching) = (Lap::default(), Lap::default());
        for _ in 0..SAMPLE / BATCH {
            let batch = growth.next_batch();
            alone.around(|| growth.only_rocks(&batch))?;
            growth.stitch(batch)?;
        }
        for _ in 0..SAMPLE / BATCH {
            let batch = growth.next_batch();
            stitching.around(|| growth.stitch(batch))?;
        }
        let cost = |lap: &Lap| lap.processor.as_secs_f64() * 1e6 / SAMPLE as f64;
        let (alone, stitching) = (cost(&alone), cost(&stitching));
        say(&format!(
            "{size:>10} persons {stitching:>8.2} CPU µs each; RocksDB alone {alone:>8.2}, {:>5.2} times that",
            stitching / alone
        ))?;
    }
    Ok(())
}

/// A state that grows with a stream.
struct Growth {
    rocks: Rocks,
    machine: Machine<Stored<Rocks>>,
    generator: Generator,
    parser: Parser,
    reading: Reading,
    /// Lines taken from the stream.
    taken: u64,
}

impl Growth {
    fn new(directory: &Path, persons: u64) -> Result<Self> {
        let options = musubi_store::Options { block_cache: BLOCK_CACHE, ..musubi_store::Options::default() };
        let rocks = open(directory, options)?;
        let machine = Options { snapshots: false, ..Options::default() };
        let touchpoints = persons * TOUCHPOINTS_PER_PERSON + 2 * SAMPLE as u64;
        Ok(Self {
            machine: Machine::new(lean(), 1, Stored(rocks.clone()), machine),
            rocks,
            generator: Generator::new(Stream::new(persons, touchpoints, 7, Shape::Retail)),
            parser: Parser::new(),
            reading: Reading::new(lean(), deployment(), 1),
            taken: 0,
        })
    }

    fn next_batch(&mut self) -> Vec<(u32, Input)> {
        let topic: Arc<str> = "touchpoints".into();
        let mut batch = Vec::with_capacity(BATCH);
        let mut line = Vec::new();
        for _ in 0..BATCH {
            line.clear();
            self.taken += 1;
            if self.generator.write_next(&mut line).is_none() {
                break;
            }
            let Ok(Line::Touchpoint(touchpoint)) = self.parser.parse_line(&line) else { continue };
            let position = Position { topic: Arc::clone(&topic), partition: 0, offset: self.taken };
            if let Intake::Input(partition, input) = self.reading.touchpoint(touchpoint, position) {
                batch.push((partition, input));
            }
        }
        batch
    }

    fn stitch(&mut self, batch: Vec<(u32, Input)>) -> Result<()> {
        self.machine.step(batch)?;
        let mut state = State::default();
        self.machine.write(&mut state);
        Ok(self.rocks.apply(&state.0)?)
    }

    /// What RocksDB does for a batch when nobody decides anything: the event and the parent of each touchpoint are looked
    /// up, then its cluster, which is written as it was read, with an effect and an event beside it. What is written anew
    /// stands under keys that nobody asks for.
    fn only_rocks(&self, batch: &[(u32, Input)]) -> Result<()> {
        let mut named: Vec<(EventKey, IdentifierKey)> = batch
            .iter()
            .filter_map(|(_, input)| match input {
                Input::Touchpoint { observation, .. } => Some((observation.event, observation.identifiers[0].key())),
                Input::Directive(_) | Input::Message(_) => None,
            })
            .collect();
        named.sort_unstable();
        let events: Vec<_> = named.iter().map(|(event, _)| keys::seen(0, *event)).collect();
        self.rocks.get_many(keys::SEEN, &events, |_, _| Ok(()))?;
        let mut identifiers: Vec<_> = named.iter().map(|(_, identifier)| keys::parent(0, *identifier)).collect();
        identifiers.sort_unstable();
        identifiers.dedup();
        let (mut roots, mut strangers) = (Vec::new(), Vec::new());
        self.rocks.get_many(keys::PARENTS, &identifiers, |place, value| {
            match value.and_then(|mut bytes| Parent::decode(&mut bytes).ok()?.root) {
                Some(root) => roots.push(keys::cluster(root)),
                None => strangers.push(identifiers[place]),
            }
            Ok(())
        })?;
        roots.sort_unstable();
        roots.dedup();
        let mut heads = Vec::with_capacity(roots.len());
        self.rocks.get_many(keys::CLUSTERS, &roots, |_, value| {
            heads.push(value.map(<[u8]>::to_vec));
            Ok(())
        })?;
        let aside = |EventKey(key): EventKey| EventKey(key.map(|byte| !byte));
        Ok(self.rocks.write(|rows| {
            for (root, head) in roots.iter().zip(&heads) {
                if let Some(head) = head {
                    rows.put(keys::CLUSTERS, root, head);
                }
            }
            for (event, identifier) in &named {
                let signature = SignatureKey(identifier.0.map(|byte| !byte));
                rows.put(keys::EFFECTS, &keys::effect(0, signature, aside(*event)), &[7; EFFECT]);
            }
            for stranger in &strangers {
                rows.put(keys::PARENTS, &stranger.map(|byte| !byte), &[7; SEEN]);
            }
            for (event, _) in named.iter().rev() {
                rows.put(keys::SEEN, &keys::seen(0, aside(*event)), &[7; SEEN]);
            }
        })?)
    }
}
