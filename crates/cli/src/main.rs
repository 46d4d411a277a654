//! The binary `musubi`: every command of the project, one file each in `commands`.
//!
//! Answers go to stdout, all else to stderr. It exits with 0 where all went well, 1 where a command found differences,
//! and 2 where it could not run.

mod commands;
mod configuration;
mod input;
mod outlet;
mod output;
mod progress;
mod run;
mod sinks;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use commands::Command;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code of a command that could not run.
const COULD_NOT_RUN: u8 = 2;

/// Touchpoints in, persons out: real-time identity stitching.
#[derive(clap::Parser)]
#[command(name = "musubi", version)]
struct Arguments {
    /// What to log to stderr, such as `info` or `musubi_log=debug`; else what `RUST_LOG` says, else warnings.
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = start_log(arguments.log.as_deref()).and_then(|()| arguments.command.run());
    match done {
        Ok(code) => code,
        Err(error) if output::reader_left(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Where stderr is closed as well, the exit code is all that is left to say.
            drop(writeln!(std::io::stderr(), "error: {error:#}"));
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

/// Starts writing the log to stderr.
fn start_log(filter: Option<&str>) -> anyhow::Result<()> {
    use std::io::IsTerminal as _;
    use tracing_subscriber::EnvFilter;

    let stated = filter.map(str::to_owned).or_else(|| std::env::var(EnvFilter::DEFAULT_ENV).ok());
    let filter = stated.unwrap_or_else(|| "warn".to_owned());
    let filter = EnvFilter::try_new(&filter)
        .map_err(|error| anyhow::anyhow!("wanted a log filter such as `info`, found `{filter}`: {error}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}
