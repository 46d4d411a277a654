//! `musubi topics`: the topics on the cluster, as they should be and as they are.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use musubi_log::kafka::Settings;
use musubi_log::kafka::{self, Planned};

use crate::configuration::Flags;
use crate::output;

/// Plan, make and check the cluster's topics.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print every topic as it should be.
    Plan(Flags),
    /// Make the topics that are missing. Those that are there are left as they are.
    Apply(Flags),
    /// Say in what the topics differ from the plan; exit with 1 where they do.
    Check(Flags),
}

/// Does what is wanted of the topics.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let (Command::Plan(flags) | Command::Apply(flags) | Command::Check(flags)) = &args.command;
    let cluster = flags.read()?.cluster()?;
    let (settings, plan) = (&cluster.settings, cluster.plan());
    let mut out = output::stdout();
    let differences = match &args.command {
        Command::Plan(_) => {
            plan.iter().try_for_each(|planned| writeln!(out, "{}", line(settings, planned)))?;
            Vec::new()
        }
        Command::Apply(_) => {
            for made in kafka::apply(settings, &plan)? {
                writeln!(out, "made `{made}`")?;
            }
            kafka::check(settings, &plan)?
        }
        Command::Check(_) => kafka::check(settings, &plan)?,
    };
    differences.iter().try_for_each(|difference| writeln!(out, "{difference}"))?;
    out.flush()?;
    Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A topic as `kafka-topics.sh --create` would be told of it.
fn line(settings: &Settings, planned: &Planned) -> String {
    let name = settings.name(&planned.topic);
    let mut line = format!("--topic {name} --partitions {}", planned.partitions);
    if planned.replication > 0 {
        line += &format!(" --replication-factor {}", planned.replication);
    }
    for (key, value) in &planned.configuration {
        line += &format!(" --config {key}={value}");
    }
    line
}
