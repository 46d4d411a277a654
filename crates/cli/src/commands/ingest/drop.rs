//! A directory into which files are dropped, each with a marker beside it that says it is whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use musubi_channels::files;

use super::{Args, Count, Intake, file, tell};

/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// Takes in what is there and, unless it is to end then, what comes.
pub(super) fn watch(args: &Args, intake: &Intake, directory: &Path) -> Result<ExitCode> {
    loop {
        let mut failed = false;
        for marker in markers(directory)? {
            // One bad file keeps no other waiting; it is tried again, for it may be mended.
            if let Err(why) = take(args, intake, &marker) {
                tracing::error!(marker = %marker.display(), "not taken in: {why:#}");
                failed = true;
            }
        }
        if args.once {
            return Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
        std::thread::sleep(Duration::from_secs(args.every.max(1)));
    }
}

/// The markers of files that are whole, by name.
fn markers(directory: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot look into `{}`", directory.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.extension().is_some_and(|ending| ending == "done") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Takes in the file of a marker, and marks it as taken.
fn take(args: &Args, intake: &Intake, marker: &Path) -> Result<Count> {
    let path = marker.with_extension("");
    check(marker, &path)?;
    let count = file::take(args, intake, &path)?;
    fs::rename(marker, path_with(&path, "taken")).with_context(|| format!("cannot rename `{}`", marker.display()))?;
    tell(&path.display().to_string(), &count)?;
    Ok(count)
}

fn path_with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// That the file is the one whose digest stands in the marker, where there is one.
fn check(marker: &Path, path: &Path) -> Result<()> {
    let said = fs::read(marker).with_context(|| format!("cannot read `{}`", marker.display()))?;
    let said = String::from_utf8_lossy(&said);
    let Some(wanted) = said.split_whitespace().next() else { return Ok(()) };
    if wanted.len() != DIGITS || !wanted.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    let file = fs::File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let found = files::digest(file)?;
    if !found.eq_ignore_ascii_case(wanted) {
        bail!("`{}` is not the file that was sent: wanted the SHA-256 {wanted}, found {found}", path.display());
    }
    Ok(())
}
