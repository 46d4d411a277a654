//! The broker's state in one place: topics, coordinators, the journal, and the order of writes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use kafka_protocol::ResponseError;
use tokio::sync::watch;
use uuid::Uuid;

use crate::Settings;
use crate::faults::Plan;
use crate::groups::Groups;
use crate::journal::{Fact, Journal};
use crate::log::{Answer, Log};
use crate::topics::{Configs, Partition, Topic};
use crate::transactions::Txns;

/// The only broker of the cluster.
pub(crate) const BROKER: i32 = 1;

/// Everything that a request may touch.
///
/// Locks are taken in this order: transactions, groups, topics, a partition's log, journal. None is held over an await.
pub(crate) struct Node {
    pub(crate) settings: Settings,
    pub(crate) port: u16,
    topics: RwLock<BTreeMap<String, Arc<Topic>>>,
    pub(crate) txns: Mutex<Txns>,
    pub(crate) groups: Mutex<Groups>,
    journal: Mutex<Journal>,
    pub(crate) plan: Mutex<Plan>,
    stamps: AtomicU64,
    synced: AtomicU64,
    next_producer: AtomicI64,
    leader_epoch: AtomicI32,
    /// Counts restarts and cuts: a connection that began under another number is closed.
    pub(crate) life: watch::Sender<u64>,
}

