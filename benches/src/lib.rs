//! What the benches share: a stream of touchpoints, read once, and a clock of processor time.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use musubi_core::identifier::DeploymentKey;
use musubi_core::policy::Policy;
use musubi_generator::{Generator, Line, Options, Shape};

/// The key that benches derive identifiers with.
pub fn deployment() -> DeploymentKey {
    DeploymentKey::derive(b"benches")
}

/// The recommended policy.
pub fn policy() -> Arc<Policy> {
    Arc::new(Policy::recommended())
}

/// A policy that asks only who is who: profiles of about 200 bytes.
pub const LEAN: &str = include_str!("../lean.toml");

/// The policy of [`LEAN`].
pub fn lean() -> Arc<Policy> {
    Arc::new(Policy::parse(LEAN).expect("the lean policy is a policy, as every run of the benches shows"))
}

/// The lines of a generated retail stream.
pub fn lines(persons: u64, touchpoints: u64) -> Vec<Vec<u8>> {
    let mut generator = Generator::new(Options::new(persons, touchpoints, 7, Shape::Retail));
    let mut lines = Vec::new();
    let mut line = Vec::new();
    while let Some(Line::Touchpoint(_) | Line::Duplicate | Line::Malformed) = generator.write_next(&mut line) {
        lines.push(line.clone());
        line.clear();
    }
    lines
}

/// A program that was built beside this one.
pub fn beside(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(path.exists(), "wanted `{}`: build the whole workspace first", path.display());
    Ok(path)
}

/// What work took, by the clock on the wall and in processor time of all threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lap {
    /// By the clock on the wall.
    pub wall: Duration,
    /// In processor time.
    pub processor: Duration,
}

impl Lap {
    /// Adds what some work takes.
    pub fn around<T>(&mut self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let (wall, processor) = (Instant::now(), processor_time());
        let done = work()?;
        self.wall += wall.elapsed();
        self.processor += processor_time().saturating_sub(processor);
        Ok(done)
    }

    /// Adds what a process takes from its start to its end.
    pub fn around_child(&mut self, command: &mut Command) -> Result<()> {
        let before = children_time();
        let wall = Instant::now();
        let ended = command
            .stdout(std::process::Stdio::null())
            .status()
            .with_context(|| format!("cannot start {command:?}"))?;
        ensure!(ended.success(), "{command:?} ended with {ended}");
        self.wall += wall.elapsed();
        self.processor += children_time().saturating_sub(before);
        Ok(())
    }
}

/// Processor time of this process so far, all threads together that live.
pub fn processor_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let on_processor = |thread: std::fs::DirEntry| {
        let spent = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        spent.split_whitespace().next().and_then(|nanoseconds| nanoseconds.parse().ok()).unwrap_or(0)
    };
    Duration::from_nanos(threads.map(on_processor).sum())
}

/// Processor time of all processes that this one started and waited for.
fn children_time() -> Duration {
    // Fields 16 and 17 of proc(5).
    time_in_stat("self", [13, 14])
}

/// Processor time so far of a process that runs; none where it does not.
pub fn processor_time_of(process: &str) -> Duration {
    // Fields 14 and 15 of proc(5).
    time_in_stat(process, [11, 12])
}

/// The sum of two fields of a process's `stat`, counted from behind its name, in ticks of 10 ms.
fn time_in_stat(process: &str, fields: [usize; 2]) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |place: usize| after_name.split_whitespace().nth(place).and_then(|word| word.parse::<u64>().ok());
    Duration::from_millis(fields.into_iter().filter_map(ticks).sum::<u64>() * 10)
}
