//! `musubi config`: what is in force.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;

use crate::configuration::Flags;
use crate::output;

/// Print what is configured, from the file, the environment and the flags, with secrets masked.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Prints it.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut out = output::stdout();
    out.write_all(args.flags.read()?.masked()?.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
