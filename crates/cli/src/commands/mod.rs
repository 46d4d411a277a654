//! The commands, one file each. A new one is a file with `Args` and `run`, a variant and an arm.

mod generate;
mod policy;
mod score;

use std::process::ExitCode;

/// What to do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Run(crate::run::Args),
    Generate(generate::Args),
    Score(score::Args),
    Policy(policy::Args),
}

impl Command {
    /// Does it, and says how the process is to exit. An error means that it could not run.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(args) => crate::run::run(args),
            Self::Generate(args) => generate::run(args),
            Self::Score(args) => score::run(args),
            Self::Policy(args) => policy::run(args),
        }
    }
}
