//! What only a test broker can be told to do. A real cluster is not asked, and the probe says so.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use musubi_broker::{ApiKey, Broker, ResponseError, Settings, Tail};
use rdkafka::consumer::Consumer;
use rdkafka::producer::{BaseProducer, Producer};

use crate::cluster::{Cluster, PATIENCE, Seeing, flush, send, transact, until};

#[test]
fn an_answer_that_is_lost_doubles_nothing() {
    let cluster = Cluster::up();
    let topic = cluster.topic("lost", 1, &[]);
    let Some(faults) = cluster.faults("an answer to a produce request that gets lost") else { return };
    let sender = cluster.sender(&[("enable.idempotence", "true"), ("linger.ms", "0"), ("retry.backoff.ms", "10")]);
    for nr in 0..5 {
        faults.lose_answers(ApiKey::Produce, 1);
        send(&sender, &topic, "k", &nr.to_string());
        flush(&sender);
    }
    assert_eq!(cluster.values(&topic, Seeing::Committed), ["0", "1", "2", "3", "4"]);
}

#[test]
fn a_kill_and_restart_keeps_what_was_acknowledged_and_aborts_what_was_open() {
    let cluster = Cluster::up();
    let topic = cluster.topic("restart", 1, &[]);
    let Some(faults) = cluster.faults("killing the broker") else { return };
    let id = cluster.name("restart");
    let sender = cluster.transactional(&id, &[]);
    transact(&sender, &topic, &["done"], true);
    sender.begin_transaction().expect("a transaction");
    send(&sender, &topic, "k", "open");
    flush(&sender);
    faults.restart(Tail::Keep, Duration::from_millis(50));
    assert_eq!(cluster.values(&topic, Seeing::Committed), ["done"]);
    assert_eq!(cluster.values(&topic, Seeing::Everything), ["done", "open"]);
    // Its heir aborts it; the one before is fenced as if nothing had happened.
    let heir = cluster.transactional(&id, &[]);
    transact(&heir, &topic, &["more"], true);
    sender.commit_transaction(PATIENCE).expect_err("it is fenced");
    assert_eq!(cluster.values(&topic, Seeing::Committed), ["done", "more"]);
}

#[test]
fn a_transaction_survives_a_restart_in_its_middle() {
    let cluster = Cluster::up();
    let topic = cluster.topic("middle", 1, &[]);
    let Some(faults) = cluster.faults("killing the broker in a transaction") else { return };
    let sender = cluster.transactional(&cluster.name("middle"), &[]);
    sender.begin_transaction().expect("a transaction");
    send(&sender, &topic, "k", "before");
    flush(&sender);
    faults.restart(Tail::Keep, Duration::from_millis(50));
    send(&sender, &topic, "k", "after");
    flush(&sender);
    sender.commit_transaction(PATIENCE).expect("a commit");
    assert_eq!(cluster.values(&topic, Seeing::Committed), ["before", "after"]);
}

#[test]
fn a_restart_that_loses_the_tail_goes_back_to_one_moment_for_everything() {
    let cluster = Cluster::of_ours(Settings { sync_every: None, ..Settings::default() });
    let faults = cluster.faults("").expect("it is ours");
    let topic = cluster.topic("tail", 1, &[]);
    let sender = cluster.transactional(&cluster.name("tail"), &[]);
    transact(&sender, &topic, &["safe"], true);
    until("its end is written", || (cluster.ends(&topic, Seeing::Committed) == (0, 2)).then_some(()));
    faults.sync();
    transact(&sender, &topic, &["lost"], true);
    assert_eq!(cluster.values(&topic, Seeing::Committed), ["safe", "lost"]);
    faults.restart(Tail::Lose, Duration::ZERO);
    assert_eq!(cluster.values(&topic, Seeing::Everything), ["safe"]);
    assert_eq!(cluster.ends(&topic, Seeing::Everything), (0, 2));
}

#[test]
fn a_data_directory_survives_the_broker() {
    let directory = tempfile::tempdir().expect("a directory");
    let settings = || Settings { data: Some(directory.path().to_owned()), ..Settings::default() };
    let before = Cluster::of_ours(settings());
    let (topic, id) = (before.topic("data", 2, &[("cleanup.policy", "compact")]), before.name("data"));
    let sender = before.transactional(&id, &[]);
    let name = before.name("data");
    let reader = before.reader(Seeing::Committed, &[("group.id", &name)]);
    let group = reader.group_metadata().expect("a group");
    sender.begin_transaction().expect("a transaction");
    send(&sender, &topic, "k", "kept");
    flush(&sender);
    let mut position = rdkafka::TopicPartitionList::new();
    position.add_partition_offset(&topic, 0, rdkafka::Offset::Offset(1)).expect("an offset");
    sender.send_offsets_to_transaction(&position, &group, PATIENCE).expect("offsets are taken");
    sender.commit_transaction(PATIENCE).expect("a commit");
    let committed = |reader: &rdkafka::consumer::BaseConsumer| {
        let found = reader.committed_offsets(position.clone(), PATIENCE).expect("an answer");
        found.elements()[0].offset()
    };
    assert_eq!(committed(&reader), rdkafka::Offset::Offset(1));
    drop((reader, sender, before));
    let after = Cluster::of_ours(settings());
    assert_eq!(committed(&after.reader(Seeing::Committed, &[("group.id", &name)])), rdkafka::Offset::Offset(1));
    assert_eq!(after.values(&topic, Seeing::Committed), ["kept"]);
    let sender = after.transactional(&id, &[]);
    transact(&sender, &topic, &["more"], true);
    assert_eq!(after.values(&topic, Seeing::Committed), ["kept", "more"]);
}

