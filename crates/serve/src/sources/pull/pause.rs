//! Waiting that ends when the process does.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long nobody looks whether it is over, at most.
pub(super) const GLANCE: Duration = Duration::from_millis(200);

/// Waiting that all clones end together.
#[derive(Clone, Default)]
pub(super) struct Pause(Arc<(Mutex<bool>, Condvar)>);

impl Pause {
    /// Ends all waiting, for good.
    pub(super) fn stop(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Whether it was ended.
    pub(super) fn is_over(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits so long, or until it is ended; says whether to go on.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let over = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(over, time, |over| !*over);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
