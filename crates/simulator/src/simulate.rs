//! One seed from beginning to end.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use crate::checks;
use crate::driver::Driver;
use crate::scenario::Scenario;
use crate::story::Story;
use crate::{Failed, Failure};

/// How seeds are simulated.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// One seed in so many keeps its state in RocksDB, which is slow to open; 0 is none.
    pub rocks: u32,
    /// One seed in so many is told twice, to see that it tells the same; 0 is none.
    pub again: u32,
    /// The bug that is planted while the seed runs.
    #[cfg(feature = "sabotage")]
    pub bug: Option<crate::Bug>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rocks: 50,
            again: 10,
            #[cfg(feature = "sabotage")]
            bug: None,
        }
    }
}

/// What a seed came to, all oracles agreeing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Arrivals sent.
    pub arrivals: usize,
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
    /// Persons at rest.
    pub persons: usize,
    /// The fingerprint at rest.
    pub fingerprint: String,
    /// A hash of every record of every topic: the story that the same seed must tell again.
    pub story: u64,
}

/// Simulates a seed and asks every oracle.
///
/// # Errors
/// What disagreed, and the story of it.
pub fn simulate(seed: u64, options: &Options) -> Result<Report, Failure> {
    let report = tell(seed, options)?;
    let twice = options.again > 0 && seed.is_multiple_of(options.again.into());
    if !twice || tell(seed, options)? == report {
        return Ok(report);
    }
    let scenario = Scenario::draw(seed, options).to_string();
    Err(failure(seed, options, "told twice, it is not the same story".to_owned(), scenario, &Story::default()))
}

fn tell(seed: u64, options: &Options) -> Result<Report, Failure> {
    #[cfg(feature = "sabotage")]
    musubi_core::sabotage::plant(options.bug);
    let scenario = Scenario::draw(seed, options);
    let description = scenario.to_string();
    let story = Rc::new(RefCell::new(Story::default()));
    let played = catch_unwind(AssertUnwindSafe(|| play(scenario, Rc::clone(&story))));
    #[cfg(feature = "sabotage")]
    musubi_core::sabotage::plant(None);
    let played = played.unwrap_or_else(|panic| Err(Failed(format!("panic: {}", message(panic.as_ref())))));
    played.map_err(|Failed(what)| failure(seed, options, what, description, &story.borrow()))
}

fn play(scenario: Scenario, story: Rc<RefCell<Story>>) -> Result<Report, Failed> {
    let mut driver = Driver::new(scenario, story)?;
    driver.run()?;
    checks::at_rest(&driver)
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("of something unsaid")
}

fn failure(seed: u64, options: &Options, what: String, scenario: String, story: &Story) -> Failure {
    let replay = format!("musubi simulate --seeds 1 --first {seed}{}", sabotage(options));
    Failure { seed, what, scenario, story: story.to_string(), replay }
}

#[cfg(feature = "sabotage")]
fn sabotage(options: &Options) -> String {
    options.bug.map(|bug| format!(" --sabotage {}", bug.as_str())).unwrap_or_default()
}

#[cfg(not(feature = "sabotage"))]
fn sabotage(_: &Options) -> String {
    String::new()
}
