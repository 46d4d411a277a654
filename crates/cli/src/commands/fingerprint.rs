//! `musubi fingerprint`: one number that says whether two builds agree on who is who.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use musubi_serve::{Census, Disk};

use crate::commands::reach::Reach;
use crate::output;

/// Print the fingerprint of the state, over all and for each partition, as one JSON object.
///
/// Equal touchpoints and directives under one policy and key give equal fingerprints over all, whatever their order and
/// the number of partitions, once `settled` is true: nothing is left to be stitched.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    reach: Reach,
}

/// Prints it.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let answer = match &args.reach.data {
        Some(data) => Census::take(&Disk::inspect(data)?)?.to_json(),
        None => args.reach.ask("/v1/fingerprint", &[])?.body_mut().read_to_vec()?,
    };
    let mut out = output::stdout();
    out.write_all(&answer)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
