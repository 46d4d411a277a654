//! `musubi lag`: how far the stitchers are behind.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use musubi_log::kafka;
use serde_json::json;

use crate::configuration::Flags;
use crate::output;

/// Print how far the stitchers are behind, for each partition of each topic that they read, one JSON object a line.
///
/// Exits with 1 where anything is still to be read. Marks of transactions count among the offsets.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Prints it.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let cluster = args.flags.read()?.cluster()?;
    let all = kafka::lag(&cluster.settings)?;
    let mut out = output::stdout();
    for lag in &all {
        let (topic, partition) = (lag.topic.as_str(), lag.partition);
        let (committed, end, behind) = (lag.committed, lag.end, lag.behind());
        writeln!(
            out,
            "{}",
            json!({ "topic": topic, "partition": partition, "committed": committed, "end": end, "behind": behind })
        )?;
    }
    out.flush()?;
    Ok(if all.iter().all(|lag| lag.behind() == 0) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
