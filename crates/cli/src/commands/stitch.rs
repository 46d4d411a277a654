//! `musubi stitch`: one process of a stitcher on a cluster.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::configuration::Flags;
use crate::output;

/// Stitch what is on a cluster's topics, together with every other process of the group.
///
/// It ends on ctrl-c or SIGTERM, after the batch at hand. Killed, it goes on where it was when it is started again, or
/// another process does: nothing is lost, and nothing is said twice.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Stitches until it is told to stop.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let configuration = args.flags.read()?;
    let cluster = configuration.contracted()?;
    let data = &configuration.stitch.data;
    let stitching = musubi_serve::cluster::stitch(&cluster, data, configuration.stitch.listen)
        .with_context(|| format!("cannot stitch with the state in `{}`", data.display()))?;
    let mut out = output::stdout();
    let listening = stitching.address().map(|address| address.to_string());
    writeln!(out, "{}", json!({ "stitching": cluster.settings.instance, "listening": listening }))?;
    out.flush()?;
    drop(out);
    stitching.until_told()?;
    Ok(ExitCode::SUCCESS)
}
