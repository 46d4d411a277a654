//! The fetch thread: one consumer for the inputs of every partition this process holds, and a lane to each worker.
//!
//! After every broker was away the consumer is made anew. On Apache Kafka 4.0, whose only broker had been away for half a
//! minute, the consumer before (librdkafka 2.12) was seen to fetch nothing ever after, with its partitions assigned and no
//! error said; a new one reads at once. What is known of where each input goes on is therefore kept here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::changelog::{add, number};
use super::client::{self, Consumer, Quiet};
use super::inbox::Inbox;
use super::{Settings, footer::Footer};
use crate::{Bytes, Delivery, Error, Offset, Partition, Record, Topic};

/// How many messages are taken from librdkafka before they are handed on.
const HANDFUL: usize = 2_000;
/// How long the thread sleeps where nothing comes: the delay of a command.
const NAP: Duration = Duration::from_millis(10);

/// How long no more is heard of brokers that are away before the consumer is made anew.
const QUIET: Duration = Duration::from_secs(2);

/// What the fetch thread is told.
pub(super) enum Command {
    /// Read a partition's inputs from where a footer ends. What is fetched belongs to the epoch.
    Read { partition: Partition, worker: usize, epoch: u64, from: Footer },
    /// Read it no longer.
    Leave { partition: Partition },
}

/// A partition that is being read.
struct Reading {
    worker: usize,
    epoch: u64,
    /// Where each input goes on.
    next: Vec<Offset>,
}

pub(super) struct Fetch {
    settings: Settings,
    consumer: Consumer,
    commands: Receiver<Command>,
    inboxes: Vec<Arc<Inbox>>,
    /// The inputs, and their names on the cluster.
    inputs: Vec<(Topic, String)>,
    most: usize,
    reading: BTreeMap<Partition, Reading>,
    paused: Vec<bool>,
    /// When the consumer is to be made anew.
    renewal: Option<Instant>,
}

/// A consumer of the inputs.
fn open(settings: &Settings) -> Result<Consumer, Error> {
    let mut config = client::reading(settings);
    config.set("enable.partition.eof", "false");
    client::open(&config, Quiet, "a reader of inputs")
}

impl Fetch {
    pub(super) fn open(
        settings: &Settings,
        inboxes: Vec<Arc<Inbox>>,
        commands: Receiver<Command>,
    ) -> Result<Self, Error> {
        Ok(Self {
            settings: settings.clone(),
            consumer: open(settings)?,
            commands,
            paused: vec![false; inboxes.len()],
            inboxes,
            inputs: settings.inputs.iter().map(|topic| (topic.clone(), settings.name(topic))).collect(),
            most: settings.inbox,
            reading: BTreeMap::new(),
            renewal: None,
        })
    }

