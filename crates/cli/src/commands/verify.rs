//! `musubi verify`: who is who by another way, from the evidence.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use musubi_serve::cluster;

use crate::commands::rebuild::{compare, tell};
use crate::configuration::Flags;

/// Recompute the persons from touchpoints and directives by another algorithm, and compare them with the live state.
///
/// Connected components of all evidence first, then each resolved in full: no mesh, no increments, no cache. It holds all
/// evidence in memory. Prints the fingerprints, in total and for each partition of `profiles`; exits with 1 where they
/// differ.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Where a copy of the live state goes, read from the changelog; what is there is brought up to date.
    #[arg(long, value_name = "DIR", default_value = "musubi-verified")]
    out: PathBuf,
    /// No progress.
    #[arg(long)]
    quiet: bool,
}

/// Recomputes and compares.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let cluster = args.flags.read()?.contracted()?;
    let mut progress = None;
    let recomputed = cluster::verify(&cluster, &mut |records, left| tell(&mut progress, records, left, args.quiet))?;
    if let Some(progress) = progress {
        progress.finish();
    }
    let live = cluster::live(&cluster, &args.out)?;
    compare(&live.by_person, &recomputed, live.settled)
}
