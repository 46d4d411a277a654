//! The cluster under probe, and clients of it.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use musubi_broker::{Broker, Faults, Settings};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{Offset, TopicPartitionList};

/// The most that any single step of a probe may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Which records a reader sees.
#[derive(Clone, Copy)]
pub(crate) enum Seeing {
    Committed,
    Everything,
}

impl Seeing {
    fn level(self) -> &'static str {
        match self {
            Self::Committed => "read_committed",
            Self::Everything => "read_uncommitted",
        }
    }
}

/// A record as a probe compares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Seen {
    pub(crate) fn of(message: &impl Message) -> Self {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect(),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or(b"null")).into_owned()
    }
}

/// What became of every record that was sent.
#[derive(Default)]
pub(crate) struct Reports(pub(crate) Mutex<Vec<Result<(i32, i64), KafkaError>>>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let report = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        self.0.lock().expect("no probe panics with it").push(report);
    }
}

pub(crate) type Sender = BaseProducer<Reports>;

/// The cluster under probe.
pub(crate) struct Cluster {
    broker: Option<Broker>,
    pub(crate) bootstrap: String,
}

impl Cluster {
    /// The cluster that is named, or else a test broker.
    pub(crate) fn up() -> Self {
        match std::env::var("KAFKA_BOOTSTRAP") {
            Ok(bootstrap) if !bootstrap.is_empty() => Self { broker: None, bootstrap },
            _ => Self::of_ours(Settings::default()),
        }
    }

    /// A test broker, whatever is named.
    pub(crate) fn of_ours(settings: Settings) -> Self {
        let broker = Broker::start(settings).expect("a free port");
        Self { bootstrap: broker.bootstrap(), broker: Some(broker) }
    }

    /// What makes a test broker fail; a real cluster has none, and the probe says what it leaves out.
    pub(crate) fn faults(&self, otherwise: &str) -> Option<Faults> {
        if self.broker.is_none() {
            writeln!(std::io::stderr(), "NOT PROBED on a real cluster: {otherwise}").expect("stderr is open");
        }
        self.broker.as_ref().map(Broker::faults)
    }

    /// A name that nobody has used, not even an earlier run on a shared cluster.
    pub(crate) fn name(&self, stem: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
        format!("probe-{stem}-{nanos:x}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn config(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        settings.iter().for_each(|(name, value)| {
            config.set(*name, *value);
        });
        config
    }

    pub(crate) fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config(&[]).create().expect("a client")
    }

    /// A new topic with one replica, which is enough to write to it, whatever the cluster wants of its own. It is there
    /// when this returns.
    pub(crate) fn topic(&self, stem: &str, partitions: i32, settings: &[(&str, &str)]) -> String {
        let name = self.name(stem);
        let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1)).set("min.insync.replicas", "1");
        let topic = settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value));
        let made = wait(self.admin().create_topics([&topic], &AdminOptions::new().operation_timeout(Some(PATIENCE))));
        made.expect("the cluster answers")[0].as_ref().expect("the topic is created");
        let watcher: BaseConsumer = self.config(&[]).create().expect("a client");
        until("the topic has leaders", || {
            let known = watcher.fetch_metadata(Some(&name), PATIENCE).ok()?;
            let partitions = known.topics().first()?.partitions();
            let led = partitions.iter().all(|partition| partition.leader() >= 0);
            (led && partitions.len() == usize::try_from(topic.num_partitions).ok()?).then_some(())
        });
        name
    }

    pub(crate) fn sender(&self, settings: &[(&str, &str)]) -> Sender {
        self.config(settings).create_with_context(Reports::default()).expect("a producer")
    }

    /// A transactional producer that has its epoch.
    pub(crate) fn transactional(&self, id: &str, settings: &[(&str, &str)]) -> Sender {
        let own = [("transactional.id", id), ("retry.backoff.ms", "10"), ("linger.ms", "0")];
        let sender = self.sender(&[&own, settings].concat());
        sender.init_transactions(PATIENCE).expect("the coordinator gives an epoch");
        sender
    }

    pub(crate) fn reader(&self, seeing: Seeing, settings: &[(&str, &str)]) -> BaseConsumer {
        let unused = self.name("reader");
        let own = [
            ("group.id", &*unused),
            ("isolation.level", seeing.level()),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("enable.partition.eof", "true"),
            ("fetch.wait.max.ms", "50"),
        ];
        self.config(&[&own, settings].concat()).create().expect("a consumer")
    }

    /// Everything in the topic that such a reader sees, by partition and offset.
    pub(crate) fn read(&self, topic: &str, partitions: i32, seeing: Seeing) -> Vec<Seen> {
        let reader = self.reader(seeing, &[]);
        let mut all = TopicPartitionList::new();
        for partition in 0..partitions {
            all.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
        }
        reader.assign(&all).expect("an assignment");
        let mut seen = read_to_end(&reader, partitions);
        seen.sort_by_key(|record| (record.partition, record.offset));
        seen
    }

    /// The values of partition 0 that such a reader sees.
    pub(crate) fn values(&self, topic: &str, seeing: Seeing) -> Vec<String> {
        self.read(topic, 1, seeing).iter().map(Seen::text).collect()
    }

    /// Waits until no transaction is open in partition 0. The end of one is decided when it is answered; its mark comes a
    /// little later.
    pub(crate) fn settled(&self, topic: &str) {
        until("every transaction is ended", || {
            let ends = self.ends(topic, Seeing::Everything);
            (self.ends(topic, Seeing::Committed) == ends).then_some(())
        });
    }

    /// Where partition 0 begins and ends for such a reader.
    pub(crate) fn ends(&self, topic: &str, seeing: Seeing) -> (i64, i64) {
        self.reader(seeing, &[]).fetch_watermarks(topic, 0, PATIENCE).expect("offsets")
    }
}