/// A lock whose holder may have panicked: what it guards is changed in single steps, so it is used on.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Node {
    /// A broker's state, with what its data directory holds.
    pub(crate) fn open(settings: Settings, port: u16) -> std::io::Result<Arc<Self>> {
        let journal = match &settings.data {
            Some(data) => {
                std::fs::create_dir_all(data)?;
                Journal::open(&data.join("journal.jsonl"))?
            }
            None => Journal::default(),
        };
        let node = Arc::new(Self {
            settings,
            port,
            topics: RwLock::default(),
            txns: Mutex::default(),
            groups: Mutex::default(),
            journal: Mutex::new(journal),
            plan: Mutex::default(),
            stamps: AtomicU64::new(1),
            synced: AtomicU64::new(0),
            next_producer: AtomicI64::new(1),
            leader_epoch: AtomicI32::new(0),
            life: watch::Sender::new(0),
        });
        node.open_topics()?;
        node.load();
        Ok(node)
    }

    fn open_topics(&self) -> std::io::Result<()> {
        let facts: Vec<_> = lock(&self.journal).facts().collect();
        let start_of = |name: &str, index: i32| {
            facts.iter().find_map(|fact| match fact {
                Fact::Start { topic, partition, offset } if topic == name && *partition == index => Some(*offset),
                _ => None,
            })
        };
        for fact in &facts {
            if let Fact::Topic { name, id, partitions, configs } = fact {
                let logs = (0..*partitions).map(|index| self.open_log(name, index, start_of(name, index).unwrap_or(0)));
                let partitions = logs.collect::<std::io::Result<_>>()?;
                self.set_topic(Topic {
                    name: name.clone(),
                    id: Uuid::from_u128(*id),
                    partitions,
                    configs: configs.clone(),
                });
            }
        }
        Ok(())
    }

    fn open_log(&self, topic: &str, partition: i32, start: i64) -> std::io::Result<Arc<Partition>> {
        let log = match self.log_path(topic, partition) {
            Some(path) => Log::open(&path, start)?,
            None => Log::default(),
        };
        Ok(Arc::new(Partition { log: Mutex::new(log) }))
    }

    fn log_path(&self, topic: &str, partition: i32) -> Option<PathBuf> {
        self.settings.data.as_ref().map(|data| data.join(format!("{topic}-{partition}.log")))
    }

    /// Takes up what the journal says of the coordinators, as a broker does that starts, and begins a leader epoch.
    fn load(self: &Arc<Self>) {
        let facts: Vec<_> = lock(&self.journal).facts().collect();
        let mut epoch = -1;
        for fact in &facts {
            match fact {
                Fact::LeaderEpoch(last) => epoch = *last,
                Fact::NextProducer(next) => {
                    self.next_producer.fetch_max(*next, Ordering::Relaxed);
                }
                _ => {}
            }
        }
        self.leader_epoch.store(epoch + 1, Ordering::Relaxed);
        self.record(Fact::LeaderEpoch(epoch + 1));
        *lock(&self.txns) = Txns::load(&facts);
        *lock(&self.groups) = Groups::load(&facts);
        self.sync();
        crate::transactions::resume(self);
    }

    /// Restarts in place: connections are cut, and what is not synced is lost if that is asked for.
    pub(crate) fn restart(self: &Arc<Self>, lose: bool) {
        // First nobody is served; then the state goes back to what was safe.
        self.cut();
        if lose {
            lock(&self.journal).lose();
        } else {
            self.sync();
        }
        let synced = self.synced();
        for partition in self.topics().iter().flat_map(|topic| topic.partitions.clone()) {
            let mut log = lock(&partition.log);
            log.lose(synced);
            log.recover();
            let _ = log.rewrite();
        }
        self.load();
    }

    /// Closes every connection.
    pub(crate) fn cut(&self) {
        self.life.send_modify(|life| *life += 1);
    }

    /// A place in the one order of writes.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamps.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn leader_epoch(&self) -> i32 {
        self.leader_epoch.load(Ordering::Relaxed)
    }

    /// The place in the order of writes before which nothing can be lost.
    pub(crate) fn synced(&self) -> u64 {
        self.synced.load(Ordering::SeqCst)
    }

    /// Makes all that was written so far safe from `restart lose`.
    pub(crate) fn sync(&self) {
        let before = self.stamp();
        self.synced.fetch_max(before, Ordering::SeqCst);
        lock(&self.journal).sync(before);
    }

    /// Writes a fact down.
    pub(crate) fn record(&self, fact: Fact) {
        let mut journal = lock(&self.journal);
        journal.put(self.stamp(), fact);
    }

    /// Writes down that a fact is no longer so.
    pub(crate) fn forget(&self, fact: &Fact) {
        let mut journal = lock(&self.journal);
        journal.forget(self.stamp(), fact);
    }

    /// A producer id that nobody had.
    pub(crate) fn new_producer(&self) -> i64 {
        let id = self.next_producer.fetch_add(1, Ordering::Relaxed);
        self.record(Fact::NextProducer(id + 1));
        id
    }

    /// All topics, by name.
    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn topic(&self, name: &str) -> Answer<Arc<Topic>> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.get(name).cloned().ok_or(ResponseError::UnknownTopicOrPartition)
    }

    /// The same for those who ask what there is: a new topic may be shown late.
    pub(crate) fn shown(&self, name: &str) -> Answer<Arc<Topic>> {
        let late = u64::try_from(lock(&self.plan).topics_late().as_millis()).unwrap_or(u64::MAX);
        let topic = self.topic(name)?;
        let age = now().unsigned_abs().saturating_sub(topic.born());
        (age >= late).then_some(topic).ok_or(ResponseError::UnknownTopicOrPartition)
    }

    pub(crate) fn topic_by_id(&self, id: Uuid) -> Answer<Arc<Topic>> {
        self.topics().into_iter().find(|topic| topic.id == id).ok_or(ResponseError::UnknownTopicId)
    }

    pub(crate) fn partition(&self, topic: &str, index: i32) -> Answer<Arc<Partition>> {
        self.topic(topic)?.partition(index).cloned()
    }

    fn set_topic(&self, topic: Topic) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.insert(topic.name.clone(), Arc::new(topic));
    }

    /// Makes a topic, gives it more partitions, or changes its settings; its partitions stay.
    pub(crate) fn put_topic(&self, name: &str, partitions: i32, configs: Configs) -> Answer<Arc<Topic>> {
        let old = self.topic(name).ok();
        let fresh = || Uuid::from_u64_pair(now().unsigned_abs(), self.stamp());
        let id = old.as_ref().map_or_else(fresh, |old| old.id);
        let mut all = old.map_or_else(Vec::new, |old| old.partitions.clone());
        for index in i32::try_from(all.len()).unwrap_or(i32::MAX)..partitions {
            all.push(self.open_log(name, index, 0).map_err(|_| ResponseError::KafkaStorageError)?);
        }
        self.record(Fact::Topic { name: name.to_owned(), id: id.as_u128(), partitions, configs: configs.clone() });
        self.set_topic(Topic { name: name.to_owned(), id, partitions: all, configs });
        // A topic is known to the controller, whose log is not among what a broker loses.
        self.sync();
        self.topic(name)
    }

    /// Removes a topic and its records.
    pub(crate) fn delete_topic(&self, name: &str) -> Answer<()> {
        let gone = self.topics.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        let gone = gone.ok_or(ResponseError::UnknownTopicOrPartition)?;
        self.forget(&Fact::Topic { name: name.to_owned(), id: 0, partitions: 0, configs: Configs::new() });
        for (index, partition) in (0..).zip(&gone.partitions) {
            self.forget(&Fact::Start { topic: name.to_owned(), partition: index, offset: 0 });
            lock(&partition.log).close();
            if let Some(path) = self.log_path(name, index) {
                let _ = std::fs::remove_file(path);
            }
        }
        lock(&self.groups).forget_topic(self, name);
        self.sync();
        Ok(())
    }
}
