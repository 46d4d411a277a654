//! Clients of librdkafka, each with what its role rests on.
//!
//! The values are from measurements on one broker and two cores: without `retry.backoff.ms` a transaction waits 100 ms
//! for the markers of the one before; with the default `fetch.queue.backoff.ms` a quick consumer stalls for a second.

use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::NoCustomPartitioner;

use super::{Protocol, Settings};
use crate::Error;

/// How long a request may take before it counts as lost. The default is a minute, too long for anybody who waits.
pub(super) const SOCKET_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a look at the cluster may take.
pub(super) const ASK: Duration = Duration::from_secs(15);
/// How often a member says that it lives, which is also how soon it hears of a rebalance: a partition that moves stands
/// still for two of these. The default is 3 s.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The largest record. A topic must allow as much (`max.message.bytes`).
pub(super) const LARGEST: usize = 8 * 1024 * 1024;

/// A client that says nothing but its log.
#[derive(Clone, Debug, Default)]
pub struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
    }
}

impl ConsumerContext for Quiet {}

impl rdkafka::producer::ProducerContext<NoCustomPartitioner> for Quiet {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &rdkafka::producer::DeliveryResult<'_>, (): Self::DeliveryOpaque) {}
}

/// librdkafka's log in ours. What it calls an error it retries, so it is a warning here.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::warn!(facility, message, "kafka client");
        }
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(facility, message, "kafka client");
        }
    }
}

fn base(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (key, value) in &settings.properties {
        config.set(key, value);
    }
    config.set("socket.timeout.ms", SOCKET_TIMEOUT.as_millis().to_string());
    config.set("allow.auto.create.topics", "false");
    // A transaction is a conversation of small requests; each would wait for the answer to the one before.
    config.set("socket.nagle.disable", "true");
    config
}

/// A consumer that reads what it is told to, committed records only. It names the group, which librdkafka wants of whoever
/// is assigned anything, and never joins it.
pub(super) fn reading(settings: &Settings) -> ClientConfig {
    let mut config = base(settings);
    config
        .set("group.id", &settings.group)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        .set("enable.partition.eof", "true")
        .set("fetch.min.bytes", "1")
        .set("fetch.wait.max.ms", "20")
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.message.max.bytes", (4 * 1024 * 1024).to_string())
        .set("queued.max.messages.kbytes", "65536");
    config
}

/// A client that only asks: its watermarks are the true ends, with what is not committed yet.
pub(super) fn asking(settings: &Settings) -> ClientConfig {
    let mut config = reading(settings);
    config.set("isolation.level", "read_uncommitted");
    config
}

/// The member of the group. It fetches nothing.
pub(super) fn member(settings: &Settings) -> ClientConfig {
    let mut config = reading(settings);
    config.set("group.instance.id", &settings.instance);
    match settings.protocol {
        Protocol::Classic => config
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", settings.session_timeout.as_millis().to_string())
            .set("heartbeat.interval.ms", HEARTBEAT.min(settings.session_timeout / 3).as_millis().to_string())
            .set("max.poll.interval.ms", settings.session_timeout.as_millis().max(300_000).to_string()),
        Protocol::Consumer => config.set("group.protocol", "consumer"),
    };
    config
}

/// The producer of a worker's transactions.
pub(super) fn transactional(settings: &Settings, id: &str) -> ClientConfig {
    let mut config = producing(settings);
    config
        .set("transactional.id", id)
        .set("transaction.timeout.ms", settings.transaction_timeout.as_millis().to_string());
    config
}

/// A producer whose records are there, once each, when it says so.
pub(super) fn producing(settings: &Settings) -> ClientConfig {
    let mut config = base(settings);
    if !settings.properties.contains_key("compression.type") {
        config.set("compression.type", "lz4");
    }
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "1")
        .set("retry.backoff.ms", "5")
        .set("retry.backoff.max.ms", "200")
        .set("batch.size", (1024 * 1024).to_string())
        .set("batch.num.messages", "100000")
        .set("message.max.bytes", LARGEST.to_string())
        .set("queue.buffering.max.messages", "1000000")
        .set("queue.buffering.max.kbytes", (512 * 1024).to_string());
    config
}

/// Makes a client, and says for what it was wanted where it cannot be made.
pub(super) fn open<C, T>(config: &ClientConfig, context: C, what: &'static str) -> Result<T, Error>
where
    C: ClientContext,
    T: FromClientConfigAndContext<C>,
{
    config.create_with_context(context).map_err(|why| Error::broker(what, why))
}

/// Whether an error is one that the cluster gets over by itself: a broker that restarts, a leader that moves.
pub(super) fn passes(why: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        why.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::Resolve
                | Code::OperationTimedOut
                | Code::MessageTimedOut
                | Code::RequestTimedOut
                | Code::CoordinatorLoadInProgress
                | Code::CoordinatorNotAvailable
                | Code::NotCoordinator
                | Code::BrokerNotAvailable
                | Code::ReplicaNotAvailable
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::NetworkException
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::OffsetNotAvailable
                | Code::UnstableOffsetCommit
        )
    )
}

/// Asks again for as long as the answer is an error that passes, and there is time.
pub(super) fn patiently<T>(
    patience: Duration,
    mut ask: impl FnMut() -> Result<T, KafkaError>,
) -> Result<T, KafkaError> {
    let deadline = Instant::now() + patience;
    loop {
        match ask() {
            Err(why) if passes(&why) && Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            answer => return answer,
        }
    }
}

/// A consumer that says nothing but its log.
pub(super) type Consumer = BaseConsumer<Quiet>;
