//! `musubi run`: files in, persons out, on one machine and without a server.
//!
//! Every partition is here, so a step hands itself the messages between them until there are none, and only then writes:
//! what is on disk is always at rest.

mod feed;
mod tables;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use musubi_core::change::{Kind, Output};
use musubi_core::policy::Policy;
use musubi_schema::Quarantined;
use musubi_serve::{Deployment, Key};
use musubi_stitcher::{Effects, Input, Machine, Reading, State, Store as _, Verdict};
use musubi_store::{Rocks, Stored};
use serde::Serialize;

use crate::output::stdout;
use crate::progress::Progress;
use crate::sinks::{Format, Sinks};
use feed::{Batch, Feed};

/// Touchpoints in a step. What a thousand of them touch stays near the processor until it is published and written; with
/// ten thousand a step took twice as long.
const STEP: usize = 1_000;

/// Joins the touchpoints of files into persons.
///
/// Writes identity-map, profiles, profile-changes, redirects and quarantine into the output folder and prints one JSON
/// object with the counts. A file named `-` is stdin; .gz and .zst are read as they are.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The policy; without it the recommended one (`musubi policy default` prints it).
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The folder to write into.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Where the state is kept, so that a later run continues this one; without it the state is thrown away.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// How many partitions the state has. It changes no result.
    #[arg(long, value_name = "N", default_value_t = 1)]
    partitions: u32,
    /// The form of the output files.
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
    /// Exit with 1 where anything was quarantined.
    #[arg(long)]
    strict: bool,
    /// Show no progress.
    #[arg(long)]
    quiet: bool,
    /// A file with the deployment's secret; else the variable MUSUBI_KEY, else a public one for development.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Touchpoints as NDJSON.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// What a run did, and what stands after it.
#[derive(Debug, Default, Serialize)]
struct Summary {
    touchpoints: u64,
    duplicates: u64,
    quarantined: u64,
    forgotten: u64,
    unknown_namespaces: u64,
    identifiers: u64,
    persons: u64,
    merges: u64,
    splits: u64,
    refused_links: u64,
    shared_identifiers: u64,
    fingerprint: String,
    seconds: f64,
}

