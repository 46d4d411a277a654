//! The edge: what comes from outside is appended here, durably, at least once.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, NoCustomPartitioner, ProducerContext, ThreadedProducer};

use super::Settings;
use super::client;
use super::librdkafka::number;
use super::transactor::headers;
use crate::{Append, Error, Offset, Producer};

/// How long an append may take. librdkafka gives up on a record earlier, so this only guards against its silence.
const PATIENCE: Duration = Duration::from_secs(330);

/// Appends what comes from outside.
///
/// Kafka cannot append to several partitions as one without a transaction, so of an append that failed some records can
/// be there. The sender sends them again, and the stitcher knows a touchpoint that it has seen.
pub struct Edge {
    producer: ThreadedProducer<Reports>,
    prefix: String,
}

impl Edge {
    /// A producer of the cluster.
    ///
    /// # Errors
    /// [`Error::Broker`] where a client cannot be made of the settings.
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        let producer = client::open(&client::producing(settings), Reports, "a producer")?;
        Ok(Self { producer, prefix: settings.prefix.clone() })
    }

    fn send(&self, append: &Append, ticket: Box<Ticket>) -> Result<(), Error> {
        let topic = format!("{}{}", self.prefix, append.topic);
        let mut record = BaseRecord::with_opaque_to(&topic, ticket)
            .partition(number(append.partition))
            .timestamp(append.record.timestamp_ms);
        record.key = append.record.key.as_deref();
        record.payload = append.record.value.as_deref();
        record.headers = headers(&append.record.headers);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    record = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((why, _)) => return Err(Error::broker(format!("appending to `{topic}`"), why)),
            }
        }
    }
}

impl Producer for Edge {
    fn append(&self, appends: Vec<Append>) -> Result<Vec<Offset>, Error> {
        let waiting = Arc::new(Waiting::new(appends.len()));
        for (place, append) in appends.iter().enumerate() {
            let ticket = Box::new(Ticket { place, waiting: Arc::clone(&waiting) });
            self.send(append, ticket)?;
        }
        waiting.wait()
    }
}

/// Which record of which append a report is about.
struct Ticket {
    place: usize,
    waiting: Arc<Waiting>,
}

/// An append that waits for its reports.
struct Waiting {
    state: Mutex<State>,
    done: Condvar,
}

struct State {
    offsets: Vec<Offset>,
    missing: usize,
    failure: Option<KafkaError>,
}

impl Waiting {
    fn new(records: usize) -> Self {
        let state = State { offsets: vec![0; records], missing: records, failure: None };
        Self { state: Mutex::new(state), done: Condvar::new() }
    }

    fn report(&self, place: usize, delivered: Result<Offset, KafkaError>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.missing -= 1;
        match delivered {
            Ok(offset) => state.offsets[place] = offset,
            Err(why) => drop(state.failure.get_or_insert(why)),
        }
        if state.missing == 0 {
            self.done.notify_all();
        }
    }

    fn wait(&self) -> Result<Vec<Offset>, Error> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.done.wait_timeout_while(state, PATIENCE, |state| state.missing > 0);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match state.failure.take() {
            Some(why) => Err(Error::broker("appending", why)),
            None if state.missing > 0 => {
                Err(Error::Stalled { what: format!("{} records are unanswered", state.missing) })
            }
            None => Ok(std::mem::take(&mut state.offsets)),
        }
    }
}

struct Reports;

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka producer");
    }
}

impl ProducerContext<NoCustomPartitioner> for Reports {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Self::DeliveryOpaque) {
        let delivered = match result {
            Ok(message) => Ok(message.offset().max(0).cast_unsigned()),
            Err((why, _)) => Err(why.clone()),
        };
        ticket.waiting.report(ticket.place, delivered);
    }
}
