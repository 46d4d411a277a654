//! The producer of one worker's transactions.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header as KafkaHeader, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::changelog::number;
use super::client::{self, SOCKET_TIMEOUT};
use super::outcome::{Call, Next, after};
use super::{Settings, Watchdog};
use crate::failpoint::{failpoint, failpoint_soon};
use crate::{Error, Header, Offset, Partition};

/// How long a step of a transaction is tried again before its outcome counts as unknown.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a single call may hang before the watchdog barks. Init waits for the coordinator and for what was left open.
const HANG: Duration = Duration::from_secs(90);

/// How often is looked whether reports have come.
const GLANCE: Duration = Duration::from_micros(300);

/// Why a transaction did not happen, or may not have.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing happened: the group no longer counts this member's word.
    Fenced,
    /// Nothing happened, and trying again may help.
    Aborted(String),
    /// All or nothing happened.
    Unknown(String),
    /// Nothing happened, and trying again cannot help.
    Failed(Error),
}

/// The reports on what was sent: the first failure, and the offsets that were asked for.
#[derive(Default)]
struct Reports {
    failure: Mutex<Option<KafkaError>>,
    offsets: Mutex<Vec<(usize, Offset)>>,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka producer");
    }
}

impl ProducerContext<NoCustomPartitioner> for Reports {
    /// 0 for a record nobody asks about, else one more than the number of the question.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, asked: Self::DeliveryOpaque) {
        match result {
            Ok(message) if asked > 0 => {
                let offset = message.offset().max(0).cast_unsigned();
                self.offsets.lock().unwrap_or_else(PoisonError::into_inner).push((asked - 1, offset));
            }
            Ok(_) => {}
            Err((why, _)) => {
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why.clone());
            }
        }
    }
}

/// A record on its way out.
pub(super) struct Outgoing<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: Partition,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: &'a [Header],
    /// None: the time of sending.
    pub(super) timestamp_ms: Option<i64>,
    /// 0, or one more than the number under which its offset is wanted.
    pub(super) asked: usize,
}

/// The producer of one worker's transactions.
pub(super) struct Transactor {
    settings: Arc<Settings>,
    id: String,
    watchdog: Watchdog,
    producer: Option<BaseProducer<Reports>>,
    sent: usize,
}

impl Transactor {
    pub(super) fn new(settings: Arc<Settings>, worker: usize, watchdog: Watchdog) -> Self {
        let id = format!("{}{}-{}-{worker}", settings.prefix, settings.group, settings.instance);
        Self { settings, id, watchdog, producer: None, sent: 0 }
    }

    /// The next transaction gets a new producer under the same id, which fences whatever the last one left in flight.
    pub(super) fn discard(&mut self) {
        if let Some(producer) = self.producer.take() {
            let _watched = self.watchdog.watch("dropping a producer", HANG);
            drop(producer);
        }
    }

    /// Makes sure that there is a producer and nothing is left open under its id.
    pub(super) fn prepare(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.producer.is_none() {
            let config = client::transactional(&self.settings, &self.id);
            let producer: BaseProducer<Reports> = client::open(&config, Reports::default(), "a producer")?;
            let watched = self.watchdog.watch("init_transactions", HANG);
            let initialised = self.retry(Call::Init, || producer.init_transactions(SOCKET_TIMEOUT));
            drop(watched);
            match initialised {
                Ok(()) => self.producer = Some(producer),
                Err((Next::Exit, why)) => return Err(Error::broker("beginning to write", why)),
                Err((_, why)) if Instant::now() > deadline => return Err(Error::broker("beginning to write", why)),
                Err((_, why)) => tracing::warn!(%why, "the producer cannot begin yet"),
            }
        }
        Ok(())
    }

    pub(super) fn begin(&mut self) -> Result<(), Failure> {
        self.prepare().map_err(Failure::Failed)?;
        let producer = self.producer()?;
        let reports = producer.client().context();
        *reports.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        reports.offsets.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let begun = producer.begin_transaction();
        begun.or_else(|why| self.give_up(Call::Begin, why))
    }

