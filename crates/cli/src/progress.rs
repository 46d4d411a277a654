//! How far a command has come, on stderr: a bar on a terminal, a line every ten seconds elsewhere, nothing if unwanted.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};

/// How often a log gets a line: often enough to see that it lives, rare enough to keep.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// How far a command has come. It is told now and then, from one thread; every few thousand items is often enough.
pub(crate) struct Progress {
    shown: Shown,
    what: &'static str,
    total: Option<u64>,
    measure: Measure,
    started: Instant,
}

/// What is told of how far it is.
#[derive(Clone, Copy)]
enum Measure {
    Bytes,
    Count,
}

impl Measure {
    fn show(self, amount: u64) -> String {
        match self {
            Self::Bytes => HumanBytes(amount).to_string(),
            Self::Count => HumanCount(amount).to_string(),
        }
    }
}

enum Shown {
    Nothing,
    Bar(ProgressBar),
    Lines { last: Instant },
}

impl Progress {
    /// The progress through `total` bytes of input (none where nobody knows), counted in `what`, such as `touchpoints`.
    pub(crate) fn start(what: &'static str, total: Option<u64>, quiet: bool) -> Self {
        Self::begin(what, total, Measure::Bytes, quiet)
    }

    /// The progress through a known number of things, of which some are counted in `what`.
    pub(crate) fn counting(what: &'static str, total: u64, quiet: bool) -> Self {
        Self::begin(what, Some(total), Measure::Count, quiet)
    }

    fn begin(what: &'static str, total: Option<u64>, measure: Measure, quiet: bool) -> Self {
        let started = Instant::now();
        let shown = if quiet {
            Shown::Nothing
        } else if io::stderr().is_terminal() {
            Shown::Bar(bar(total, measure))
        } else {
            Shown::Lines { last: started }
        };
        Self { shown, what, total, measure, started }
    }

    /// So many items are done since the start, and so much of the total.
    pub(crate) fn tell(&mut self, items: u64, bytes: u64) {
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                bar.set_position(bytes);
                bar.set_message(rate(self.what, items, self.started.elapsed()));
            }
            Shown::Lines { last } if last.elapsed() < BETWEEN_LINES => {}
            Shown::Lines { last } => {
                *last = Instant::now();
                let line = line(self.what, items, (bytes, self.total), self.measure, self.started.elapsed());
                // Progress that cannot be shown is no reason to stop.
                drop(writeln!(io::stderr(), "{line}"));
            }
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        match self.shown {
            Shown::Nothing | Shown::Lines { .. } => {}
            Shown::Bar(bar) => bar.finish_and_clear(),
        }
    }
}

fn bar(total: Option<u64>, measure: Measure) -> ProgressBar {
    const KNOWN: &str = "{bar:30} {percent:>3}% · {bytes} of {total_bytes} · {msg} · {eta} left";
    const COUNTED: &str = "{bar:30} {percent:>3}% · {human_pos} of {human_len} · {msg} · {eta} left";
    const UNKNOWN: &str = "{spinner} {bytes} · {msg} · {elapsed}";
    let style = |template| ProgressStyle::with_template(template).expect("the template is one, as a test holds");
    match (total, measure) {
        (Some(total), Measure::Bytes) => ProgressBar::new(total).with_style(style(KNOWN)),
        (Some(total), Measure::Count) => ProgressBar::new(total).with_style(style(COUNTED)),
        (None, _) => ProgressBar::new_spinner().with_style(style(UNKNOWN)),
    }
}

/// `1,200,000 touchpoints, 120,000/s`.
fn rate(what: &str, items: u64, elapsed: Duration) -> String {
    let per_second = items as f64 / elapsed.as_secs_f64().max(0.001);
    format!("{} {what}, {}/s", HumanCount(items), HumanCount(per_second as u64))
}

/// What a log is told.
fn line(what: &str, items: u64, (done, total): (u64, Option<u64>), measure: Measure, elapsed: Duration) -> String {
    let rate = rate(what, items, elapsed);
    match total.filter(|total| *total > 0) {
        None => format!("{rate}, {}", measure.show(done)),
        Some(total) => {
            let left = HumanDuration(left(done, total, elapsed));
            format!("{rate}, {} of {}, {left} left", measure.show(done), measure.show(total))
        }
    }
}

/// How long the rest takes at the pace so far.
fn left(bytes: u64, total: u64, elapsed: Duration) -> Duration {
    let rest = total.saturating_sub(bytes) as f64 / bytes.max(1) as f64;
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * rest).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_how_fast_and_how_long_still() {
        let told = |total| line("touchpoints", 1_200_000, (3 << 20, total), Measure::Bytes, Duration::from_secs(10));
        assert_eq!(told(Some(9 << 20)), "1,200,000 touchpoints, 120,000/s, 3.00 MiB of 9.00 MiB, 20 seconds left");
        assert_eq!(told(None), "1,200,000 touchpoints, 120,000/s, 3.00 MiB");
    }

    #[test]
    fn nothing_done_and_nothing_to_do_are_no_trouble() {
        for (bytes, total) in [(0, Some(0)), (0, Some(u64::MAX)), (0, None), (u64::MAX, Some(1))] {
            let told = line("lines", 0, (bytes, total), Measure::Count, Duration::ZERO);
            assert!(told.starts_with("0 lines, 0/s"), "{told}");
        }
    }

    #[test]
    fn the_bars_templates_are_templates() {
        for (total, measure) in [(None, Measure::Bytes), (Some(10), Measure::Bytes), (Some(10), Measure::Count)] {
            bar(total, measure).finish_and_clear();
        }
    }
}
