//! A deployment to measure, and the broker beneath it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use musubi_benches::beside;
use musubi_log::kafka::{self, Cleanup, Edge, Gauge, Onlooker, Planned};
use musubi_log::{Append, Budget, Offset, Producer as _, Reader as _, Record, Topic};
use musubi_schema::{Parser, avro};
use musubi_serve::Key;
use musubi_serve::cluster::{self, Cluster};
use musubi_stitcher::topics::{ALL, DIRECTIVES, PROFILE_CHANGES, TOUCHPOINTS};

use crate::children::Running;
use crate::musubi;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How many records are appended at once.
const APPENDED: usize = 5_000;

/// A deployment to measure, and the broker beneath it.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    broker: Option<Arc<Running>>,
    state: tempfile::TempDir,
    /// More settings of the stitcher.
    more: Vec<String>,
}

impl Stage {
    /// A fresh deployment on the cluster that is named, or on a broker of its own.
    pub(crate) fn set(partitions: u32, workers: usize, batch: usize, more: &[String]) -> Result<Self> {
        let named = std::env::var("KAFKA_BOOTSTRAP").ok();
        let (broker, bootstrap) = match named {
            Some(bootstrap) => (None, bootstrap),
            None => {
                let (broker, said) = Running::start(&mut Command::new(beside("musubi-broker")?))?;
                (Some(Arc::new(broker)), said)
            }
        };
        let stage = Self::on(broker, &bootstrap, partitions, workers, batch)?;
        Ok(Self { more: more.to_vec(), ..stage })
    }

    /// Another deployment on the same broker.
    pub(crate) fn beside(other: &Self, partitions: u32) -> Result<Self> {
        let (workers, batch) = (other.cluster.settings.workers, other.cluster.batch);
        let stage = Self::on(other.broker.clone(), other.bootstrap(), partitions, workers, batch)?;
        Ok(Self { more: other.more.clone(), ..stage })
    }

    fn on(
        broker: Option<Arc<Running>>,
        bootstrap: &str,
        partitions: u32,
        workers: usize,
        batch: usize,
    ) -> Result<Self> {
        let mut settings = cluster::settings(bootstrap, partitions);
        settings.prefix = prefix();
        settings.group = format!("{}stitcher", settings.prefix);
        settings.workers = workers;
        let cluster = Cluster {
            settings,
            replication: 1,
            policy: musubi_benches::policy(),
            key: Key::development().key,
            store: musubi_store::Options::default(),
            machine: musubi_stitcher::Options::default(),
            contract: musubi_stitcher::Contract::default(),
            writers: musubi_schema::Writers::default(),
            batch,
        };
        kafka::apply(&cluster.settings, &cluster.plan())?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(why) = cluster.check() {
            ensure!(Instant::now() < deadline, "the topics never come: {why}");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(Self { cluster, broker, state: tempfile::tempdir()?, more: Vec::new() })
    }

    pub(crate) fn bootstrap(&self) -> &str {
        &self.cluster.settings.properties["bootstrap.servers"]
    }

    pub(crate) const fn broker_is(&self) -> &'static str {
        if self.broker.is_some() { "the test broker, on the same cores" } else { "as named" }
    }

    /// The topic of touchpoints by its name on the cluster.
    pub(crate) fn touchpoints(&self) -> String {
        self.cluster.settings.name(&TOUCHPOINTS)
    }

    /// A topic for whoever copies.
    pub(crate) fn scratch_topic(&self) -> Result<String> {
        let topic = Topic::constant("copy");
        let settings = &self.cluster.settings;
        kafka::apply(settings, &[Planned::new(settings, topic.clone(), Cleanup::Delete(None), 1)])?;
        Ok(settings.name(&topic))
    }

    /// The broker's processor time so far, where it is ours.
    pub(crate) fn broker_time(&self) -> Option<Duration> {
        self.broker.as_ref().map(|broker| broker.processor_time())
    }

    /// The same since then.
    pub(crate) fn broker_since(&self, before: Option<Duration>) -> Option<Duration> {
        Some(self.broker_time()?.saturating_sub(before?))
    }

    /// Appends every line that is a touchpoint; how many.
    pub(crate) fn feed(&self, lines: &[Vec<u8>]) -> Result<usize> {
        let edge = Edge::open(&self.cluster.settings)?;
        let mut parser = Parser::new();
        let mut count = 0;
        for lines in lines.chunks(APPENDED) {
            let appends: Vec<Append> = lines.iter().filter_map(|line| self.append(&mut parser, line)).collect();
            count += appends.len();
            edge.append(appends)?;
        }
        Ok(count)
    }

    /// A line as a collector writes it; none where it is no touchpoint under the policy.
    pub(crate) fn append(&self, parser: &mut Parser, line: &[u8]) -> Option<Append> {
        let mut touchpoint = parser.parse_touchpoint(line).ok()?;
        touchpoint.received_at.get_or_insert(touchpoint.occurred_at);
        let identifiers = self.cluster.policy.identify(&touchpoint, &self.cluster.key).ok()?;
        let strongest = identifiers.kept.first()?;
        let mut value = Vec::new();
        avro::Record::Touchpoint(&touchpoint).encode(&mut value).ok()?;
        let record = Record::new(strongest.text().as_bytes().to_vec(), value, now_ms());
        let partition = strongest.owner(self.cluster.settings.partitions);
        Some(Append { topic: TOUCHPOINTS, partition, record })
    }

