//! `musubi collect`: a collector before a cluster.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::configuration::Flags;
use crate::output;

/// Take touchpoints and directives in over HTTP, onto a cluster's topics.
///
/// Each `[[source]]` of the configuration is taken in at an address of its own, `/in/NAME` or its `path`. It answers 200 when the cluster has what was sent on every copy that must have it.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Collects until it is told to stop.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let configuration = args.flags.read()?;
    let (cluster, sources) = (configuration.contracted()?, configuration.all_sources()?);
    let collecting = musubi_serve::cluster::collect(&cluster, sources, configuration.collect.listen)?;
    let mut out = output::stdout();
    writeln!(out, "{}", json!({ "listening": collecting.address().to_string() }))?;
    out.flush()?;
    drop(out);
    collecting.until_told()?;
    Ok(ExitCode::SUCCESS)
}
