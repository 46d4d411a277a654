//! A cluster for a test: the one in `KAFKA_BOOTSTRAP`, or a broker of our own in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use musubi_broker::{Broker, Faults};
use musubi_core::policy::Policy;
use musubi_generator::{Generator, Line, Options, Shape};
use musubi_log::kafka::{self, Edge, Gauge};
use musubi_log::{Append, Producer as _, Record};
use musubi_schema::{Parser, avro};
use musubi_serve::Key;
use musubi_serve::cluster::{self, Cluster};
use musubi_stitcher::topics::TOUCHPOINTS;

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How many touchpoints are appended at once.
const APPENDED: usize = 500;

/// A cluster with the topics of one deployment, which no other test shares.
pub struct Fixture {
    /// The deployment.
    pub cluster: Cluster,
    edge: Edge,
    broker: Option<Broker>,
}

impl Fixture {
    /// A fresh deployment with so many partitions.
    ///
    /// # Errors
    /// Where the cluster cannot be had.
    pub fn start(partitions: u32) -> Result<Self> {
        Self::start_on(partitions, musubi_broker::Settings::default())
    }

    /// A fresh deployment on a broker with these settings, where the broker is ours.
    ///
    /// # Errors
    /// Where the cluster cannot be had.
    pub fn start_on(partitions: u32, settings: musubi_broker::Settings) -> Result<Self> {
        let named = std::env::var("KAFKA_BOOTSTRAP").ok();
        let broker = if named.is_none() { Some(Broker::start(settings)?) } else { None };
        let bootstrap = named.or_else(|| broker.as_ref().map(Broker::bootstrap)).unwrap_or_default();
        Ok(Self { broker, ..Self::at(&bootstrap, partitions)? })
    }

    /// A fresh deployment with settings that are not those of every test.
    ///
    /// # Errors
    /// Where the cluster cannot be had.
    pub fn shaped(partitions: u32, shape: impl FnOnce(&mut kafka::Settings)) -> Result<Self> {
        let named = std::env::var("KAFKA_BOOTSTRAP").ok();
        let broker = if named.is_none() { Some(Broker::start(musubi_broker::Settings::default())?) } else { None };
        let bootstrap = named.or_else(|| broker.as_ref().map(Broker::bootstrap)).unwrap_or_default();
        let mut cluster = deployment(&bootstrap, partitions);
        shape(&mut cluster.settings);
        Ok(Self { broker, ..Self::made(cluster)? })
    }

    /// A fresh deployment on a cluster that somebody else runs.
    ///
    /// # Errors
    /// Where the cluster cannot be had.
    pub fn at(bootstrap: &str, partitions: u32) -> Result<Self> {
        Self::made(deployment(bootstrap, partitions))
    }

