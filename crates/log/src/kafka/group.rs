//! A process in the group: its threads, and who holds what.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;

use super::calls::{Cluster, Rebalance};
use super::client;
use super::fetch::{Command, Fetch};
use super::footer::Footer;
use super::inbox::{Inbox, Standing};
use super::librdkafka::Librdkafka;
use super::member::{self, Context, Member};
use super::restore::{self, Progress, RESTORERS};
use super::{Replica, Settings, Watchdog, Worker};
use crate::{Error, Lease, Partition};

/// How long workers may take to finish what they hold of partitions that leave. Then they are left behind: the group's
/// generation fences what they still commit.
const FINISH: Duration = Duration::from_secs(15);

/// A partition held by this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) lease: Lease,
    /// It is being given up.
    leaving: bool,
}

/// What the threads of one process share.
pub(super) struct Shared {
    pub(super) settings: Arc<Settings>,
    pub(super) replica: Arc<dyn Replica>,
    pub(super) watchdog: Watchdog,
    pub(super) progress: Progress,
    pub(super) leaving: AtomicBool,
    /// One at a time writes a partition's state from its changelog: a restorer or the standby.
    pub(super) desks: Vec<Mutex<()>>,
    inboxes: Vec<Arc<Inbox>>,
    held: Mutex<BTreeMap<Partition, Hold>>,
    generation: AtomicU64,
    fetch: Mutex<Sender<Command>>,
    restore: Mutex<Sender<Lease>>,
}

impl Shared {
    /// The inbox of the worker with this number.
    pub(super) fn inbox(&self, number: usize) -> Arc<Inbox> {
        Arc::clone(&self.inboxes[number])
    }

    pub(super) fn held(&self) -> MutexGuard<'_, BTreeMap<Partition, Hold>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a lease still counts.
    pub(super) fn holds(&self, lease: Lease) -> bool {
        self.held().get(&lease.partition).is_some_and(|hold| hold.lease == lease && !hold.leaving)
    }

    /// Whether a lease was not taken away yet: it may be leaving, and wait for what its worker has at hand.
    pub(super) fn has(&self, lease: Lease) -> bool {
        self.held().get(&lease.partition).is_some_and(|hold| hold.lease == lease)
    }

    /// Reads the inputs of a partition anew from where a footer ends, unless it is being given up: nobody reads them then.
    pub(super) fn reread(&self, lease: Lease, from: Footer) {
        let held = self.held();
        if !held.get(&lease.partition).is_some_and(|hold| hold.lease == lease && !hold.leaving) {
            return;
        }
        let worker = self.worker_of(lease.partition);
        let epoch = self.inboxes[worker].reread(lease.partition);
        self.command(Command::Read { partition: lease.partition, worker, epoch, from });
    }

    /// Whether this process has anything to do with a partition.
    pub(super) fn touches(&self, partition: Partition) -> bool {
        self.held().contains_key(&partition)
    }

    /// The number of the worker of a partition.
    pub(super) fn worker_of(&self, partition: Partition) -> usize {
        partition as usize % self.inboxes.len()
    }

    /// The group gave partitions to this process: their state is brought up to date before a worker hears of them.
    fn gain(&self, partitions: &[Partition]) {
        for partition in partitions.iter().copied() {
            let lease = Lease { partition, generation: self.generation.fetch_add(1, Ordering::Relaxed) + 1 };
            self.held().insert(partition, Hold { lease, leaving: false });
            let restore = self.restore.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody restores any more only when this process is ending.
            let _ = restore.send(lease);
        }
    }

    /// A partition's state is there: its worker hears of it, and its inputs are read from where the state ends.
    pub(super) fn restored(&self, lease: Lease, standing: Standing) {
        let held = self.held();
        if !held.get(&lease.partition).is_some_and(|hold| hold.lease == lease && !hold.leaving) {
            return;
        }
        let worker = self.worker_of(lease.partition);
        let from = standing.footer.clone();
        let epoch = self.inboxes[worker].gain(lease, standing);
        self.command(Command::Read { partition: lease.partition, worker, epoch, from });
    }

    /// Takes a word of the group. Returns how long is to be waited for workers before [`Shared::dismiss`]: what is lost is
    /// somebody else's already, and whatever is still committed for it will be refused.
    pub(super) fn hear(&self, word: &Rebalance) -> Duration {
        if is_overheard(word) {
            return Duration::ZERO;
        }
        match word {
            Rebalance::Gained(partitions) => self.gain(partitions),
            Rebalance::Given { partitions, .. } => self.leave(partitions),
        }
        match word {
            Rebalance::Gained(_) | Rebalance::Given { lost: true, .. } => Duration::ZERO,
            Rebalance::Given { lost: false, .. } => FINISH,
        }
    }

    /// Partitions are being given up: nothing more of them is read, and their workers are told.
    fn leave(&self, partitions: &[Partition]) {
        for partition in partitions {
            let mut held = self.held();
            if let Some(hold) = held.get_mut(partition) {
                hold.leaving = true;
                self.command(Command::Leave { partition: *partition });
                self.inboxes[self.worker_of(*partition)].lose(hold.lease);
            }
        }
    }

    /// Waits until every worker has finished with what is given up, for so long at most. Returns whether it has.
    pub(super) fn await_release(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        self.inboxes.iter().filter(|inbox| !inbox.await_release(deadline)).count() == 0
    }

    /// Whether every worker has finished with what is given up.
    pub(super) fn released(&self) -> bool {
        self.inboxes.iter().all(|inbox| inbox.is_released())
    }