    /// Fetches until nobody commands any more. An error is given to every worker.
    pub(super) fn run(mut self) {
        loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => {
                    self.inboxes.iter().for_each(|inbox| inbox.fail(why.clone()));
                    // The workers are told once; the thread stays so that commands find an ear.
                    std::thread::sleep(NAP);
                }
            }
        }
    }

    fn turn(&mut self) -> Result<bool, Error> {
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.obey(command)?,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(false),
            }
        }
        if self.renewal.is_some_and(|at| at <= Instant::now()) {
            self.renew()?;
        }
        self.press()?;
        let mut handful: Vec<Vec<(usize, u64, Delivery)>> = vec![Vec::new(); self.inboxes.len()];
        let mut patience = NAP;
        for _ in 0..HANDFUL {
            match self.consumer.poll(patience) {
                None => break,
                Some(Ok(message)) => {
                    if let Some((worker, fetched)) = Self::sort(&self.inputs, &mut self.reading, &message) {
                        handful[worker].push(fetched);
                    }
                }
                Some(Err(why)) => self.hear(why)?,
            }
            patience = Duration::ZERO;
        }
        for (inbox, fetched) in self.inboxes.iter().zip(handful) {
            if !fetched.is_empty() {
                inbox.push(fetched);
            }
        }
        Ok(true)
    }

    fn obey(&mut self, command: Command) -> Result<(), Error> {
        match command {
            Command::Leave { partition } => self.leave(partition),
            Command::Read { partition, worker, epoch, from } => {
                self.leave(partition)?;
                let next = self.inputs.iter().map(|(topic, _)| from.next(topic).unwrap_or_default()).collect();
                let reading = Reading { worker, epoch, next };
                self.assign(partition, &reading)?;
                self.reading.insert(partition, reading);
                Ok(())
            }
        }
    }

    /// The consumer reads a partition's inputs from where they go on.
    fn assign(&self, partition: Partition, reading: &Reading) -> Result<(), Error> {
        let mut list = TopicPartitionList::new();
        for ((_, name), next) in self.inputs.iter().zip(&reading.next) {
            add(&mut list, name, partition, *next)?;
        }
        self.consumer.incremental_assign(&list).map_err(|why| Error::broker("reading inputs", why))?;
        if self.paused[reading.worker] {
            self.consumer.pause(&list).map_err(|why| Error::broker("pausing inputs", why))?;
        }
        Ok(())
    }

    /// Another consumer reads on where this one stopped.
    fn renew(&mut self) -> Result<(), Error> {
        self.renewal = None;
        self.consumer = open(&self.settings)?;
        tracing::info!("the brokers were away: the inputs are read by another consumer");
        self.reading.iter().try_for_each(|(partition, reading)| self.assign(*partition, reading))
    }

    fn leave(&mut self, partition: Partition) -> Result<(), Error> {
        if self.reading.remove(&partition).is_none() {
            return Ok(());
        }
        let list = self.list(std::iter::once(partition));
        self.consumer.incremental_unassign(&list).map_err(|why| Error::broker("leaving inputs", why))
    }

    fn list(&self, partitions: impl Iterator<Item = Partition>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            for (_, name) in &self.inputs {
                list.add_partition(name, number(partition));
            }
        }
        list
    }

    /// Pauses the partitions of a worker whose inbox is full, and resumes them when it is half empty.
    fn press(&mut self) -> Result<(), Error> {
        for worker in 0..self.inboxes.len() {
            let waiting = self.inboxes[worker].len();
            let pause = if self.paused[worker] { waiting > self.most / 2 } else { waiting > self.most };
            if pause == self.paused[worker] {
                continue;
            }
            self.paused[worker] = pause;
            let its = self.reading.iter().filter(|(_, reading)| reading.worker == worker);
            let list = self.list(its.map(|(partition, _)| *partition));
            let done = if pause { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
            done.map_err(|why| Error::broker("pausing or resuming inputs", why))?;
        }
        Ok(())
    }

    /// A message as a delivery, and whose it is.
    fn sort(
        inputs: &[(Topic, String)],
        reading: &mut BTreeMap<Partition, Reading>,
        message: &BorrowedMessage<'_>,
    ) -> Option<(usize, (usize, u64, Delivery))> {
        let partition = Partition::try_from(message.partition()).ok()?;
        let reading = reading.get_mut(&partition)?;
        let lane = inputs.iter().position(|(_, name)| name == message.topic())?;
        let delivery = delivery(inputs[lane].0.clone(), partition, message);
        reading.next[lane] = delivery.offset + 1;
        Some((reading.worker, (lane, reading.epoch, delivery)))
    }

    /// What cannot be read any more is an error; what librdkafka goes on trying is not.
    fn hear(&mut self, why: KafkaError) -> Result<(), Error> {
        use rdkafka::error::RDKafkaErrorCode as Code;
        if why.rdkafka_error_code() == Some(Code::AllBrokersDown) {
            self.renewal = Some(Instant::now() + QUIET);
        }
        let lost =
            matches!(why.rdkafka_error_code(), Some(Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::Fatal));
        if lost {
            return Err(Error::broker("reading inputs: a position is no longer there", why));
        }
        tracing::warn!(%why, "reading inputs");
        Ok(())
    }
}

/// A message as a delivery of ours. Key and value are slices of one buffer.
pub(super) fn delivery(topic: Topic, partition: Partition, message: &BorrowedMessage<'_>) -> Delivery {
    let (key, value) = (message.key(), message.payload());
    let mut buffer = Vec::with_capacity(key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len));
    buffer.extend_from_slice(key.unwrap_or_default());
    let middle = buffer.len();
    buffer.extend_from_slice(value.unwrap_or_default());
    let buffer = Bytes::from(buffer);
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        let header = |header: rdkafka::message::Header<'_, &[u8]>| {
            (header.key.to_owned().into(), Bytes::copy_from_slice(header.value.unwrap_or_default()))
        };
        headers.iter().map(header).collect()
    });
    let record = Record {
        key: key.map(|_| buffer.slice(..middle)),
        value: value.map(|_| buffer.slice(middle..)),
        headers,
        timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
    };
    Delivery { topic, partition, offset: message.offset().max(0).cast_unsigned(), record }
}