#[test]
fn the_end_of_a_transaction_that_comes_twice_tears_the_next() {
    let cluster = Cluster::up();
    let topic = cluster.topic("twice", 1, &[]);
    let Some(faults) = cluster.faults("a copy of EndTxn that comes late") else { return };
    let sender = cluster.transactional(&cluster.name("twice"), &[]);
    faults.double_end_txn(Duration::from_millis(400), 1);
    transact(&sender, &topic, &["first"], true);
    sender.begin_transaction().expect("a transaction");
    send(&sender, &topic, "k", "torn");
    flush(&sender);
    // The copy commits half of the second transaction: the flaw that KAFKA.md 0.3 tells of, and that we must survive.
    until("the copy comes", || (cluster.values(&topic, Seeing::Committed) == ["first", "torn"]).then_some(()));
}

#[test]
fn a_delayed_end_and_lagging_markers_are_waited_for() {
    let cluster = Cluster::up();
    let topic = cluster.topic("lag", 1, &[]);
    let Some(faults) = cluster.faults("an EndTxn that takes long, and markers that lag") else { return };
    let sender = cluster.transactional(&cluster.name("lag"), &[]);
    faults.delay_end_txn(Duration::from_millis(300), 1);
    let begun = std::time::Instant::now();
    transact(&sender, &topic, &["slow"], true);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    faults.lag_markers(Duration::from_secs(3));
    transact(&sender, &topic, &["pinned"], true);
    assert_eq!(cluster.ends(&topic, Seeing::Committed), (0, 2));
    assert_eq!(cluster.ends(&topic, Seeing::Everything), (0, 3));
    // Until then the next transaction is told to wait, and does.
    transact(&sender, &topic, &["next"], true);
    until("the markers come", || {
        (cluster.values(&topic, Seeing::Committed) == ["slow", "pinned", "next"]).then_some(())
    });
}

#[test]
fn coordinators_that_load_or_move_and_cut_connections_are_ridden_out() {
    let cluster = Cluster::up();
    let topic = cluster.topic("moves", 1, &[]);
    let Some(faults) = cluster.faults("coordinators that load or move, and connections that are cut") else { return };
    let sender = cluster.transactional(&cluster.name("moves"), &[]);
    faults.load_coordinators(3);
    transact(&sender, &topic, &["loaded"], true);
    faults.move_coordinators(2);
    transact(&sender, &topic, &["moved"], true);
    faults.refuse(ApiKey::Produce, ResponseError::NotLeaderOrFollower, 2);
    transact(&sender, &topic, &["refused"], true);
    faults.cut_connections();
    transact(&sender, &topic, &["cut"], true);
    assert_eq!(cluster.values(&topic, Seeing::Committed), ["loaded", "moved", "refused", "cut"]);
}

#[test]
fn fetches_are_as_slow_as_wanted() {
    let cluster = Cluster::of_ours(Settings::default());
    let faults = cluster.faults("").expect("it is ours");
    let topic = cluster.topic("slow", 1, &[]);
    let sender = cluster.sender(&[]);
    send(&sender, &topic, "k", "v");
    flush(&sender);
    faults.slow_fetches(Duration::from_millis(250));
    let begun = std::time::Instant::now();
    assert_eq!(cluster.values(&topic, Seeing::Committed), ["v"]);
    assert!(begun.elapsed() >= Duration::from_millis(250));
}

#[test]
fn faults_are_taken_as_lines_of_text() {
    let broker = Broker::start(Settings { control: Some(([127, 0, 0, 1], 0).into()), ..Settings::default() });
    let broker = broker.expect("free ports");
    let stream = TcpStream::connect(broker.control().expect("a control port")).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut answers = BufReader::new(stream.try_clone().expect("a handle")).lines();
    let mut tell = |line: &str| {
        writeln!(&stream, "{line}").expect("the line goes out");
        answers.next().expect("an answer").expect("text")
    };
    for line in [
        "delay-end-txn 100 1",
        "double-end-txn 100 2",
        "lag-markers 5",
        "load-coordinators 1",
        "move-coordinators 1",
        "refuse EndTxn INVALID_TXN_STATE 1",
        "lose-answers Produce 1",
        "slow-fetches 10",
        "show-topics-late 10",
        "cut-connections",
        "hold-syncs on",
        "hold-syncs off",
        "sync",
        "restart lose 0",
        "restart keep 0",
        "clear",
    ] {
        assert_eq!(tell(line), "ok", "{line}");
    }
    assert_eq!(tell("compact nothing"), "error: topic `nothing` cannot be compacted");
    assert_eq!(tell("explode"), "error: wanted a fault, found `explode`");
    assert_eq!(tell("refuse EndTxn MOOD 1"), "error: wanted the name of an error as `NOT_COORDINATOR`, found `MOOD`");
}

#[test]
fn compaction_and_retention_come_on_command() {
    let cluster = Cluster::of_ours(Settings { housekeeping_every: None, ..Settings::default() });
    let faults = cluster.faults("").expect("it is ours");
    let (compacted, cut) =
        (cluster.topic("now", 1, &[("cleanup.policy", "compact")]), cluster.topic("old", 1, &[("retention.ms", "0")]));
    let sender = cluster.sender(&[("linger.ms", "0")]);
    for value in ["1", "2", "3"] {
        send(&sender, &compacted, "k", value);
        send(&sender, &cut, "k", value);
        flush(&sender);
        BaseProducer::poll(&sender, Duration::ZERO);
    }
    send(&sender, &compacted, "other", "4");
    flush(&sender);
    assert!(faults.compact(&compacted) && faults.expire(&cut));
    assert_eq!(cluster.values(&compacted, Seeing::Committed), ["3", "4"]);
    assert_eq!(cluster.ends(&cut, Seeing::Committed), (3, 3));
}