    /// Partitions are given up: what a worker still commits for them is refused.
    pub(super) fn dismiss(&self, word: &Rebalance) {
        if let Rebalance::Given { partitions, .. } = word
            && !is_overheard(word)
        {
            // One that came back meanwhile is another's word.
            self.held().retain(|partition, hold| !(hold.leaving && partitions.contains(partition)));
        }
    }

    pub(super) fn command(&self, command: Command) {
        let fetch = self.fetch.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody fetches any more only when this process is ending.
        let _ = fetch.send(command);
    }

    /// No worker can go on.
    pub(super) fn fail(&self, why: &Error) {
        self.inboxes.iter().for_each(|inbox| inbox.fail(why.clone()));
    }
}

/// Whether a planted bug does not want to hear it.
#[cfg(not(feature = "sabotage"))]
const fn is_overheard(_: &Rebalance) -> bool {
    false
}

#[cfg(feature = "sabotage")]
fn is_overheard(word: &Rebalance) -> bool {
    matches!(word, Rebalance::Given { lost: true, .. }) && crate::sabotage::is(crate::sabotage::Bug::KeptLost)
}

/// The parts of a process, none of them at work.
pub(super) struct Parts<C: Cluster> {
    pub(super) shared: Arc<Shared>,
    pub(super) fetch: Fetch<C>,
    /// Partitions that are to be restored.
    pub(super) leases: Receiver<Lease>,
}

impl<C: Cluster> Parts<C> {
    pub(super) fn new(
        cluster: Arc<C>,
        settings: Arc<Settings>,
        replica: Arc<dyn Replica>,
        watchdog: Watchdog,
    ) -> Result<Self, Error> {
        let workers = settings.workers.max(1);
        let inboxes = Vec::from_iter((0..workers).map(|_| Arc::new(Inbox::new(settings.inputs.len()))));
        let (fetch, commands) = channel();
        let (restore, leases) = channel();
        let shared = Arc::new(Shared {
            replica,
            watchdog,
            progress: Progress::default(),
            leaving: AtomicBool::new(false),
            desks: (0..settings.partitions).map(|_| Mutex::new(())).collect(),
            inboxes: inboxes.clone(),
            held: Mutex::default(),
            generation: AtomicU64::new(0),
            fetch: Mutex::new(fetch),
            restore: Mutex::new(restore),
            settings: Arc::clone(&settings),
        });
        Ok(Self { fetch: Fetch::open(cluster, &settings, inboxes, commands)?, shared, leases })
    }
}

/// A process in the group. Dropping it leaves the group.
pub struct Group {
    cluster: Arc<Librdkafka>,
    shared: Arc<Shared>,
    member: Arc<Member>,
    threads: Vec<JoinHandle<()>>,
}

impl Group {
    /// Joins the group. Partitions come to the workers when their state is there.
    ///
    /// # Errors
    /// [`Error::Broker`] where a client cannot be made of the settings.
    pub fn join(settings: Settings, replica: Arc<dyn Replica>, watchdog: Watchdog) -> Result<Self, Error> {
        let settings = Arc::new(settings);
        let cluster = Arc::new(Librdkafka::new(Arc::clone(&settings)));
        let Parts { shared, fetch, leases } =
            Parts::new(Arc::clone(&cluster), Arc::clone(&settings), replica, watchdog)?;
        let member = client::open(&client::member(&settings), Context(Arc::clone(&shared)), "a member of the group")?;
        let member: Arc<Member> = Arc::new(member);
        let lead = settings.name(&settings.lead);
        member.subscribe(&[&lead]).map_err(|why| Error::broker(format!("subscribing to `{lead}`"), why))?;
        let mut threads = vec![start("kafka-fetch", move || fetch.run())];
        let (joined, within) = (Arc::clone(&member), Arc::clone(&shared));
        threads.push(start("kafka-member", move || member::run(&joined, &within)));
        let leases = Arc::new(Mutex::new(leases));
        for _ in 0..RESTORERS {
            let (cluster, shared, leases) = (Arc::clone(&cluster), Arc::clone(&shared), Arc::clone(&leases));
            threads.push(start("kafka-restore", move || restore::run(cluster, &shared, &leases)));
        }
        if settings.standby {
            let (cluster, shared) = (Arc::clone(&cluster), Arc::clone(&shared));
            threads.push(start("kafka-standby", move || restore::stand_by(cluster, &shared)));
        }
        Ok(Self { cluster, shared, member, threads })
    }

    /// The worker with a number below the settings' `workers`. Each is to be taken once, and polled from one thread.
    pub fn worker(&self, number: usize) -> Worker {
        let (cluster, shared) = (Arc::clone(&self.cluster), Arc::clone(&self.shared));
        Worker::new(cluster, shared, Arc::clone(&self.member), self.shared.inbox(number), number)
    }

    /// What is being restored, and how far it is.
    pub fn progress(&self) -> Progress {
        self.shared.progress.clone()
    }

    /// Leaves the group, the workers' last commits first. With a lasting name, a return within the session's time finds
    /// the partitions where they were.
    pub fn leave(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.leaving.store(true, Ordering::Release);
        // With their senders gone, the fetch and restore threads end.
        *self.shared.fetch.lock().unwrap_or_else(PoisonError::into_inner) = channel().0;
        *self.shared.restore.lock().unwrap_or_else(PoisonError::into_inner) = channel().0;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the kafka log panicked");
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).expect("a thread can be started")
}
