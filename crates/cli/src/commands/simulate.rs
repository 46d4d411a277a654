//! `musubi simulate`: the real stitcher on a log that misbehaves, seed after seed, against oracles.

use std::io::Write as _;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::Result;
use musubi_simulator::{Options, World, run_seeds};
use serde_json::json;

use crate::output;
use crate::progress::Progress;

/// Look for two orders of the same touchpoints that disagree.
///
/// Each seed draws a policy, a hostile stream, partitions, workers and misfortunes (copies, delays, crashes, moves,
/// late zombies), and compares what comes out with a batch computation. It does so twice: on a log in memory, and with
/// the log on Kafka on a model of a cluster. Prints one JSON object, and each failure with
/// the seed that tells it again; exits with 1 where there is one.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many seeds.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, value_name = "S", default_value_t = 0)]
    first: u64,
    /// In this world only: `gentle`, a log that keeps to what any log promises, or `kafka`, the log on Kafka on a model
    /// of a cluster. Without it, each seed is played in both.
    #[arg(long, value_name = "WORLD", value_parser = world)]
    world: Option<World>,
    /// Plant this bug, to see that it is found.
    #[cfg(feature = "sabotage")]
    #[arg(long, value_name = "BUG", value_parser = bug)]
    sabotage: Option<musubi_simulator::Bug>,
    /// Show no progress.
    #[arg(long)]
    quiet: bool,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let progress = Mutex::new(Progress::counting("seeds", args.seeds, args.quiet));
    let told = |done: musubi_simulator::Progress| {
        if let Ok(mut progress) = progress.lock() {
            progress.tell(done.done, done.done);
        }
    };
    let summary = run_seeds(args.first, args.seeds, threads, &options(args), told);
    if let Ok(progress) = progress.into_inner() {
        progress.finish();
    }
    for failure in &summary.failures {
        writeln!(std::io::stderr(), "{failure}\n")?;
    }
    let answer = json!({
        "seeds": summary.seeds,
        "failures": summary.failures.iter().map(|failure| failure.seed).collect::<Vec<_>>(),
        "arrivals": summary.arrivals,
        "records": summary.records,
        "turns": summary.turns,
        "undone": summary.undone,
        "deaths": summary.deaths,
        "moves": summary.moves,
        "alarms": summary.alarms,
    });
    let mut out = output::stdout();
    writeln!(out, "{answer}")?;
    out.flush()?;
    Ok(if summary.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn world(name: &str) -> Result<World, String> {
    World::named(name).ok_or_else(|| format!("wanted one of {}", World::ALL.map(World::as_str).join(", ")))
}

#[cfg(not(feature = "sabotage"))]
fn options(args: &Args) -> Options {
    Options { world: args.world, ..Options::default() }
}

#[cfg(feature = "sabotage")]
fn options(args: &Args) -> Options {
    Options { world: args.world, bug: args.sabotage, ..Options::default() }
}

#[cfg(feature = "sabotage")]
fn bug(name: &str) -> Result<musubi_simulator::Bug, String> {
    let names: Vec<&str> = musubi_simulator::Bug::all().map(musubi_simulator::Bug::as_str).collect();
    musubi_simulator::Bug::named(name).ok_or_else(|| format!("wanted one of {}", names.join(", ")))
}
