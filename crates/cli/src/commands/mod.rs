//! The commands, one file each. A new one is a file with `Args` and `run`, a variant and an arm.

mod collect;
mod config;
mod demo;
mod explain;
mod fingerprint;
mod generate;
mod ingest;
mod lag;
mod map;
pub(crate) mod policy;
mod quarantine;
pub(crate) mod reach;
mod rebuild;
mod reset;
mod score;
mod simulate;
mod stitch;
mod tail;
mod topics;
mod up;
mod verify;

use std::process::ExitCode;

/// What to do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Run(crate::run::Args),
    Generate(generate::Args),
    Score(score::Args),
    Policy(policy::Args),
    Up(up::Args),
    Demo(demo::Args),
    Simulate(simulate::Args),
    Tail(tail::Args),
    Explain(explain::Args),
    Fingerprint(fingerprint::Args),
    Stitch(stitch::Args),
    Collect(collect::Args),
    Ingest(ingest::Args),
    Quarantine(quarantine::Args),
    Map(map::Args),
    Topics(topics::Args),
    Lag(lag::Args),
    Config(config::Args),
    Rebuild(rebuild::Args),
    Verify(verify::Args),
    Reset(reset::Args),
}

impl Command {
    /// Does it, and says how the process is to exit. An error means that it could not run.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(args) => crate::run::run(args),
            Self::Generate(args) => generate::run(args),
            Self::Score(args) => score::run(args),
            Self::Policy(args) => policy::run(args),
            Self::Up(args) => up::run(args),
            Self::Demo(args) => demo::run(args),
            Self::Simulate(args) => simulate::run(&args),
            Self::Tail(args) => tail::run(args),
            Self::Explain(args) => explain::run(args),
            Self::Fingerprint(args) => fingerprint::run(args),
            Self::Stitch(args) => stitch::run(&args),
            Self::Collect(args) => collect::run(&args),
            Self::Ingest(args) => ingest::run(&args),
            Self::Quarantine(args) => quarantine::run(args),
            Self::Map(args) => map::run(args),
            Self::Topics(args) => topics::run(&args),
            Self::Lag(args) => lag::run(&args),
            Self::Config(args) => config::run(&args),
            Self::Rebuild(args) => rebuild::run(&args),
            Self::Verify(args) => verify::run(&args),
            Self::Reset(args) => reset::run(&args),
        }
    }
}
