//! One seed from beginning to end.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use musubi_log::kafka::{self, Progress};
use musubi_log::simulated::{self, Cluster};
use musubi_log::{self as log, Append, Budget, Delivery, Producer as _};
use musubi_stitcher::{Worker, topics};

use crate::checks;
use crate::dice::Dice;
use crate::disk::Disk;
use crate::driver::{Driver, Totals};
use crate::footers;
use crate::hardships::Hardships;
use crate::rest::Rest;
use crate::scenario::Scenario;
use crate::stage::{End, Stage};
use crate::story::Story;
use crate::{Failed, Failure};

/// What a seed is played in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// A log that keeps to what any log promises, and is as unkind as it may be.
    Gentle,
    /// The log on Kafka, on a model of a cluster.
    Kafka,
}

impl World {
    /// Every world.
    pub const ALL: [Self; 2] = [Self::Gentle, Self::Kafka];

    /// Its name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gentle => "gentle",
            Self::Kafka => "kafka",
        }
    }

    /// The world of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|world| world.as_str() == name)
    }
}

/// How seeds are simulated.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The world; none is each of them.
    pub world: Option<World>,
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
            world: None,
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
    /// Torn transactions that were found, and of which the alarm was raised: that is where the seed ends.
    pub alarms: u64,
    /// Persons at rest.
    pub persons: usize,
    /// The fingerprint at rest.
    pub fingerprint: String,
    /// A hash of every record of every topic: the story that the same seed must tell again.
    pub story: u64,
}

/// Simulates a seed, in each world that is asked for, and asks every oracle. Returns a report for each.
///
/// # Errors
/// What disagreed, and the story of it.
pub fn simulate(seed: u64, options: &Options) -> Result<Vec<Report>, Failure> {
    let worlds = World::ALL.into_iter().filter(|world| options.world.is_none_or(|wanted| wanted == *world));
    worlds.map(|world| simulate_in(world, seed, options)).collect()
}

fn simulate_in(world: World, seed: u64, options: &Options) -> Result<Report, Failure> {
    let options = &Options { world: Some(world), ..*options };
    let report = tell(world, seed, options)?;
    let twice = options.again > 0 && seed.is_multiple_of(options.again.into());
    if !twice || tell(world, seed, options)? == report {
        return Ok(report);
    }
    let scenario = Scenario::draw(seed, options).to_string();
    Err(failure(seed, options, "told twice, it is not the same story".to_owned(), scenario, &Story::default()))
}

fn tell(world: World, seed: u64, options: &Options) -> Result<Report, Failure> {
    #[cfg(feature = "sabotage")]
    crate::bug::plant(options.bug);
    let scenario = Scenario::draw(seed, options);
    let mut description = scenario.to_string();
    if world == World::Kafka {
        description.push_str(&format!("\n{}", Hardships::draw(seed).0));
    }
    let story = Rc::new(RefCell::new(Story::default()));
    let played = catch_unwind(AssertUnwindSafe(|| match world {
        World::Gentle => play(scenario, Rc::clone(&story)),
        World::Kafka => play_on_kafka(scenario, Rc::clone(&story)),
    }));
    #[cfg(feature = "sabotage")]
    crate::bug::plant(None);
    let played = played.unwrap_or_else(|panic| Err(Failed(format!("panic: {}", message(panic.as_ref())))));
    played.map_err(|Failed(what)| failure(seed, options, what, description, &story.borrow()))
}

fn play(scenario: Scenario, story: Rc<RefCell<Story>>) -> Result<Report, Failed> {
    let mut driver = Driver::new(scenario, story)?;
    driver.run()?;
    checks::at_rest(&driver.at_rest()?)
}

