//! Named places where a test ends the process: only with the feature `failpoints`, which no build that ships has.
//! Without it they are nothing.
//!
//! `MUSUBI_FAILPOINT=NAME:N` ends the process when it comes to that place for the N-th time, as a kill would: no handler
//! runs and nothing is flushed.

/// A place where the process may be told to end.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub const fn failpoint(_: &'static str) {}

/// A place where the process may be told to end a moment later, in the midst of what comes next.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub(crate) const fn failpoint_soon(_: &'static str) {}

#[cfg(feature = "failpoints")]
pub use armed::failpoint;
#[cfg(feature = "failpoints")]
pub(crate) use armed::failpoint_soon;

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// How long what comes next goes on: about as long as the answer to a commit takes on one machine.
    const MOMENT: Duration = Duration::from_micros(500);

    struct Point {
        name: String,
        left: AtomicU64,
    }

    static POINT: OnceLock<Option<Point>> = OnceLock::new();

    fn reached(name: &'static str) -> bool {
        let point = POINT.get_or_init(|| {
            let told = std::env::var("MUSUBI_FAILPOINT").ok()?;
            let (name, times) = told.split_once(':')?;
            Some(Point { name: name.to_owned(), left: AtomicU64::new(times.parse().ok()?) })
        });
        let here = point.as_ref().filter(|point| point.name == name);
        here.is_some_and(|point| point.left.fetch_sub(1, Ordering::AcqRel) == 1)
    }

    fn end(name: &'static str) -> ! {
        tracing::error!(name, "a failpoint ends the process");
        std::process::abort()
    }

    /// A place where the process may be told to end.
    pub fn failpoint(name: &'static str) {
        if reached(name) {
            end(name);
        }
    }

    /// A place where the process may be told to end a moment later, in the midst of what comes next.
    pub(crate) fn failpoint_soon(name: &'static str) {
        if reached(name) {
            std::thread::spawn(move || {
                std::thread::sleep(MOMENT);
                end(name)
            });
        }
    }
}
