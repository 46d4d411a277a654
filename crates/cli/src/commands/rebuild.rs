//! `musubi rebuild`: the state once more, from the evidence, beside the live one.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use musubi_core::fingerprint::Fingerprint;
use musubi_serve::cluster;
use serde_json::json;

use crate::configuration::Flags;
use crate::output;
use crate::progress::Progress;

/// Replay touchpoints and directives from the beginning into a fresh state, and compare it with the live one.
///
/// Cut off, it goes on where it was. Prints the fingerprints, in total and for each partition of `profiles`; exits with 1
/// where they differ. The live state is read from the changelog; compare while nothing comes in (`settled` is then true).
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Where the rebuilt state goes, and beside it a copy of the live one.
    #[arg(long, value_name = "DIR", default_value = "musubi-rebuilt")]
    out: PathBuf,
    /// No progress.
    #[arg(long)]
    quiet: bool,
}

/// Rebuilds and compares.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let cluster = args.flags.read()?.contracted()?;
    let mut progress = None;
    let rebuilt = cluster::rebuild(&cluster, &args.out.join("rebuilt"), &mut |records, left| {
        tell(&mut progress, records, left, args.quiet);
    })?;
    if let Some(progress) = progress {
        progress.finish();
    }
    let live = cluster::live(&cluster, &args.out.join("live"))?;
    compare(&live.by_person, &rebuilt.by_person, live.settled)
}

/// Tells how far a replay is. What is left is known from the first piece on.
pub(crate) fn tell(progress: &mut Option<Progress>, records: u64, left: u64, quiet: bool) {
    let progress = progress.get_or_insert_with(|| Progress::counting("records", records + left, quiet));
    progress.tell(records, records);
}

/// Prints both and in what they differ; exits with 1 where they do.
pub(crate) fn compare(live: &[Fingerprint], other: &[Fingerprint], settled: bool) -> Result<ExitCode> {
    let total = |parts: &[Fingerprint]| parts.iter().fold(Fingerprint::default(), |sum, part| sum.join(*part));
    let differences = live.iter().zip(other).enumerate().filter(|(_, (live, other))| live != other);
    let differences = differences.map(|(partition, (live, other))| {
        json!({ "partition": partition, "live": live.to_string(), "recomputed": other.to_string() })
    });
    let differences: Vec<_> = differences.collect();
    let answer = json!({
        "live": total(live).to_string(),
        "recomputed": total(other).to_string(),
        "equal": differences.is_empty(),
        "settled": settled,
        "differences": differences,
    });
    let mut out = output::stdout();
    writeln!(out, "{answer}")?;
    out.flush()?;
    Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