    /// The command that starts a stitcher.
    pub(crate) fn stitcher(&self) -> Result<Command> {
        let settings = &self.cluster.settings;
        let mut command = Command::new(musubi()?);
        command.arg("stitch").env_remove("MUSUBI_KEY").env("RUST_LOG", "error");
        let values = [
            format!("kafka.bootstrap={}", self.bootstrap()),
            format!("kafka.prefix={}", settings.prefix),
            format!("kafka.partitions={}", settings.partitions),
            "kafka.replication=1".to_owned(),
            format!("stitch.workers={}", settings.workers),
            format!("stitch.batch={}", self.cluster.batch),
            format!("stitch.data={}", self.state.path().display()),
        ];
        for value in values.iter().chain(&self.more) {
            command.args(["--set", value]);
        }
        Ok(command)
    }

    /// Waits until everything is stitched.
    pub(crate) fn settle(&self) -> Result<()> {
        let gauge = Gauge::open(&self.cluster.settings)?;
        let deadline = Instant::now() + PATIENCE;
        while gauge.lag()?.iter().map(kafka::Lag::behind).sum::<u64>() > 0 {
            ensure!(Instant::now() < deadline, "not stitched in {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Sends one touchpoint of somebody new.
    pub(crate) fn probe(&self) -> Result<Probe<'_>> {
        let onlooker = Onlooker::open(&self.cluster.settings)?;
        let ends = self.ends(&onlooker)?;
        let line = format!(
            r#"{{"source":"probe","event_id":"{}","channel":"web","type":"page","occurred_at":"2026-04-01T10:00:00Z","identifiers":[{{"namespace":"email","value":"probe-{}@example.jp"}}]}}"#,
            now_ms(),
            now_ms()
        );
        let append = self.append(&mut Parser::new(), line.as_bytes()).context("the probe is a touchpoint")?;
        Edge::open(&self.cluster.settings)?.append(vec![append])?;
        Ok(Probe { stage: self, onlooker, ends })
    }

    fn ends(&self, onlooker: &Onlooker) -> Result<Vec<Offset>> {
        let partitions = 0..self.cluster.settings.partitions;
        partitions.map(|partition| Ok(onlooker.end_offset(&PROFILE_CHANGES, partition)?)).collect()
    }

    /// What was said on each topic, and of what kinds the changelog's records are.
    pub(crate) fn said(&self) -> Result<BTreeMap<String, Said>> {
        let onlooker = Onlooker::open(&self.cluster.settings)?;
        let changelog = self.cluster.settings.changelog.clone();
        let topics =
            ALL.into_iter().filter(|topic| ![TOUCHPOINTS, DIRECTIVES].contains(topic)).chain([changelog.clone()]);
        let mut said = BTreeMap::<String, Said>::new();
        for topic in topics {
            self.each(&onlooker, &topic, |record| {
                let mut name = topic.to_string();
                if topic == changelog {
                    name = format!("{name}: {}", kind_of(record.key.as_deref().unwrap_or_default()));
                }
                let one = said.entry(name).or_default();
                one.records += 1;
                one.bytes += record.size();
            })?;
        }
        Ok(said)
    }

    fn each(&self, onlooker: &Onlooker, topic: &Topic, mut see: impl FnMut(&Record)) -> Result<()> {
        let budget = Budget { records: 50_000, bytes: 64 << 20, patience: Duration::ZERO };
        for partition in 0..self.cluster.settings.partitions {
            let (mut next, end) = (onlooker.start_offset(topic, partition)?, onlooker.end_offset(topic, partition)?);
            while next < end {
                let stretch = onlooker.read(topic, partition, next, budget)?;
                next = stretch.next;
                stretch.records.iter().for_each(|delivery| see(&delivery.record));
            }
        }
        Ok(())
    }

    /// What the state takes on the disk.
    pub(crate) fn state_bytes(&self) -> Result<u64> {
        bytes(self.state.path())
    }
}

/// A touchpoint on its way.
pub(crate) struct Probe<'a> {
    stage: &'a Stage,
    onlooker: Onlooker,
    ends: Vec<Offset>,
}

impl Probe<'_> {
    /// Waits until its person is told of.
    pub(crate) fn told(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.stage.ends(&self.onlooker)? == self.ends {
            ensure!(Instant::now() < deadline, "the probe is never told of");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

/// What was said on a topic.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    pub(crate) records: usize,
    /// Keys, values and headers, before they are compressed.
    pub(crate) bytes: usize,
}

/// What a record of the changelog is about, by its key: a table or, where a zero comes first, the word behind it.
fn kind_of(key: &[u8]) -> String {
    let word = key.strip_prefix(&[0]).unwrap_or(key);
    let end = word.iter().position(|byte| !byte.is_ascii_lowercase()).unwrap_or(word.len());
    String::from_utf8_lossy(&word[..end]).into_owned()
}

fn bytes(directory: &Path) -> Result<u64> {
    std::fs::read_dir(directory)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A name that no other deployment has, on a cluster that lasts.
fn prefix() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("bench-{}-{}-{}.", now_ms(), std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}