    /// Hands a record over. It is on its way when this returns, and delivered when [`Transactor::commit`] says so.
    pub(super) fn send(&mut self, outgoing: &Outgoing<'_>) -> Result<(), Failure> {
        let producer = self.producer()?;
        let mut record = record(outgoing);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    producer.poll(Duration::from_millis(1));
                    record = back;
                }
                Err((why, _)) => return self.give_up(Call::Send, why),
            }
        }
        self.sent += 1;
        if self.sent.is_multiple_of(1024) {
            self.producer()?.poll(Duration::ZERO);
        }
        Ok(())
    }

    /// Waits for every record to be there, says how far the inputs were read, and commits. Returns the offsets that were
    /// asked for.
    pub(super) fn commit(
        &mut self,
        inputs: &TopicPartitionList,
        member: &ConsumerGroupMetadata,
    ) -> Result<Vec<(usize, Offset)>, Failure> {
        self.deliver()?;
        failpoint("delivered");
        let watched = self.watchdog.watch("send_offsets_to_transaction", HANG);
        let producer = self.producer()?;
        let sent = self.retry(Call::Offsets, || producer.send_offsets_to_transaction(inputs, member, SOCKET_TIMEOUT));
        drop(watched);
        sent.or_else(|(_, why)| self.give_up(Call::Offsets, why))?;
        failpoint("offsets-sent");
        let started = Instant::now();
        let watched = self.watchdog.watch("commit_transaction", HANG);
        failpoint_soon("commit-sent");
        let producer = self.producer()?;
        let committed = self.retry(Call::Commit, || producer.commit_transaction(PATIENCE));
        drop(watched);
        committed.or_else(|(_, why)| self.give_up(Call::Commit, why))?;
        let reports = self.producer()?.client().context();
        let offsets = std::mem::take(&mut *reports.offsets.lock().unwrap_or_else(PoisonError::into_inner));
        // A request may have been lost and sent again: its copy, late, could end the next transaction (KIP-890).
        if started.elapsed() > SOCKET_TIMEOUT {
            self.discard();
        }
        Ok(offsets)
    }

    /// Serves the reports until none is missing: `commit_transaction` then has nothing to flush. rdkafka's flush sleeps
    /// for 100 ms where something is; and its poll, asked to wait for less than a millisecond or for the rest of one, spins
    /// instead. So nothing is waited for in it.
    fn deliver(&mut self) -> Result<(), Failure> {
        let watched = self.watchdog.watch("delivering records", HANG);
        let producer = self.producer()?;
        let mut missing = producer.in_flight_count();
        while missing > 0 {
            producer.poll(Duration::ZERO);
            let left = producer.in_flight_count();
            if left == missing {
                std::thread::sleep(GLANCE);
            }
            missing = left;
        }
        drop(watched);
        let failure = producer.client().context().failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failure {
            None => Ok(()),
            Some(why) => self.give_up(Call::Send, why),
        }
    }

    fn producer(&self) -> Result<&BaseProducer<Reports>, Failure> {
        let misuse = || Failure::Failed(Error::Misuse("a transaction is begun before it is used".to_owned()));
        self.producer.as_ref().ok_or_else(misuse)
    }

    /// The same call again for as long as that is what helps.
    fn retry(&self, call: Call, mut run: impl FnMut() -> KafkaResult<()>) -> Result<(), (Next, KafkaError)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Err(why) = run() else { return Ok(()) };
            match after(call, &why) {
                Next::Retry if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
                next => return Err((next, why)),
            }
        }
    }

    /// Ends a transaction that met an error, as the table says.
    fn give_up<T>(&mut self, call: Call, why: KafkaError) -> Result<T, Failure> {
        let next = after(call, &why);
        tracing::warn!(?call, ?next, %why, "a transaction was given up");
        match next {
            Next::Abort | Next::Fenced | Next::Exit => self.abort(),
            Next::Retry | Next::Recreate => self.discard(),
        }
        Err(match next {
            Next::Fenced => Failure::Fenced,
            Next::Exit => Failure::Failed(Error::broker(format!("a transaction ({call:?})"), why)),
            Next::Abort => Failure::Aborted(why.to_string()),
            Next::Retry | Next::Recreate => Failure::Unknown(why.to_string()),
        })
    }

    /// Flushes and aborts; an abort without a flush before it can end in a state that librdkafka calls fatal (4849).
    /// A producer that cannot even abort is made anew, which aborts.
    fn abort(&mut self) {
        let Some(producer) = self.producer.as_ref() else { return };
        let watched = self.watchdog.watch("abort_transaction", HANG);
        producer.purge(rdkafka::producer::PurgeConfig::default().queue());
        let deadline = Instant::now() + SOCKET_TIMEOUT;
        while producer.in_flight_count() > 0 && Instant::now() < deadline {
            producer.poll(Duration::from_millis(1));
        }
        let aborted = self.retry(Call::Abort, || producer.abort_transaction(SOCKET_TIMEOUT));
        drop(watched);
        if aborted.is_err() {
            self.discard();
        }
    }
}

fn record<'a>(outgoing: &Outgoing<'a>) -> BaseRecord<'a, [u8], [u8], usize> {
    let mut record = BaseRecord::with_opaque_to(outgoing.topic, outgoing.asked).partition(number(outgoing.partition));
    record.key = outgoing.key;
    record.payload = outgoing.value;
    record.timestamp = outgoing.timestamp_ms;
    record.headers = headers(outgoing.headers);
    record
}

/// Headers as librdkafka owns them; None where there are none.
pub(super) fn headers(headers: &[Header]) -> Option<OwnedHeaders> {
    (!headers.is_empty()).then(|| {
        headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |owned, (name, value)| {
            owned.insert(KafkaHeader { key: name, value: Some(value.as_ref()) })
        })
    })
}
