//! The fetch thread: one consumer for the inputs of every partition this process holds, and a lane to each worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use rdkafka::Message;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::changelog::{add, number};
use super::client::{self, Consumer, Quiet};
use super::inbox::Inbox;
use super::{Settings, footer::Footer};
use crate::{Bytes, Delivery, Error, Partition, Record, Topic};

/// How many messages are taken from librdkafka before they are handed on.
const HANDFUL: usize = 2_000;
/// How long the thread sleeps where nothing comes: the delay of a command. What comes wakes it. The last millisecond of
/// it rdkafka spends in spinning, so it is not to be short.
const NAP: Duration = Duration::from_millis(50);

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
}

pub(super) struct Fetch {
    consumer: Consumer,
    commands: Receiver<Command>,
    inboxes: Vec<Arc<Inbox>>,
    /// The inputs, and their names on the cluster.
    inputs: Vec<(Topic, String)>,
    most: usize,
    reading: BTreeMap<Partition, Reading>,
    paused: Vec<bool>,
}

impl Fetch {
    pub(super) fn open(
        settings: &Settings,
        inboxes: Vec<Arc<Inbox>>,
        commands: Receiver<Command>,
    ) -> Result<Self, Error> {
        let mut config = client::reading(settings);
        config.set("enable.partition.eof", "false");
        Ok(Self {
            consumer: client::open(&config, Quiet, "a reader of inputs")?,
            commands,
            paused: vec![false; inboxes.len()],
            inboxes,
            inputs: settings.inputs.iter().map(|topic| (topic.clone(), settings.name(topic))).collect(),
            most: settings.inbox,
            reading: BTreeMap::new(),
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
        self.press()?;
        let mut handful: Vec<Vec<(usize, u64, Delivery)>> = vec![Vec::new(); self.inboxes.len()];
        let mut patience = NAP;
        for _ in 0..HANDFUL {
            match self.consumer.poll(patience) {
                None => break,
                Some(Ok(message)) => {
                    if let Some((worker, fetched)) = self.sort(&message) {
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
                let mut list = TopicPartitionList::new();
                for (topic, name) in &self.inputs {
                    add(&mut list, name, partition, from.next(topic).unwrap_or_default())?;
                }
                let assigned = self.consumer.incremental_assign(&list);
                assigned.map_err(|why| Error::broker("reading inputs", why))?;
                if self.paused[worker] {
                    self.consumer.pause(&list).map_err(|why| Error::broker("pausing inputs", why))?;
                }
                self.reading.insert(partition, Reading { worker, epoch });
                Ok(())
            }
        }
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
    fn sort(&self, message: &BorrowedMessage<'_>) -> Option<(usize, (usize, u64, Delivery))> {
        let partition = Partition::try_from(message.partition()).ok()?;
        let reading = self.reading.get(&partition)?;
        let lane = self.inputs.iter().position(|(_, name)| name == message.topic())?;
        let delivery = delivery(self.inputs[lane].0.clone(), partition, message);
        Some((reading.worker, (lane, reading.epoch, delivery)))
    }

    /// What cannot be read any more is an error; what librdkafka goes on trying is not.
    fn hear(&self, why: KafkaError) -> Result<(), Error> {
        use rdkafka::error::RDKafkaErrorCode as Code;
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