/// Reads what is assigned until that many partitions are at their end.
pub(crate) fn read_to_end(reader: &BaseConsumer, partitions: i32) -> Vec<Seen> {
    let (mut seen, mut left) = (Vec::new(), partitions);
    let deadline = Instant::now() + PATIENCE;
    while left > 0 {
        assert!(Instant::now() < deadline, "{left} partitions not read to their end in {PATIENCE:?}");
        match reader.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => seen.push(Seen::of(&message)),
            Some(Err(KafkaError::PartitionEOF(_))) => left -= 1,
            Some(Err(error)) if is_passing(&error) => {}
            Some(Err(error)) => panic!("a reader met {error}"),
            None => {}
        }
    }
    seen
}

/// Whether the client goes on by itself after that error: the broker is away for a while.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure};
    matches!(error.rdkafka_error_code(), Some(AllBrokersDown | BrokerTransportFailure))
}

/// Sends to partition 0 and does not wait.
pub(crate) fn send(sender: &Sender, topic: &str, key: &str, value: &str) {
    sender.send(BaseRecord::to(topic).partition(0).key(key).payload(value)).map_err(|(error, _)| error).expect("room");
}

/// Waits until everything sent is answered for.
pub(crate) fn flush(sender: &Sender) {
    sender.flush(PATIENCE).expect("everything is answered for");
}

/// One transaction with these values, ended so.
pub(crate) fn transact(sender: &Sender, topic: &str, values: &[&str], commit: bool) {
    sender.begin_transaction().expect("a transaction");
    values.iter().for_each(|value| send(sender, topic, value, value));
    flush(sender);
    let ended = if commit { sender.commit_transaction(PATIENCE) } else { sender.abort_transaction(PATIENCE) };
    ended.expect("the transaction ends");
}

/// The next record, however long it takes within reason.
pub(crate) fn next<C: rdkafka::consumer::ConsumerContext>(consumer: &BaseConsumer<C>) -> Seen {
    until("a record comes", || match consumer.poll(Duration::from_millis(100))? {
        Ok(message) => Some(Seen::of(&message)),
        Err(KafkaError::PartitionEOF(_)) => None,
        Err(error) => panic!("a consumer met {error}"),
    })
}

/// Asks again and again until there is an answer.
pub(crate) fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, ask)
}

/// The same, with another patience.
pub(crate) fn within<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} until {what}");
        std::thread::yield_now();
    }
}

/// An admin's answer.
pub(crate) fn wait<T>(answer: impl Future<Output = KafkaResult<T>>) -> KafkaResult<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(answer)
}
