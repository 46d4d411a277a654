//! The transactions of one worker: what is done in which order and about which error, and librdkafka's calls beneath.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header as KafkaHeader, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext};

use super::calls::{Cluster, Outgoing, Place, Refused, Transactions};
use super::client::{self, SOCKET_TIMEOUT};
use super::librdkafka::{list, number};
use super::outcome::{Call, Next, after};
use super::{Settings, Watchdog};
use crate::failpoint::{failpoint, failpoint_soon};
use crate::{Error, Header, Offset};

/// How long a step of a transaction is tried again before its outcome counts as unknown.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long is waited before a step is tried again.
const AGAIN: Duration = Duration::from_millis(20);
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

/// The transactions of one worker.
pub(super) struct Transactor<C: Cluster> {
    cluster: Arc<C>,
    id: String,
    watchdog: Watchdog,
    producer: Option<C::Transactions>,
}

/// What the group says of a member.
pub(super) type Word<C> = <<C as Cluster>::Transactions as Transactions>::Word;

impl<C: Cluster> Transactor<C> {
    pub(super) fn new(cluster: Arc<C>, settings: &Settings, worker: usize, watchdog: Watchdog) -> Self {
        let id = format!("{}{}-{}-{worker}", settings.prefix, settings.group, settings.instance);
        Self { cluster, id, watchdog, producer: None }
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
        let deadline = self.cluster.now() + Duration::from_secs(60);
        while self.producer.is_none() {
            let producer = self.cluster.transactions(&self.id)?;
            let watched = self.watchdog.watch("init_transactions", HANG);
            let initialised = self.retry(Call::Init, || producer.init());
            drop(watched);
            match initialised {
                Ok(()) => self.producer = Some(producer),
                Err((Next::Exit, why)) => return Err(Error::broker("beginning to write", why.why)),
                Err((_, why)) if self.cluster.now() > deadline => {
                    return Err(Error::broker("beginning to write", why.why));
                }
                Err((_, Refused { why, .. })) => tracing::warn!(%why, "the producer cannot begin yet"),
            }
        }
        Ok(())
    }

    pub(super) fn begin(&mut self) -> Result<(), Failure> {
        self.prepare().map_err(Failure::Failed)?;
        let begun = self.producer()?.begin();
        begun.or_else(|why| self.give_up(Call::Begin, why))
    }

    /// Hands a record over. It is on its way when this returns, and delivered when [`Transactor::commit`] says so.
    pub(super) fn send(&mut self, outgoing: &Outgoing<'_>) -> Result<(), Failure> {
        let sent = self.producer()?.send(outgoing);
        sent.or_else(|why| self.give_up(Call::Send, why))
    }

    /// Waits for every record to be there, says how far the inputs were read, and commits. Returns the offsets that were
    /// asked for.
    pub(super) fn commit(&mut self, inputs: &[Place], word: &Word<C>) -> Result<Vec<(usize, Offset)>, Failure> {
        let watched = self.watchdog.watch("delivering records", HANG);
        let delivered = self.producer()?.deliver();
        drop(watched);
        #[cfg(feature = "sabotage")]
        let delivered = delivered.or_else(|why| match crate::sabotage::is(crate::sabotage::Bug::SwallowedDelivery) {
            true => Ok(()),
            false => Err(why),
        });
        delivered.or_else(|why| self.give_up(Call::Send, why))?;
        failpoint("delivered");
        let watched = self.watchdog.watch("send_offsets_to_transaction", HANG);
        let producer = self.producer()?;
        let sent = self.retry(Call::Offsets, || producer.offsets(inputs, word));
        drop(watched);
        sent.or_else(|(_, why)| self.give_up(Call::Offsets, why))?;
        failpoint("offsets-sent");
        let started = self.cluster.now();
        let watched = self.watchdog.watch("commit_transaction", HANG);
        failpoint_soon("commit-sent");
        let producer = self.producer()?;
        let committed = self.retry(Call::Commit, || producer.commit());
        drop(watched);
        committed.or_else(|(_, why)| self.give_up(Call::Commit, why))?;
        let producer = self.producer()?;
        let (offsets, disturbed) = (producer.places(), producer.disturbed());
        // A request may have been lost and sent again: its copy, late, could end the next transaction (KIP-890).
        if disturbed || self.cluster.now().saturating_sub(started) > SOCKET_TIMEOUT {
            self.discard();
        }
        Ok(offsets)
    }

    fn producer(&self) -> Result<&C::Transactions, Failure> {
        let misuse = || Failure::Failed(Error::Misuse("a transaction is begun before it is used".to_owned()));
        self.producer.as_ref().ok_or_else(misuse)
    }

