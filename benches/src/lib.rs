//! What the benches share: a stream of touchpoints, read once, and a clock of processor time.

use std::sync::Arc;
use std::time::Duration;

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

/// Processor time of this process so far, all threads together.
pub fn processor_time() -> Duration {
    processor_time_of("self")
}

/// Processor time so far of a process that runs; none where it does not.
pub fn processor_time_of(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |place: usize| after_name.split_whitespace().nth(place).and_then(|word| word.parse::<u64>().ok());
    // Fields 14 and 15 of proc(5), in ticks of 10 ms.
    let ticks = ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default();
    Duration::from_millis(ticks * 10)
}
