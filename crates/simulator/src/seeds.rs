//! Many seeds, in a few threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::{Failure, Options, Report, simulate};

/// After so many failures more of them tell nothing new.
const ENOUGH: usize = 10;

/// How far a run of seeds is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Seeds done.
    pub done: u64,
    /// Seeds in all.
    pub of: u64,
    /// Seeds that failed.
    pub failed: usize,
}

/// What many seeds came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Seeds simulated: fewer than asked for where ten of them failed.
    pub seeds: u64,
    /// Arrivals sent.
    pub arrivals: u64,
    /// Records on all topics at rest.
    pub records: u64,
    /// Turns that workers had.
    pub turns: u64,
    /// Turns that had to be done again.
    pub undone: u64,
    /// Workers that died.
    pub deaths: u64,
    /// Partitions that changed hands.
    pub moves: u64,
    /// Torn transactions that were found.
    pub alarms: u64,
    /// The seeds in which something disagreed, the least first.
    pub failures: Vec<Failure>,
}

impl Summary {
    fn add(&mut self, outcome: Result<Vec<Report>, Failure>) {
        self.seeds += 1;
        match outcome {
            Ok(reports) => reports.iter().for_each(|report| self.add_report(report)),
            Err(failure) => self.failures.push(failure),
        }
    }

    fn add_report(&mut self, report: &Report) {
        self.arrivals += report.arrivals as u64;
        self.records += report.records;
        self.turns += report.turns;
        self.undone += report.undone;
        self.deaths += report.deaths;
        self.moves += report.moves;
        self.alarms += report.alarms;
    }
}

/// Simulates the seeds from `first` on, `count` of them, in so many threads, and says after each how far it is. Every
/// seed is one thread's own, so how many there are changes nothing but the time.
pub fn run_seeds(
    first: u64,
    count: u64,
    threads: usize,
    options: &Options,
    progress: impl Fn(Progress) + Sync,
) -> Summary {
    let next = AtomicU64::new(0);
    let summary = Mutex::new(Summary::default());
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let enough = summary.lock().unwrap_or_else(PoisonError::into_inner).failures.len() >= ENOUGH;
            if number >= count || enough {
                return;
            }
            let outcome = simulate(first + number, options);
            let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
            summary.add(outcome);
            progress(Progress { done: summary.seeds, of: count, failed: summary.failures.len() });
        }
    };
    std::thread::scope(|scope| {
        (0..threads.max(1)).for_each(|_| drop(scope.spawn(work)));
    });
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.failures.sort_by_key(|failure| failure.seed);
    summary
}
