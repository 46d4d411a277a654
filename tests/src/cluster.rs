//! A cluster for a test: the one in `KAFKA_BOOTSTRAP`, or a broker of our own in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use musubi_broker::{Broker, Faults};
use musubi_core::policy::Policy;
use musubi_core::time::Timestamp;
use musubi_generator::{Generator, Line, Options, Shape};
use musubi_log::kafka::{self, Edge};
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
        let mut settings = cluster::settings(&bootstrap, partitions);
        settings.prefix = prefix();
        settings.group = format!("{}stitcher", settings.prefix);
        settings.session_timeout = Duration::from_secs(6);
        let cluster = Cluster {
            settings,
            replication: 1,
            policy: Arc::new(Policy::recommended()),
            key: Key::development().key,
            store: musubi_store::Options { block_cache: 32 << 20, memtables: 32 << 20, without_wal: false },
            machine: musubi_stitcher::Options::default(),
            contract: musubi_stitcher::Contract::default(),
            writers: musubi_schema::Writers::default(),
            batch: 2_000,
        };
        kafka::apply(&cluster.settings, &cluster.plan())?;
        cluster.check()?;
        Ok(Self { cluster, broker })
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
        let edge = Edge::open(&self.cluster.settings)?;
        let mut parser = Parser::new();
        for lines in lines.chunks(APPENDED) {
            let appends: Result<Vec<Append>> = lines.iter().map(|line| self.append(&mut parser, line)).collect();
            edge.append(appends?)?;
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
        let record = Record::new(key.into_bytes(), value, milliseconds(touchpoint.occurred_at));
        Ok(Append { topic: TOUCHPOINTS, partition, record })
    }

    /// Waits until everything is stitched.
    ///
    /// # Errors
    /// Where that takes too long.
    pub fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut quiet = 0;
        while quiet < 3 {
            let behind: u64 = kafka::lag(&self.cluster.settings)?.iter().map(kafka::Lag::behind).sum();
            quiet = if behind == 0 { quiet + 1 } else { 0 };
            ensure!(Instant::now() < deadline, "it never settles: {behind} offsets behind");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

fn milliseconds(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(1_000)
}

/// A name that no other test has, on a cluster that lasts.
fn prefix() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("t{now}-{}-{}.", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
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
