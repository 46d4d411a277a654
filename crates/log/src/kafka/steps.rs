//! A process in the group whose parts move when they are told to: for simulations, in one thread. [`super::Group`] has
//! the same parts, and a thread for each.

use std::collections::VecDeque;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use super::calls::{Cluster, Rebalance};
use super::fetch::Fetch;
use super::group::{Parts, Shared};
use super::restore::{Attempt, Restoration};
use super::{Replica, Settings, Watchdog, Worker};
use crate::{Error, Lease, Partition};

/// Partitions that are to be restored, and who restores them.
struct Restoring<C: Cluster> {
    leases: Receiver<Lease>,
    waiting: VecDeque<Lease>,
    restoration: Restoration<C>,
}

/// A process in the group whose parts move when they are told to. A part that is told to move while it moves does not.
pub struct Steps<C: Cluster> {
    cluster: Arc<C>,
    member: Arc<C::Member>,
    shared: Arc<Shared>,
    fetch: Mutex<Fetch<C>>,
    restoring: Mutex<Restoring<C>>,
    standby: Mutex<Restoration<C>>,
    /// What is being given up, and until when workers may finish with it.
    giving: Mutex<Option<(Rebalance, Duration)>>,
}

impl<C: Cluster> Steps<C> {
    /// A process. Its member is to be in the group by other means.
    ///
    /// # Errors
    /// [`Error::Broker`] where a client cannot be made.
    pub fn new(cluster: C, member: C::Member, settings: Settings, replica: Arc<dyn Replica>) -> Result<Self, Error> {
        let cluster = Arc::new(cluster);
        let Parts { shared, fetch, leases } =
            Parts::new(Arc::clone(&cluster), Arc::new(settings), replica, Watchdog::asleep())?;
        let restoration = Restoration::new(Arc::clone(&cluster));
        Ok(Self {
            member: Arc::new(member),
            shared,
            fetch: Mutex::new(fetch),
            restoring: Mutex::new(Restoring { leases, waiting: VecDeque::new(), restoration }),
            standby: Mutex::new(Restoration::new(Arc::clone(&cluster))),
            giving: Mutex::new(None),
            cluster,
        })
    }

    /// The worker with a number below the settings' `workers`.
    pub fn worker(&self, number: usize) -> Worker<C> {
        let (cluster, shared) = (Arc::clone(&self.cluster), Arc::clone(&self.shared));
        Worker::new(cluster, shared, Arc::clone(&self.member), self.shared.inbox(number), number)
    }

    /// The member.
    pub fn member(&self) -> &C::Member {
        &self.member
    }

    /// Fetches a handful.
    pub fn fetch(&self) {
        let Ok(mut fetch) = self.fetch.try_lock() else { return };
        if let Err(why) = fetch.turn() {
            self.shared.fail(&why);
        }
    }

    /// Tries to restore one of the partitions that wait for it.
    pub fn restore(&self) {
        let Ok(mut restoring) = self.restoring.try_lock() else { return };
        let Restoring { leases, waiting, restoration } = &mut *restoring;
        waiting.extend(leases.try_iter());
        let Some(lease) = waiting.pop_front() else { return };
        let Ok(desk) = self.shared.desks[lease.partition as usize].try_lock() else {
            return waiting.push_back(lease);
        };
        if restoration.attempt(&self.shared, lease, &desk) == Attempt::Again {
            waiting.push_back(lease);
        }
    }

    /// Follows the changelog of a partition that somebody else holds.
    ///
    /// # Errors
    /// What a standby would put into its log.
    pub fn stand_by(&self, partition: Partition) -> Result<(), Error> {
        let (standby, desk) = (self.standby.try_lock(), self.shared.desks[partition as usize].try_lock());
        match (standby, desk) {
            (Ok(mut standby), Ok(desk)) => standby.follow(&self.shared, partition, &desk),
            (Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)), _) | (_, Err(_)) => Ok(()),
        }
    }

    /// Takes a word of the group, as the member's thread does.
    pub fn hear(&self, what: Rebalance) {
        let patience = self.shared.hear(&what);
        if let (Rebalance::Given { .. }, Ok(mut giving)) = (&what, self.giving.try_lock()) {
            *giving = Some((what, self.cluster.now() + patience));
        }
    }

    /// The partitions that it takes for its own, which may be another's by now.
    pub fn held(&self) -> Vec<Partition> {
        self.shared.held().keys().copied().collect()
    }

    /// Whether it has finished with what it gives up, once: then it may say so to the group.
    pub fn has_given(&self) -> bool {
        let Ok(mut giving) = self.giving.try_lock() else { return false };
        let done =
            |(_, deadline): &mut (Rebalance, Duration)| self.shared.released() || self.cluster.now() >= *deadline;
        match giving.take_if(done) {
            Some((what, _)) => {
                self.shared.dismiss(&what);
                true
            }
            None => false,
        }
    }
}