/// Runs it.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let started = Instant::now();
    let policy = Arc::new(read_policy(args.policy.as_deref())?);
    let key = Key::find(args.key_file.as_deref())?.key;
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make `{}`", args.out.display()))?;
    let scratch;
    let state = match &args.state {
        Some(state) => state.clone(),
        None => {
            scratch = tempfile::tempdir_in(&args.out).context("cannot make a folder for the state")?;
            scratch.path().join("state")
        }
    };
    let options = musubi_serve::Options {
        durability: musubi_log::embedded::Durability::None,
        machine: musubi_stitcher::Options { snapshots: false, throttle: false, ..Default::default() },
        ..Default::default()
    };
    let deployment = Deployment::open(&state, Arc::clone(&policy), key.clone(), Some(args.partitions), options)?;
    let reading = Reading::new(Arc::clone(&policy), key, args.partitions);
    let feed = Feed::start(args.files, reading)?;
    let mut run = Run {
        machine: Machine::new(
            Arc::clone(&policy),
            args.partitions,
            Stored(deployment.disk.rocks.clone()),
            deployment.options.machine,
        ),
        rocks: deployment.disk.rocks.clone().without_wal(),
        sinks: Sinks::create(&args.out, args.format, &policy.version)?,
        summary: Summary::default(),
        state: State::default(),
    };
    let mut progress = Progress::start("touchpoints", feed.total, args.quiet);
    while let Some(batch) = feed.next() {
        run.step(batch)?;
        progress.tell(run.summary.touchpoints + run.summary.duplicates, feed.meter.bytes());
    }
    run.summary.unknown_namespaces = feed.finish()?;
    progress.finish();
    if args.state.is_some() {
        deployment.disk.log.flush()?;
    }
    let Run { mut sinks, mut summary, rocks, machine, .. } = run;
    drop(machine);
    let standing = tables::write(&Stored(rocks), args.partitions, &policy, &mut sinks)?;
    sinks.finish()?;
    summary.identifiers = standing.identifiers;
    summary.persons = standing.persons;
    summary.refused_links = standing.refused_links;
    summary.shared_identifiers = standing.shared_identifiers;
    summary.fingerprint = standing.fingerprint.to_string();
    summary.seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    let mut out = stdout();
    serde_json::to_writer(&mut out, &summary)?;
    std::io::Write::write_all(&mut out, b"\n")?;
    std::io::Write::flush(&mut out)?;
    Ok(if args.strict && summary.quarantined > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn read_policy(path: Option<&std::path::Path>) -> Result<Policy> {
    let Some(path) = path else { return Ok(Policy::recommended()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    Policy::parse(&text).with_context(|| format!("policy `{}`", path.display()))
}

struct Run {
    machine: Machine<Stored<Rocks>>,
    rocks: Rocks,
    sinks: Sinks,
    summary: Summary,
    state: State,
}

impl Run {
    /// Stitches a batch: reads and decides step by step, and writes it whole.
    fn step(&mut self, mut batch: Batch) -> Result<()> {
        for (place, refused) in &batch.refused {
            let (line, original) = batch.original(*place);
            self.summary.quarantined += 1;
            self.sinks.quarantine(&Quarantined {
                source: refused.source.as_deref(),
                event_id: refused.event_id.as_deref(),
                reason: refused.reason,
                detail: &refused.detail,
                file: Some(&batch.file),
                line: Some(line),
                original,
                envelope: None,
            })?;
        }
        let mut inputs = std::mem::take(&mut batch.inputs).into_iter();
        let mut verdicts = Vec::with_capacity(batch.touchpoints.len());
        while inputs.len() > 0 {
            let effects = self.stitch(inputs.by_ref().take(STEP).collect())?;
            verdicts.extend(effects.verdicts);
            self.say(&effects.outputs)?;
            self.machine.write_ahead(&mut self.state);
            for alert in effects.alerts {
                tracing::warn!(members = alert.members, glue = ?alert.glue, "a cluster is larger than max_cluster");
            }
        }
        self.machine.write(&mut self.state);
        self.rocks.apply(&self.state.0)?;
        self.state.0.clear();
        self.judge(&batch, &verdicts)
    }

    /// Takes inputs in, and whatever partitions then say to each other, and publishes who changed by it.
    fn stitch(&mut self, mut inputs: Vec<(u32, Input)>) -> Result<Effects> {
        while !inputs.is_empty() {
            self.machine.take_in(inputs)?;
            let messages = self.machine.outgoing();
            inputs = messages.into_iter().map(|(to, message)| (to, Input::Message(message))).collect();
        }
        Ok(self.machine.publish()?)
    }

    /// Counts what became of each touchpoint, and sets aside what conflicts with one that was seen.
    fn judge(&mut self, batch: &Batch, verdicts: &[Verdict]) -> Result<()> {
        for (verdict, place) in verdicts.iter().zip(&batch.touchpoints) {
            match verdict {
                Verdict::Taken => self.summary.touchpoints += 1,
                Verdict::Duplicate => self.summary.duplicates += 1,
                Verdict::Forgotten => self.summary.forgotten += 1,
                Verdict::Rejected(rejection) => {
                    self.summary.quarantined += 1;
                    let (line, original) = batch.original(*place);
                    let named = musubi_schema::Parser::new().parse_touchpoint(original).ok();
                    self.sinks.quarantine(&Quarantined {
                        source: named.as_ref().map(|touchpoint| touchpoint.source.as_ref()),
                        event_id: named.as_ref().map(|touchpoint| touchpoint.event_id.as_ref()),
                        reason: rejection.reason(),
                        detail: "",
                        file: Some(&batch.file),
                        line: Some(line),
                        original,
                        envelope: None,
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Writes the changes. The tables are written at the end, from the state.
    fn say(&mut self, outputs: &[Output]) -> Result<()> {
        for output in outputs {
            if let Output::Change(change) = output {
                self.summary.merges += u64::from(change.kind == Kind::Merged && change.into.is_some());
                self.summary.splits += u64::from(change.kind == Kind::Split && !change.left.is_empty());
                self.sinks.change(change)?;
            }
        }
        Ok(())
    }
}