fn play_on_kafka(scenario: Scenario, story: Rc<RefCell<Story>>) -> Result<Report, Failed> {
    let stage = Stage::new(scenario, story)?;
    let (seed, partitions) = (stage.scenario.seed, stage.scenario.partitions);
    let alarm = |totals| Report { alarms: 1, ..Report::of(seed, stage.scenario.arrivals.len(), totals) };
    if let End::Alarm(_) = stage.run()? {
        return Ok(alarm(stage.totals()));
    }
    let struck = stage.model.counts().strikes > 0;
    let rebuilt = match rebuild(&stage) {
        Err(log::Error::Corrupt { .. } | log::Error::Mismatch { .. }) if struck => return Ok(alarm(stage.totals())),
        rebuilt => rebuilt?,
    };
    if struck {
        // What was said downstream may be there twice, which no footer tells; the state must be whole.
        return match footers::torn(&stage.model, partitions) {
            Some(what) => Err(Failed(format!("torn, and nobody noticed: {what}"))),
            None => Ok(Report::of(seed, stage.scenario.arrivals.len(), stage.totals())),
        };
    }
    let parts: Result<_, _> = (0..partitions).map(|partition| rebuilt.part(partition)).collect();
    let disk = |partition| stage.disk(partition).ok_or_else(|| Failed("a partition is nobody's".to_owned()));
    let disks: Result<_, _> = (0..partitions).map(disk).collect();
    let (scenario, shelf, totals) = (&stage.scenario, &stage.model, stage.totals());
    let rest = Rest { scenario, shelf, disks: disks?, rebuilt: parts?, totals };
    checks::honestly(|| footers::at_rest(&rest, &stage.model))?;
    let report = checks::at_rest(&rest)?;
    let replayed = checks::honestly(|| replay(&rest))?;
    if replayed == report.fingerprint {
        return Ok(report);
    }
    Err(Failed(format!("a replay of all that came in comes to {replayed}, wanted {}", report.fingerprint)))
}

/// The fingerprint that somebody comes to who has nothing and reads all evidence from the beginning.
fn replay(rest: &Rest<'_>) -> Result<String, Failed> {
    let Scenario { policy, deployment, partitions, machine, .. } = rest.scenario;
    let partitioned = topics::ALL.map(|topic| (topic, *partitions));
    let random = Dice::new(rest.scenario.seed).spawn();
    let cluster = Cluster::new(&partitioned, &topics::INPUTS, simulated::Faults::NONE, random)?;
    for topic in [topics::TOUCHPOINTS, topics::DIRECTIVES] {
        let again = |Delivery { topic, partition, record, .. }| Append { topic, partition, record };
        cluster.append(rest.shelf.records(&topic)?.into_iter().map(again).collect())?;
    }
    let (log, disk) = (cluster.worker(), Disk::default());
    cluster.assign(log.id(), &(0..*partitions).collect::<Vec<_>>());
    let mut worker = Worker::new(log, disk.clone(), policy.clone(), deployment.clone(), *partitions, *machine);
    while cluster.unread() > 0 {
        worker.turn(Budget::records(100))?;
        cluster.tick();
    }
    let disks = vec![disk; *partitions as usize];
    checks::fingerprint(&Rest { disks, rebuilt: Vec::new(), ..*rest })
}

/// The state as somebody restores it who has nothing, in the way of the log on Kafka.
fn rebuild(stage: &Stage) -> Result<Disk, log::Error> {
    let disk = Disk::default();
    let link = stage.model.process("onlooker");
    kafka::recover_from(Arc::new(link), &stage.settings("onlooker"), Arc::new(disk.clone()), &Progress::default())?;
    Ok(disk)
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("of something unsaid")
}

impl Report {
    /// That of a seed whose oracles are not all asked.
    fn of(seed: u64, arrivals: usize, totals: Totals) -> Self {
        let Totals { turns, undone, deaths, moves, .. } = totals;
        let (records, persons, fingerprint, story) = Default::default();
        Self { seed, arrivals, records, turns, undone, deaths, moves, alarms: 0, persons, fingerprint, story }
    }
}

fn failure(seed: u64, options: &Options, what: String, scenario: String, story: &Story) -> Failure {
    let world = options.world.map_or("", World::as_str);
    let replay = format!("musubi simulate --seeds 1 --first {seed} --world {world}{}", sabotage(options));
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
