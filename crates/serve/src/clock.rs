//! The edge's clock: the only place that knows what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use musubi_core::time::Timestamp;

/// Now.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// An instant as the log counts it.
pub(crate) const fn milliseconds(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(1_000)
}