    fn made(cluster: Cluster) -> Result<Self> {
        kafka::apply(&cluster.settings, &cluster.plan())?;
        let fixture = Self { edge: Edge::open(&cluster.settings)?, cluster, broker: None };
        // A cluster makes topics in its own time.
        let deadline = Instant::now() + PATIENCE;
        while let Err(why) = fixture.cluster.check() {
            ensure!(Instant::now() < deadline, "the topics never come: {why}");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(fixture)
    }

    /// Where the cluster is.
    pub fn bootstrap(&self) -> &str {
        &self.cluster.settings.properties["bootstrap.servers"]
    }

    /// The faults of the broker, where it is ours.
    pub fn faults(&self) -> Option<Faults> {
        self.broker.as_ref().map(Broker::faults)
    }

    /// Appends touchpoints, as a collector does.
    ///
    /// # Errors
    /// Where the cluster refuses them.
    pub fn feed(&self, lines: &[Vec<u8>]) -> Result<()> {
        let mut parser = Parser::new();
        for lines in lines.chunks(APPENDED) {
            let appends: Result<Vec<Append>> = lines.iter().map(|line| self.append(&mut parser, line)).collect();
            self.edge.append(appends?)?;
        }
        Ok(())
    }

    fn append(&self, parser: &mut Parser, line: &[u8]) -> Result<Append> {
        let mut touchpoint = parser.parse_touchpoint(line).map_err(|why| anyhow::anyhow!("{why:?}"))?;
        touchpoint.received_at.get_or_insert(touchpoint.occurred_at);
        let identifiers = self.cluster.policy.identify(&touchpoint, &self.cluster.key);
        let (key, partition) = match &identifiers {
            Ok(identifiers) => {
                let strongest = &identifiers.kept[0];
                (strongest.text().to_owned(), strongest.owner(self.cluster.settings.partitions))
            }
            // What the policy sets aside is for the stitcher to say.
            Err(_) => (String::new(), 0),
        };
        let mut value = Vec::new();
        avro::Record::Touchpoint(&touchpoint).encode(&mut value)?;
        // Received now, as at a collector's door: what is said of it is then not old already for the topics' retention.
        let record = Record::new(key.into_bytes(), value, now_ms());
        Ok(Append { topic: TOUCHPOINTS, partition, record })
    }

    /// Waits until everything is stitched.
    ///
    /// # Errors
    /// Where that takes too long.
    pub fn settle(&self) -> Result<()> {
        self.settle_with(PATIENCE, || Ok(()))
    }

    /// Waits until everything is stitched and no transaction is open, as long as something goes on within `patience`, and
    /// does `meanwhile` between looks.
    ///
    /// # Errors
    /// Where nothing goes on for too long, or `meanwhile` fails.
    pub fn settle_with(&self, patience: Duration, mut meanwhile: impl FnMut() -> Result<()>) -> Result<()> {
        let (mut since, mut last, mut quiet) = (Instant::now(), None, 0);
        let gauge = Gauge::open(&self.cluster.settings)?;
        while quiet < 3 {
            // A cluster that restarts does not answer.
            let behind = gauge.lag().ok().map(|lags| lags.iter().map(kafka::Lag::behind).sum::<u64>());
            quiet = if behind == Some(0) && self.decided(&gauge) { quiet + 1 } else { 0 };
            if behind != last {
                (since, last) = (Instant::now(), behind);
            }
            ensure!(since.elapsed() < patience, "it does not settle: {last:?} offsets behind for {patience:?}");
            meanwhile()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Whether no transaction is open on what is read to know the state.
    fn decided(&self, gauge: &Gauge) -> bool {
        let settings = &self.cluster.settings;
        let topics: Vec<_> = settings.inputs.iter().cloned().chain([settings.changelog.clone()]).collect();
        gauge.ends(&topics).is_ok_and(|ends| ends.iter().all(|ends| ends.stable == ends.end))
    }

    /// Appends records as they are to a topic, whatever they are worth.
    ///
    /// # Errors
    /// Where the cluster refuses them.
    pub fn feed_raw(&self, records: Vec<(u32, Record)>) -> Result<()> {
        let now = |record| Record { timestamp_ms: now_ms(), ..record };
        let append = |(partition, record)| Append { topic: TOUCHPOINTS, partition, record: now(record) };
        let appends = records.into_iter().map(append);
        self.edge.append(appends.collect())?;
        Ok(())
    }
}

/// A deployment as the tests have it.
fn deployment(bootstrap: &str, partitions: u32) -> Cluster {
    let mut settings = cluster::settings(bootstrap, partitions);
    settings.prefix = prefix();
    settings.group = format!("{}stitcher", settings.prefix);
    settings.session_timeout = Duration::from_secs(6);
    Cluster {
        settings,
        replication: 1,
        policy: Arc::new(Policy::recommended()),
        key: Key::development().key,
        store: musubi_store::Options { block_cache: 32 << 20, memtables: 32 << 20, without_wal: false },
        machine: musubi_stitcher::Options::default(),
        contract: musubi_stitcher::Contract::default(),
        writers: musubi_schema::Writers::default(),
        batch: 2_000,
    }
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A name that no other test has, on a cluster that lasts.
fn prefix() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("t{now}-{}-{}.", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Generated touchpoints, one a line, of which one in fifty comes a second time a little later.
pub fn touchpoints_with_copies(count: u64, seed: u64) -> Vec<Vec<u8>> {
    let lines = touchpoints(count, seed);
    let copy = |place: usize| (place % 50 == 49).then(|| lines[place - 30].clone());
    lines.iter().enumerate().flat_map(|(place, line)| [Some(line.clone()), copy(place)]).flatten().collect()
}

/// Generated touchpoints, one a line.
pub fn touchpoints(count: u64, seed: u64) -> Vec<Vec<u8>> {
    let mut generator = Generator::new(Options::new(count / 6, count, seed, Shape::Retail));
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    while let Some(kind) = generator.write_next(&mut line) {
        if let Line::Touchpoint(_) = kind {
            lines.push(line.clone());
        }
        line.clear();
    }
    lines
}