    /// The same call again for as long as that is what helps.
    fn retry(&self, call: Call, mut run: impl FnMut() -> Result<(), Refused>) -> Result<(), (Next, Refused)> {
        let deadline = self.cluster.now() + PATIENCE;
        loop {
            let Err(why) = run() else { return Ok(()) };
            match after(call, &why) {
                Next::Retry if self.cluster.now() < deadline => self.cluster.pause(AGAIN),
                next => return Err((next, why)),
            }
        }
    }

    /// Ends a transaction that met an error, as the table says.
    fn give_up<T>(&mut self, call: Call, refused: Refused) -> Result<T, Failure> {
        let next = after(call, &refused);
        let why = refused.why;
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

    /// A producer that cannot even abort is made anew, which aborts.
    fn abort(&mut self) {
        let Some(producer) = self.producer.as_ref() else { return };
        let watched = self.watchdog.watch("abort_transaction", HANG);
        let aborted = self.retry(Call::Abort, || producer.abort());
        drop(watched);
        if aborted.is_err() {
            self.discard();
        }
    }
}

/// The reports on what was sent: the first failure, and the offsets that were asked for.
#[derive(Default)]
pub(super) struct Reports {
    failure: Mutex<Option<KafkaError>>,
    offsets: Mutex<Vec<(usize, Offset)>>,
    /// Whether a connection broke.
    disturbed: AtomicBool,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.disturbed.store(true, Ordering::Relaxed);
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

/// librdkafka's producer of transactions.
pub struct Transacting {
    producer: BaseProducer<Reports>,
    sent: AtomicUsize,
}

impl Transacting {
    pub(super) fn open(settings: &Settings, id: &str) -> Result<Self, Error> {
        let config = client::transactional(settings, id);
        let producer = client::open(&config, Reports::default(), "a producer")?;
        Ok(Self { producer, sent: AtomicUsize::new(0) })
    }

    fn reports(&self) -> &Reports {
        self.producer.client().context()
    }
}

impl Transactions for Transacting {
    type Word = ConsumerGroupMetadata;

    fn init(&self) -> Result<(), Refused> {
        Ok(self.producer.init_transactions(SOCKET_TIMEOUT)?)
    }

    fn begin(&self) -> Result<(), Refused> {
        let reports = self.reports();
        *reports.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        reports.offsets.lock().unwrap_or_else(PoisonError::into_inner).clear();
        reports.disturbed.store(false, Ordering::Relaxed);
        Ok(self.producer.begin_transaction()?)
    }

    fn send(&self, outgoing: &Outgoing<'_>) -> Result<(), Refused> {
        let mut record = record(outgoing);
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if std::time::Instant::now() < deadline =>
                {
                    self.producer.poll(Duration::from_millis(1));
                    record = back;
                }
                Err((why, _)) => return Err(why.into()),
            }
        }
        if self.sent.fetch_add(1, Ordering::Relaxed).is_multiple_of(1024) {
            self.producer.poll(Duration::ZERO);
        }
        Ok(())
    }

    /// Serves the reports until none is missing: `commit_transaction` then has nothing to flush. rdkafka's flush sleeps
    /// for 100 ms where something is; and its poll, asked to wait for less than a millisecond or for the rest of one, spins
    /// instead. So nothing is waited for in it.
    fn deliver(&self) -> Result<(), Refused> {
        let mut missing = self.producer.in_flight_count();
        while missing > 0 {
            self.producer.poll(Duration::ZERO);
            let left = self.producer.in_flight_count();
            if left == missing {
                std::thread::sleep(GLANCE);
            }
            missing = left;
        }
        let failure = self.reports().failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map_or(Ok(()), |why| Err(why.into()))
    }

    fn offsets(&self, inputs: &[Place], word: &ConsumerGroupMetadata) -> Result<(), Refused> {
        Ok(self.producer.send_offsets_to_transaction(&list(inputs)?, word, SOCKET_TIMEOUT)?)
    }

    fn commit(&self) -> Result<(), Refused> {
        self.producer.commit_transaction(PATIENCE)?;
        // What became of connections meanwhile is told to whoever polls.
        self.producer.poll(Duration::ZERO);
        Ok(())
    }

    /// Flushes and aborts; an abort without a flush before it can end in a state that librdkafka calls fatal (4849).
    fn abort(&self) -> Result<(), Refused> {
        self.producer.purge(rdkafka::producer::PurgeConfig::default().queue());
        let deadline = std::time::Instant::now() + SOCKET_TIMEOUT;
        while self.producer.in_flight_count() > 0 && std::time::Instant::now() < deadline {
            self.producer.poll(Duration::from_millis(1));
        }
        Ok(self.producer.abort_transaction(SOCKET_TIMEOUT)?)
    }

    fn places(&self) -> Vec<(usize, Offset)> {
        std::mem::take(&mut *self.reports().offsets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn disturbed(&self) -> bool {
        self.reports().disturbed.load(Ordering::Relaxed)
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
