//! Every error of the protocol at every request of a transaction: how it ends is written here, and nothing hangs.
//!
//! The broker is librdkafka's mock, which answers one request with the error and behaves from then on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Answer};

use super::super::calls::{Outgoing, Place};
use super::super::client::{self, ASK, Quiet};
use super::super::librdkafka::Librdkafka;
use super::super::transactor::{Failure, Transactor};
use super::super::{Settings, Watchdog};
use crate::{Table, Topic};

const TOPIC: &str = "touchpoints";
/// None may take longer than this.
const BOUND: Duration = Duration::from_secs(30);

/// The requests, in the order of the columns below.
const REQUESTS: [Api; 7] = [
    Api::InitProducerId,
    Api::AddPartitionsToTxn,
    Api::AddOffsetsToTxn,
    Api::TxnOffsetCommit,
    Api::EndTxn,
    Api::Produce,
    Api::OffsetFetch,
];

/// How each error ends at each request:
///
/// - `r`: it is tried again, and the transaction commits;
/// - `a`: the transaction is aborted, and its records are read anew;
/// - `f`: the same, because the group no longer counts the member's word;
/// - `n`: nobody can say what happened: a new producer under the same id, and the changelog tells;
/// - `x`: it is reported to the caller, who ends.
///
/// After each but the last the next transaction commits.
#[rustfmt::skip]
const ENDS: [(&str, Answer, &str); 15] = [
    ("NOT_COORDINATOR",             Answer::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,             "rrrrrrr"),
    ("COORDINATOR_LOAD_IN_PROGRESS",Answer::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,"rrrrrrr"),
    ("CONCURRENT_TRANSACTIONS",     Answer::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS,     "rrrrrax"),
    ("REQUEST_TIMED_OUT",           Answer::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,           "rarrarr"),
    ("INVALID_PRODUCER_EPOCH",      Answer::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,      "rannnax"),
    ("PRODUCER_FENCED",             Answer::RD_KAFKA_RESP_ERR_PRODUCER_FENCED,             "raaanax"),
    ("INVALID_TXN_STATE",           Answer::RD_KAFKA_RESP_ERR_INVALID_TXN_STATE,           "rannnax"),
    ("ILLEGAL_GENERATION",          Answer::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,          "rafffax"),
    ("UNKNOWN_MEMBER_ID",           Answer::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,           "rafffax"),
    ("FENCED_INSTANCE_ID",          Answer::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,          "rafffax"),
    ("REBALANCE_IN_PROGRESS",       Answer::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,       "rafffax"),
    ("OUT_OF_ORDER_SEQUENCE",       Answer::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,"raaaaax"),
    ("UNKNOWN_PRODUCER_ID",         Answer::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,         "raaaaax"),
    ("KAFKA_STORAGE_ERROR",         Answer::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,         "raaaarr"),
    ("the connection drops",        Answer::RD_KAFKA_RESP_ERR__TRANSPORT,                  "rrrrrrr"),
];

/// A cluster that is made up, and a worker's producer before it.
struct Stage {
    mock: MockCluster<'static, DefaultProducerContext>,
    transactor: Transactor<Librdkafka>,
    /// Names the group; it has not joined it.
    member: BaseConsumer<Quiet>,
}

impl Stage {
    fn new() -> Self {
        let mock = MockCluster::new(1).expect("a mock cluster");
        mock.create_topic(TOPIC, 1, 1).expect("a topic");
        let lead = Topic::constant(TOPIC);
        let settings = Settings::new(&mock.bootstrap_servers(), vec![lead.clone()], lead, vec![Table("state")], 1);
        let member = client::open(&client::reading(&settings), Quiet, "a member").expect("a consumer");
        let watchdog = Watchdog::new(|call| panic!("`{call}` hangs"));
        let cluster = Arc::new(Librdkafka::new(Arc::new(settings.clone())));
        let transactor = Transactor::new(cluster, &settings, 0, watchdog);
        Self { mock, transactor, member }
    }

    fn transact(&mut self) -> Result<(), Failure> {
        self.transactor.begin()?;
        self.transactor.send(&Outgoing {
            topic: TOPIC,
            partition: 0,
            key: None,
            value: Some(b"a record"),
            headers: &[],
            timestamp_ms: None,
            asked: 1,
        })?;
        let inputs = [Place { topic: TOPIC.to_owned(), partition: 0, at: 1 }];
        let word = self.member.group_metadata().expect("it names a group");
        let offsets = self.transactor.commit(&inputs, &word)?;
        assert_eq!(offsets.len(), 1, "it is told where its record stands");
        Ok(())
    }

    /// What the group has read, as `lag` asks for it.
    fn committed(&self) -> Result<(), Failure> {
        let mut list = TopicPartitionList::new();
        list.add_partition(TOPIC, 0);
        let asked = client::patiently(ASK, || self.member.committed_offsets(list.clone(), ASK));
        let failed = |why| Failure::Failed(crate::Error::broker("asking what the group has read", why));
        asked.map(drop).map_err(failed)
    }
}

/// How one error at one request ends.
fn end(request: Api, answer: Answer) -> char {
    let mut stage = Stage::new();
    if request != Api::InitProducerId {
        stage.transactor.prepare().expect("nothing is wrong yet");
    }
    stage.mock.request_errors(request, &[answer]);
    let met = if request == Api::OffsetFetch { stage.committed() } else { stage.transact() };
    let end = match met {
        Ok(()) => 'r',
        Err(Failure::Aborted(_)) => 'a',
        Err(Failure::Fenced) => 'f',
        Err(Failure::Unknown(_)) => 'n',
        Err(Failure::Failed(_)) => 'x',
    };
    if end != 'x' {
        // As a worker rewinds.
        if end != 'r' {
            stage.transactor.discard();
        }
        stage.transact().unwrap_or_else(|why| panic!("{request:?}, {answer:?}: the next transaction: {why:?}"));
    }
    end
}

#[test]
fn every_error_at_every_request_ends_as_written() {
    /// They wait more than they work.
    const THREADS: usize = 8;
    let pairs: Vec<(usize, usize)> =
        (0..ENDS.len()).flat_map(|row| (0..REQUESTS.len()).map(move |column| (row, column))).collect();
    assert_eq!(pairs.len(), 105);
    let run = |(row, column): &(usize, usize)| {
        let begun = Instant::now();
        let end = end(REQUESTS[*column], ENDS[*row].1);
        assert!(begun.elapsed() < BOUND, "{} at {:?} took {:?}", ENDS[*row].0, REQUESTS[*column], begun.elapsed());
        end
    };
    let mut found = [[' '; REQUESTS.len()]; ENDS.len()];
    let next = std::sync::atomic::AtomicUsize::new(0);
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let told = told.clone();
            let (pairs, next, run) = (&pairs, &next, &run);
            scope.spawn(move || {
                while let Some(pair) = pairs.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    told.send((*pair, run(pair))).expect("the test listens");
                }
            });
        }
        drop(told);
        heard.iter().for_each(|((row, column), end)| found[row][column] = end);
    });
    let shown = |(error, _, ends): (&str, Answer, String)| format!("{error}: {ends}");
    let wanted = ENDS.map(|(error, answer, ends)| shown((error, answer, ends.to_owned())));
    let found: Vec<String> = ENDS
        .iter()
        .zip(found)
        .map(|((error, answer, _), ends)| shown((error, *answer, ends.iter().collect())))
        .collect();
    assert_eq!(found, wanted);
}
