//! What the log asks of a cluster, call by call.
//!
//! Everything that is decided (when to commit, what an error leads to, where reading goes on, which footer counts, what a
//! revocation does) is code above these traits. Beneath them is librdkafka ([`super::Librdkafka`]) or the model of a
//! cluster ([`crate::model`]); neither decides anything.

use std::time::Duration;

use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};

use crate::{Error, Header, Offset, Partition};

/// A cluster, as one process meets it, and the time as that process sees it.
pub trait Cluster {
    /// A producer of transactions.
    type Transactions: Transactions<Word = <Self::Member as Member>::Word>;
    /// A consumer that reads what it is told to.
    type Reads: Reads;
    /// A member of the group.
    type Member: Member;

    /// A producer of transactions under an id. It asks the cluster for nothing yet.
    ///
    /// # Errors
    /// [`Error::Broker`] where it cannot be made.
    fn transactions(&self, id: &str) -> Result<Self::Transactions, Error>;

    /// A consumer of this kind.
    ///
    /// # Errors
    /// [`Error::Broker`] where it cannot be made.
    fn reads(&self, view: View) -> Result<Self::Reads, Error>;

    /// Time since some instant, never falling.
    fn now(&self) -> Duration;

    /// Milliseconds since 1970.
    fn wall_ms(&self) -> i64;

    /// Lets time pass.
    fn pause(&self, time: Duration);
}

/// What a consumer sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Committed records, one after another for ever.
    Inputs,
    /// Committed records, and where they end: there [`Heard::End`] is said.
    Committed,
    /// Everything that was written: its watermarks are the true ends.
    Written,
}

/// A place in a partition of a topic on the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The topic's name on the cluster.
    pub topic: String,
    /// The partition.
    pub partition: Partition,
    /// The offset.
    pub at: Offset,
}

/// A record on its way out.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The topic's name on the cluster.
    pub topic: &'a str,
    /// The partition.
    pub partition: Partition,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a [Header],
    /// None: the time of sending.
    pub timestamp_ms: Option<i64>,
    /// 0, or one more than the number under which its offset is wanted.
    pub asked: usize,
}

/// A producer of transactions. Each call is one of librdkafka's, with the waiting that belongs to it.
pub trait Transactions {
    /// What the group says of a member, for the offsets of a transaction.
    type Word;

    /// Ends what was left open under the id, and fences whoever else uses it.
    ///
    /// # Errors
    /// As all of these: what the cluster, or the client, says to it.
    fn init(&self) -> Result<(), Refused>;

    /// A transaction begins. Nothing goes over the wire.
    fn begin(&self) -> Result<(), Refused>;

    /// A record is on its way when this returns.
    fn send(&self, outgoing: &Outgoing<'_>) -> Result<(), Refused>;

    /// Waits until every record is there, or is known not to be.
    fn deliver(&self) -> Result<(), Refused>;

    /// How far the group has read, as a part of the transaction and under a member's word.
    fn offsets(&self, inputs: &[Place], word: &Self::Word) -> Result<(), Refused>;

    /// The transaction happens.
    fn commit(&self) -> Result<(), Refused>;

    /// The transaction does not happen.
    fn abort(&self) -> Result<(), Refused>;

    /// The offsets that were asked for since the transaction began, each with its number.
    fn places(&self) -> Vec<(usize, Offset)>;

    /// Whether a connection broke since the transaction began: a request may have been sent twice.
    fn disturbed(&self) -> bool;
}

/// A consumer that reads what it is told to, and keeps no position in the group.
pub trait Reads {
    /// Reads these places, and nothing else.
    ///
    /// # Errors
    /// As all of these: what the cluster, or the client, says to it.
    fn assign(&self, places: &[Place]) -> KafkaResult<()>;

    /// Reads these places as well.
    fn join(&self, places: &[Place]) -> KafkaResult<()>;

    /// Reads these partitions no longer, wherever it is in them.
    fn leave(&self, places: &[Place]) -> KafkaResult<()>;

    /// Reads these partitions later.
    fn hold(&self, places: &[Place]) -> KafkaResult<()>;

    /// Reads these partitions on.
    fn go_on(&self, places: &[Place]) -> KafkaResult<()>;

    /// What comes next, in order of offset within a partition.
    fn poll<T>(&self, patience: Duration, visit: impl FnOnce(Message<'_>) -> T) -> Heard<T>;

    /// The first offset and the one after the last, as this view sees them. Errors that pass are waited out.
    fn watermarks(&self, topic: &str, partition: Partition) -> KafkaResult<(Offset, Offset)>;

    /// What the group has committed of each of these partitions, once nothing of it is undecided.
    fn committed(&self, places: &[Place]) -> KafkaResult<Vec<Option<Offset>>>;
}

/// What a poll brings.
#[derive(Debug)]
pub enum Heard<T> {
    /// Nothing came in time.
    Nothing,
    /// A record, and what was made of it.
    Message(T),
    /// The end of a partition.
    End,
    /// Something went wrong.
    Failed(KafkaError),
}

/// A record as it comes.
#[derive(Debug)]
pub struct Message<'a> {
    /// The topic's name on the cluster.
    pub topic: &'a str,
    /// The partition.
    pub partition: Partition,
    /// The offset.
    pub offset: Offset,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: Vec<Header>,
    /// Milliseconds since 1970, where it has a time.
    pub timestamp_ms: Option<i64>,
}

/// A member of the group, as a transaction sees it.
pub trait Member {
    /// What the group says of it.
    type Word;

    /// Under which name and generation it is in the group now; None where it is in none.
    fn word(&self) -> Option<Self::Word>;
}

/// What the group tells a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebalance {
    /// Partitions are its own from now on.
    Gained(Vec<Partition>),
    /// It gives partitions up, in good order; or it has lost them, and they are somebody else's already.
    Given {
        /// The partitions.
        partitions: Vec<Partition>,
        /// Whether they are lost.
        lost: bool,
    },
}

/// An error of a call, sorted as librdkafka sorts them.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The error.
    pub why: KafkaError,
    /// Its sort.
    pub sort: Sort,
}

/// Sorts of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// The producer is of no use any more.
    Fatal,
    /// The transaction must be aborted.
    Abortable,
    /// The same call again may help.
    Retriable,
    /// An error of a transaction that is none of these.
    Other,
    /// Not an error of a transaction: of a record, or of the client.
    Plain,
}

impl Refused {
    /// Its code, where it has one.
    pub fn code(&self) -> Option<Code> {
        self.why.rdkafka_error_code()
    }
}

impl From<KafkaError> for Refused {
    fn from(why: KafkaError) -> Self {
        let sort = match &why {
            KafkaError::Transaction(why) if why.is_fatal() => Sort::Fatal,
            KafkaError::Transaction(why) if why.txn_requires_abort() => Sort::Abortable,
            KafkaError::Transaction(why) if why.is_retriable() => Sort::Retriable,
            KafkaError::Transaction(_) => Sort::Other,
            _ => Sort::Plain,
        };
        Self { why, sort }
    }
}
