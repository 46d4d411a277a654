//! `musubi reset`: away with a process's state.

use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};

use crate::configuration::Flags;
use crate::output;

/// Delete this process's part of the state. It is restored from the changelog when the process starts again.
///
/// It asks first: the name of the directory has to be repeated, at the prompt or with `--yes`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    flags: Flags,
    /// The directory, once more.
    #[arg(long, value_name = "DIR")]
    yes: Option<String>,
}

/// Asks, and deletes.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let data = args.flags.read()?.stitch.data;
    let name = data.display().to_string();
    // The file that every RocksDB directory has: nothing else is ever deleted.
    ensure!(data.join("CURRENT").is_file(), "`{name}` holds no state");
    let repeated = match &args.yes {
        Some(repeated) => repeated.clone(),
        None => ask(&name)?,
    };
    ensure!(repeated == name, "wanted `{name}` to be repeated, found `{repeated}`: nothing was deleted");
    // Opened first, so that a process at work keeps its state.
    drop(musubi_store::open(&data, musubi_store::Options::default(), Vec::new()).context("is it being used?")?);
    std::fs::remove_dir_all(&data).with_context(|| format!("cannot delete `{name}`"))?;
    let mut out = output::stdout();
    writeln!(out, "deleted `{name}`")?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn ask(name: &str) -> Result<String> {
    write!(std::io::stderr(), "this deletes the state in `{name}`; repeat its name to go on: ")?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}
