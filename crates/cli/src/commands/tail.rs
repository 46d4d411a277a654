//! `musubi tail`: the records of a topic as they come.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use musubi_serve::{Disk, From, Tail};

use crate::commands::reach::Reach;
use crate::output;

/// Print the records of a topic, one JSON object a line, as they come.
///
/// From a running deployment it goes on until it is interrupted; of a directory it prints what is there.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// `touchpoints`, `directives`, `profile-changes`, `profiles`, `identity-map`, `redirects`, `quarantine` or `mesh`.
    topic: String,
    /// Where to begin: `start`, `end`, or `PARTITION:OFFSET,…`. A directory is read from its start unless this says
    /// otherwise.
    #[arg(long, value_name = "WHERE")]
    from: Option<From>,
    /// End where the topic ends now.
    #[arg(long)]
    no_follow: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Prints the topic.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let mut out = output::stdout();
    match &args.reach.data {
        Some(data) => {
            let disk = Disk::inspect(data)?;
            let tail = Tail::open(disk, &args.topic, args.from.as_ref().unwrap_or(&From::Start))?;
            let mut tail = tail.with_context(|| format!("there is no topic `{}`", args.topic))?;
            let mut lines = Vec::new();
            while tail.read(&mut lines)? > 0 {
                out.write_all(&lines)?;
                lines.clear();
            }
            out.flush()?;
        }
        None => {
            let from = args.from.unwrap_or_default().to_string();
            let follow = if args.no_follow { "false" } else { "true" };
            let path = format!("/v1/topics/{}", args.topic);
            let response = args.reach.ask(&path, &[("from", &from), ("follow", follow)])?;
            let mut lines = response.into_body().into_reader();
            copy(&mut lines, &mut out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Copies what comes as soon as it comes.
fn copy(from: &mut impl io::Read, out: &mut impl io::Write) -> Result<()> {
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut piece).context("the deployment went away")?;
        if length == 0 {
            return Ok(());
        }
        out.write_all(&piece[..length])?;
        out.flush()?;
    }
}
