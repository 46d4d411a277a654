//! Watches calls that may never come back.
//!
//! librdkafka ignores the timeout of some calls while a coordinator is away (issue 5456). A call that hangs holds the
//! partitions of its worker, so the process is told, and the usual answer is to end: the next one reads what is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

type Calls = Mutex<(u64, BTreeMap<u64, (Instant, &'static str)>)>;

/// Watches calls that may never come back. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Watchdog {
    calls: Arc<Calls>,
}

impl Watchdog {
    /// A watchdog that barks once for each call that takes longer than it may, with the call's name.
    pub fn new(bark: impl Fn(&'static str) + Send + 'static) -> Self {
        let calls = Arc::new(Calls::default());
        let watched = Arc::downgrade(&calls);
        let watch = move || {
            while let Some(late) = overdue(&watched) {
                late.into_iter().for_each(&bark);
                std::thread::sleep(Duration::from_millis(250));
            }
        };
        std::thread::Builder::new().name("watchdog".to_owned()).spawn(watch).expect("a thread can be started");
        Self { calls }
    }

    /// A watchdog that ends the process, with a word in the log.
    pub fn ending() -> Self {
        Self::new(|call| {
            tracing::error!(call, "a call to kafka hangs: the process ends, and the next one reads what is there");
            std::process::exit(70);
        })
    }

    /// A watchdog that never barks: where time is not real.
    pub(super) fn asleep() -> Self {
        Self { calls: Arc::new(Calls::default()) }
    }

    /// Watches a call until what is returned is dropped.
    pub(super) fn watch(&self, call: &'static str, limit: Duration) -> Watched<'_> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.0 += 1;
        let number = calls.0;
        calls.1.insert(number, (Instant::now() + limit, call));
        Watched { calls: &self.calls, number }
    }
}

/// The calls that are late, each told once; None when nobody watches any more.
fn overdue(watched: &Weak<Calls>) -> Option<Vec<&'static str>> {
    let calls = watched.upgrade()?;
    let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let late: Vec<u64> =
        calls.1.iter().filter(|(_, (deadline, _))| *deadline < now).map(|(number, _)| *number).collect();
    Some(late.iter().filter_map(|number| calls.1.remove(number)).map(|(_, call)| call).collect())
}

/// A call that is being watched.
pub(super) struct Watched<'a> {
    calls: &'a Calls,
    number: u64,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_call_that_hangs_is_named_once_and_one_that_returns_is_not() {
        let (told, heard) = mpsc::channel();
        let watchdog = Watchdog::new(move |call| told.send(call).expect("the test listens"));
        drop(watchdog.watch("one that returns", Duration::ZERO));
        let hanging = watchdog.watch("one that hangs", Duration::ZERO);
        assert_eq!(heard.recv_timeout(Duration::from_secs(30)), Ok("one that hangs"));
        drop(hanging);
        drop(watchdog);
        assert_eq!(heard.recv_timeout(Duration::from_secs(30)), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
