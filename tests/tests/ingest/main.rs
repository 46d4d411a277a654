//! `musubi ingest` as processes: topics that others write, over the wire, and files whose reader is killed.

mod files;
#[path = "../../../crates/registry/tests/stub/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "the registry's own tests use the rest")]
mod registry;
mod topics;

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use musubi_tests::processes::binary;
use serde_json::Value;

/// `musubi ingest` with these arguments in this folder, where its `musubi.toml` is.
pub(crate) fn ingest(folder: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.args(["ingest", "--quiet"]).args(arguments).current_dir(folder).env_remove("MUSUBI_KEY");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// Runs it to its end, and gives what it says it took: the last line of its answer.
pub(crate) fn told(mut command: Command) -> Result<Value> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`musubi ingest` ended with {}: {said}{errors}", output.status);
    let line = said.lines().last().with_context(|| format!("it said nothing but `{errors}`"))?;
    Ok(serde_json::from_str(line)?)
}
