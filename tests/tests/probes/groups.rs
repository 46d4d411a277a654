//! Consumer groups: who has which partition, and what a rebalance leaves alone.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};

use crate::cluster::{Cluster, until};

/// What a member was told, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Given(BTreeSet<i32>),
    Taken(BTreeSet<i32>),
}

#[derive(Default)]
struct Diary(Mutex<Vec<Told>>);

impl ClientContext for Diary {}

impl ConsumerContext for Diary {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let told = match rebalance {
            Rebalance::Assign(partitions) => Told::Given(numbers(partitions)),
            Rebalance::Revoke(partitions) => Told::Taken(numbers(partitions)),
            Rebalance::Error(error) => panic!("a rebalance failed: {error}"),
        };
        self.0.lock().expect("no panic").push(told);
    }
}

type Member = BaseConsumer<Diary>;

fn numbers(partitions: &TopicPartitionList) -> BTreeSet<i32> {
    partitions.elements().iter().map(|partition| partition.partition()).collect()
}

fn join(cluster: &Cluster, group: &str, topic: &str, settings: &[(&str, &str)]) -> Member {
    let own = [
        ("group.id", group),
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "300"),
        ("enable.auto.commit", "false"),
        ("auto.offset.reset", "earliest"),
    ];
    let config = cluster.config(&[&own, settings].concat());
    let member: Member = config.create_with_context(Diary::default()).expect("a consumer");
    member.subscribe(&[topic]).expect("a subscription");
    member
}

fn owned(member: &Member) -> BTreeSet<i32> {
    let _ = member.poll(Duration::from_millis(10));
    member.assignment().map(|own| numbers(&own)).unwrap_or_default()
}

/// What a member was given and what was taken. That nothing more came with a generation is not news.
fn diary(member: &Member) -> Vec<Told> {
    let told = member.context().0.lock().expect("no panic").clone();
    let news = |told: &Told| match told {
        Told::Given(some) | Told::Taken(some) => !some.is_empty(),
    };
    told.into_iter().filter(news).collect()
}

#[test]
fn a_second_member_takes_half_and_the_first_keeps_the_rest_untouched() {
    let cluster = Cluster::up();
    let (topic, group) = (cluster.topic("shared", 4, &[]), cluster.name("shared"));
    let first = join(&cluster, &group, &topic, &[]);
    let all = until("the first has all", || Some(owned(&first)).filter(|own| own.len() == 4));
    let second = join(&cluster, &group, &topic, &[]);
    until("each has half", || {
        let both = (owned(&first), owned(&second));
        (both.0.len() == 2 && both.1.len() == 2).then_some(both)
    });
    let (kept, taken) = (owned(&first), owned(&second));
    assert_eq!(kept.union(&taken).copied().collect::<BTreeSet<_>>(), all);
    let lost: Vec<_> = diary(&first).into_iter().filter(|told| matches!(told, Told::Taken(_))).collect();
    assert_eq!(lost, [Told::Taken(taken)], "only what moved was taken");
    // It goes, and what it had comes back to the first.
    drop(second);
    until("the first has all again", || Some(owned(&first)).filter(|own| own.len() == 4));
}

#[test]
fn a_static_member_that_comes_back_in_time_moves_nothing() {
    let cluster = Cluster::up();
    let (topic, group) = (cluster.topic("static", 4, &[]), cluster.name("static"));
    let join = |instance: &str| join(&cluster, &group, &topic, &[("group.instance.id", instance)]);
    let (first, second) = (join("one"), join("two"));
    // Both are polled each time: one that is not cannot give back what it was given.
    let have = || [owned(&first).len(), owned(&second).len()];
    until("each has half", || (have() == [2, 2]).then_some(()));
    let (before, had) = (diary(&first), owned(&second));
    // A static member does not leave when it closes.
    drop(second);
    let second = join("two");
    until("it has its partitions again", || {
        let _ = owned(&first);
        (owned(&second) == had).then_some(())
    });
    assert_eq!(diary(&first), before, "the other member was told nothing");
    assert_eq!(diary(&second), [Told::Given(had)]);
}

#[test]
fn a_static_member_that_appears_twice_fences_the_one_before() {
    let cluster = Cluster::up();
    let (topic, group) = (cluster.topic("twice", 2, &[]), cluster.name("twice"));
    let join = || join(&cluster, &group, &topic, &[("group.instance.id", "only")]);
    let first = join();
    until("the first has all", || (owned(&first).len() == 2).then_some(()));
    let second = join();
    let fatal = until("the first is fenced", || {
        let _ = owned(&second);
        match first.poll(Duration::from_millis(10))? {
            Err(_) => first.client().fatal_error(),
            Ok(message) => panic!("an empty topic had {message:?}"),
        }
    });
    assert_eq!(fatal.0, rdkafka::error::RDKafkaErrorCode::FencedInstanceId, "{}", fatal.1);
    until("the second has all", || (owned(&second).len() == 2).then_some(()));
}

#[test]
fn a_member_that_is_not_heard_of_loses_its_partitions() {
    let cluster = Cluster::up();
    let (topic, group) = (cluster.topic("silent", 2, &[]), cluster.name("silent"));
    // Static, so that closing does not leave: to the coordinator it is as good as killed.
    let silent = join(&cluster, &group, &topic, &[("group.instance.id", "silent")]);
    until("it has all", || (owned(&silent).len() == 2).then_some(()));
    drop(silent);
    let heir = join(&cluster, &group, &topic, &[]);
    until("the heir has all", || (owned(&heir).len() == 2).then_some(()));
}
