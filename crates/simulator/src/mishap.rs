//! What befalls a worker in the middle of a turn: a log that lets it die, or lose its partitions, at a chosen moment.

use std::cell::RefCell;
use std::rc::Rc;

use musubi_log::simulated::{self, WorkerId};
use musubi_log::{Budget, Changes, CommitError, Committed, Error, Lease, Log, Offset, Partition, Polled, Transaction};

/// What is to happen in the next turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// Nothing.
    #[default]
    None,
    /// It dies after it has decided and before it commits.
    DiesBeforeCommit,
    /// It dies after its commit and before it has written its state.
    DiesAfterCommit,
    /// It dies while it reads its changelog.
    DiesRestoring,
    /// Partitions are given to another between its poll and its commit, which it does not know.
    Robbed(Vec<Partition>, WorkerId),
}

/// What the driver and the log of a worker both know.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    pub(crate) mishap: Mishap,
    /// Whether it is dead: from here on nothing it does has an effect.
    pub(crate) dead: bool,
    /// Whether a commit of its happened (or may have) of which it said nothing.
    pub(crate) untold: bool,
}

/// A worker's log in the hands of fate.
pub(crate) struct Fated {
    log: simulated::Worker,
    cluster: simulated::Cluster,
    fate: Rc<RefCell<Fate>>,
}

impl Fated {
    pub(crate) fn new(cluster: &simulated::Cluster, fate: Rc<RefCell<Fate>>) -> Self {
        Self { log: cluster.worker(), cluster: cluster.clone(), fate }
    }

    pub(crate) fn id(&self) -> WorkerId {
        self.log.id()
    }

    fn alive(&self) -> Result<(), Error> {
        if self.fate.borrow().dead { Err(Error::Misuse("the worker is dead".into())) } else { Ok(()) }
    }

    fn dies(&self) -> Error {
        self.fate.borrow_mut().dead = true;
        Error::Misuse("the worker died".into())
    }
}

impl Log for Fated {
    fn assignment(&self) -> &[Lease] {
        self.log.assignment()
    }

    fn poll(&mut self, budget: Budget) -> Result<Polled, Error> {
        self.alive()?;
        self.log.poll(budget)
    }

    fn commit(&mut self, transaction: Transaction) -> Result<Committed, CommitError> {
        self.alive()?;
        let mishap = std::mem::take(&mut self.fate.borrow_mut().mishap);
        match mishap {
            Mishap::None | Mishap::DiesRestoring => {}
            Mishap::DiesBeforeCommit => return Err(self.dies().into()),
            Mishap::DiesAfterCommit => {
                self.fate.borrow_mut().untold = true;
                let _ = self.log.commit(transaction);
                return Err(self.dies().into());
            }
            Mishap::Robbed(partitions, robber) => self.cluster.assign(robber, &partitions),
        }
        let outcome = self.log.commit(transaction);
        self.fate.borrow_mut().untold |= matches!(outcome, Err(CommitError::Unknown { .. }));
        outcome
    }

    fn rewind(&mut self) -> Result<(), Error> {
        self.alive()?;
        self.log.rewind()
    }

    fn changelog(&mut self, partition: Partition, from: Offset) -> Result<Option<Changes>, Error> {
        self.alive()?;
        if self.fate.borrow().mishap == Mishap::DiesRestoring {
            return Err(self.dies());
        }
        self.log.changelog(partition, from)
    }
}
