//! What stands on the topics, record by record, when persons come, merge, split and go: the consumer's contract.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use expect_test::{Expect, expect};
use musubi_core::identifier::DeploymentKey;
use musubi_core::policy::Policy;
use musubi_log::{
    Append, Budget, Changes, CommitError, Committed, Delivery, Lease, Log, Offset, Partition, Polled, Record,
    Transaction,
};
use musubi_schema::avro::{self, to_json_with};
use musubi_schema::{Framing, Ids, Parser, Registered, Source, Unavailable, Writers};
use musubi_stitcher::topics::{DIRECTIVES, MESH, TOUCHPOINTS};
use musubi_stitcher::{Contract, Error, Options, Worker};
use musubi_store::InMemory;

const POLICY: &str = r#"
[[namespace]]
name = "loyalty_card"
unique = true
[[namespace]]
name = "email"
[[namespace]]
name = "cookie"
"#;

/// A log of one partition that hands out what it is given, and keeps what is committed.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Reel>>);

#[derive(Default)]
struct Reel {
    next: Vec<Delivery>,
    read: u64,
    appends: Vec<Append>,
    rewound: usize,
}

impl Tape {
    fn with<T>(&self, work: impl FnOnce(&mut Reel) -> T) -> T {
        work(&mut self.0.lock().expect("nobody panics with it"))
    }

    fn put(&self, topic: musubi_log::Topic, value: Vec<u8>) {
        self.with(|reel| {
            reel.read += 1;
            let record = Record { value: Some(value.into()), timestamp_ms: 1_775_001_600_000, ..Record::default() };
            reel.next.push(Delivery { topic, partition: 0, offset: reel.read, record });
        });
    }
}

impl Log for Tape {
    fn assignment(&self) -> &[Lease] {
        &[]
    }

    fn poll(&mut self, _: Budget) -> Result<Polled, musubi_log::Error> {
        Ok(Polled::Records(self.with(|reel| reel.next.clone())))
    }

    fn commit(&mut self, transaction: Transaction) -> Result<Committed, CommitError> {
        self.with(|reel| {
            reel.next.clear();
            reel.appends.extend(transaction.outputs);
        });
        Ok(Committed::Unapplied { state: transaction.state, changelog: Vec::new() })
    }

    fn rewind(&mut self) -> Result<(), musubi_log::Error> {
        self.with(|reel| reel.rewound += 1);
        Ok(())
    }

    fn changelog(&mut self, _: Partition, _: Offset) -> Result<Option<Changes>, musubi_log::Error> {
        Ok(None)
    }
}

struct Stage {
    tape: Tape,
    worker: Worker<Tape, InMemory>,
    writers: Writers,
    seen: usize,
}

impl Stage {
    fn new(contract: Contract, mut writers: Writers) -> Self {
        let (tape, policy) = (Tape::default(), Arc::new(Policy::parse(POLICY).expect("a policy")));
        let key = DeploymentKey::derive(b"contract");
        let worker = Worker::new(tape.clone(), InMemory::default(), policy, key, 1, Options::default());
        let worker = worker.with_contract(contract.clone(), writers.clone());
        writers.add_ours(&contract.framing);
        Self { tape, worker, writers, seen: 0 }
    }

    fn plain() -> Self {
        Self::new(Contract::default(), Writers::default())
    }

    fn turn(&mut self) -> Result<musubi_stitcher::Turn, Error> {
        self.worker.turn(Budget::records(1_000))
    }

    /// What a turn over these lines appends.
    fn play(&mut self, lines: &[&str]) -> Vec<Append> {
        for line in lines {
            let topic = if musubi_schema::is_directive(line.as_bytes()) { DIRECTIVES } else { TOUCHPOINTS };
            self.tape.put(topic, line.as_bytes().to_vec());
        }
        self.turn().expect("a turn");
        self.appended()
    }

    fn appended(&mut self) -> Vec<Append> {
        let appends = self.tape.with(|reel| reel.appends[self.seen..].to_vec());
        self.seen += appends.len();
        appends
    }

    /// The value as JSON; none for a tombstone.
    fn json(&self, append: &Append) -> Option<serde_json::Value> {
        let topic = avro::Topic::ALL.into_iter().find(|topic| topic.name() == append.topic.as_str());
        let (topic, mut text) = (topic.expect("it has a schema"), Vec::new());
        to_json_with(topic, append.record.value.as_deref()?, &self.writers, &mut text).expect("it can be read");
        Some(serde_json::from_slice(&text).expect("it is JSON"))
    }

    fn check(&mut self, lines: &[&str], expect: Expect) {
        let mut story = String::new();
        for append in self.play(lines) {
            let key = short(&String::from_utf8_lossy(append.record.key.as_deref().expect("a key")));
            let value = self.json(&append).map_or("tombstone".to_owned(), |value| short(&told(&value)));
            let kind = header(&append, "ce_type").trim_start_matches("musubi.").to_owned();
            let version = header(&append, "profile_version");
            writeln!(story, "{} {key} v{version} {kind}: {value}", append.topic).expect("text");
        }
        expect.assert_eq(&story);
    }
}

/// What is worth telling of a value in a story.
fn told(value: &serde_json::Value) -> String {
    let names = ["kind", "joined", "left", "from", "into", "identifiers", "person_id", "to", "value", "type"];
    let part = |name: &&str| Some(format!("{name}={}", value.get(name).filter(|part| !part.is_null())?));
    names.iter().filter_map(part).collect::<Vec<_>>().join(" ")
}

/// Ids by their first four digits, and identifiers as `namespace:value`.
fn short(text: &str) -> String {
    let text =
        text.replace("{\"namespace\":\"", "").replace("\",\"value\":\"", ":").replace("\"}", "").replace('"', "");
    let (mut out, mut rest) = (String::new(), text.as_str());
    while let Some(next) = rest.chars().next() {
        let id = rest.get(..36).filter(|id| is_id(id));
        let (kept, length) = id.map_or((next.len_utf8(), next.len_utf8()), |_| (4, 36));
        out.push_str(&rest[..kept]);
        rest = &rest[length..];
    }
    out
}

fn is_id(text: &str) -> bool {
    let mut places = text.bytes().enumerate();
    places.all(|(place, byte)| if matches!(place, 8 | 13 | 18 | 23) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

fn header(append: &Append, name: &str) -> String {
    let found = append.record.headers.iter().find(|(have, _)| have == name);
    found.map_or(String::new(), |(_, value)| String::from_utf8_lossy(value).into_owned())
}

fn touchpoint(number: u32, identifiers: &[(&str, &str)], traits: &str) -> String {
    let identifier = |(namespace, value): &(&str, &str)| format!(r#"{{"namespace":"{namespace}","value":"{value}"}}"#);
    let identifiers: Vec<String> = identifiers.iter().map(identifier).collect();
    format!(
        r#"{{"source":"pos","event_id":"e{number}","channel":"store","type":"visit","occurred_at":"2026-04-01T00:0{number}:00Z","received_at":"2026-04-01T00:0{number}:00Z","identifiers":[{}],"traits":{traits}}}"#,
        identifiers.join(",")
    )
}

fn directive(word: &str, identifiers: &[(&str, &str)]) -> String {
    let identifier = |(namespace, value): &(&str, &str)| format!(r#"{{"namespace":"{namespace}","value":"{value}"}}"#);
    let identifiers: Vec<String> = identifiers.iter().map(identifier).collect();
    format!(
        r#"{{"directive":"{word}","directive_id":"d-{word}","source":"ops","at":"2026-04-01T00:09:00Z","identifiers":[{}]}}"#,
        identifiers.join(",")
    )
}

const CARD: (&str, &str) = ("loyalty_card", "4901");
const EMAIL: (&str, &str) = ("email", "hana@example.jp");
const COOKIE: (&str, &str) = ("cookie", "c1");

#[test]
fn a_life_record_by_record() {
    let mut stage = Stage::plain();
    stage.check(
        &[&touchpoint(1, &[CARD], r#"{"name":"花"}"#)],
        expect![[r#"
            profile-changes fcd1 v1 profile.created: kind=created joined=[loyalty_card:4901] left=[] from=[] person_id=fcd1
            profile-identifiers fcd1|loyalty_card:4901 v1 profile-identifier.joined: person_id=fcd1 value=4901
            profile-traits fcd1|name v1 profile-trait.set: person_id=fcd1 value=花 type=string
            profiles fcd1 v1 profile.state: identifiers=[loyalty_card:4901] person_id=fcd1
            identity-map loyalty_card:4901 v1 identity.assigned: person_id=fcd1 value=4901
        "#]],
    );
    stage.check(&[&touchpoint(2, &[EMAIL], r#"{"city":"Tokyo"}"#)], expect![[r#"
        profile-changes f4b3 v1 profile.created: kind=created joined=[email:hana@example.jp] left=[] from=[] person_id=f4b3
        profile-identifiers f4b3|email:hana@example.jp v1 profile-identifier.joined: person_id=f4b3 value=hana@example.jp
        profile-traits f4b3|city v1 profile-trait.set: person_id=f4b3 value=Tokyo type=string
        profiles f4b3 v1 profile.state: identifiers=[email:hana@example.jp] person_id=f4b3
        identity-map email:hana@example.jp v1 identity.assigned: person_id=f4b3 value=hana@example.jp
    "#]]);
    // A merge: the redirect stands before every tombstone.
    stage.check(&[&touchpoint(3, &[CARD, EMAIL], "{}")], expect![[r#"
        redirects f4b3 v2 redirect.set: from=f4b3 to=fcd1
        profile-changes fcd1 v2 profile.merged: kind=merged joined=[email:hana@example.jp] left=[] from=[f4b3] person_id=fcd1
        profile-identifiers fcd1|email:hana@example.jp v2 profile-identifier.joined: person_id=fcd1 value=hana@example.jp
        profile-traits fcd1|city v2 profile-trait.set: person_id=fcd1 value=Tokyo type=string
        profiles fcd1 v2 profile.state: identifiers=[email:hana@example.jp,loyalty_card:4901] person_id=fcd1
        identity-map email:hana@example.jp v2 identity.assigned: person_id=fcd1 value=hana@example.jp
        profile-changes f4b3 v2 profile.merged: kind=merged joined=[] left=[email:hana@example.jp] from=[] into=fcd1 person_id=f4b3
        profile-identifiers f4b3|email:hana@example.jp v2 profile-identifier.left: tombstone
        profile-traits f4b3|city v2 profile-trait.removed: tombstone
        profiles f4b3 v2 profile.gone: tombstone
    "#]]);
    // A trait goes.
    stage.check(
        &[&touchpoint(4, &[CARD], r#"{"city":null}"#)],
        expect![[r#"
            profile-changes fcd1 v3 profile.updated: kind=updated joined=[] left=[] from=[] person_id=fcd1
            profile-traits fcd1|city v3 profile-trait.removed: tombstone
            profiles fcd1 v3 profile.state: identifiers=[email:hana@example.jp,loyalty_card:4901] person_id=fcd1
        "#]],
    );
    // A split: the id that was redirected is live again.
    stage.check(&[&directive("unlink", &[CARD, EMAIL])], expect![[r#"
        profile-changes f4b3 v3 profile.split: kind=split joined=[email:hana@example.jp] left=[] from=[fcd1] person_id=f4b3
        profile-identifiers f4b3|email:hana@example.jp v3 profile-identifier.joined: person_id=f4b3 value=hana@example.jp
        profile-traits f4b3|city v3 profile-trait.set: person_id=f4b3 value=Tokyo type=string
        profiles f4b3 v3 profile.state: identifiers=[email:hana@example.jp] person_id=f4b3
        profile-changes fcd1 v4 profile.split: kind=split joined=[] left=[email:hana@example.jp] from=[] person_id=fcd1
        profile-identifiers fcd1|email:hana@example.jp v4 profile-identifier.left: tombstone
        profiles fcd1 v4 profile.state: identifiers=[loyalty_card:4901] person_id=fcd1
        identity-map email:hana@example.jp v3 identity.assigned: person_id=f4b3 value=hana@example.jp
        redirects f4b3 v3 redirect.cleared: tombstone
    "#]]);
    // An erasure.
    stage.check(
        &[&directive("erase", &[CARD])],
        expect![[r#"
            identity-map loyalty_card:4901 v5 identity.forgotten: tombstone
            profile-changes fcd1 v5 profile.erased: kind=erased joined=[] left=[loyalty_card:4901] from=[] person_id=fcd1
            profile-identifiers fcd1|loyalty_card:4901 v5 profile-identifier.left: tombstone
            profile-traits fcd1|name v5 profile-trait.removed: tombstone
            profiles fcd1 v5 profile.gone: tombstone
        "#]],
    );
}

#[test]
fn the_redirects_of_a_turn_stand_before_its_tombstones_whoever_they_are_of() {
    let mut stage = Stage::plain();
    stage.play(&[&touchpoint(1, &[CARD], "{}"), &touchpoint(2, &[EMAIL], "{}"), &touchpoint(3, &[COOKIE], "{}")]);
    let appends = stage.play(&[&directive("erase", &[COOKIE]), &touchpoint(4, &[CARD, EMAIL], "{}")]);
    let shown = |append: &Append| format!("{}{}", append.topic, if append.record.value.is_some() { "" } else { " -" });
    let shown: Vec<String> = appends.iter().map(shown).collect();
    assert_eq!(shown[0], "redirects");
    assert!(
        shown.iter().position(|record| record == "identity-map -")
            < shown.iter().position(|record| record == "profiles")
    );
}

#[test]
fn every_record_has_the_headers_of_a_cloud_event_and_says_where_it_comes_from() {
    let lines = [touchpoint(1, &[CARD, EMAIL], r#"{"name":"花"}"#), r#"{"source":"pos"}"#.to_owned()];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let appends = Stage::plain().play(&lines);
    let mut shown = String::new();
    for append in &appends {
        writeln!(shown, "{}", append.topic).expect("text");
        for (name, value) in &append.record.headers {
            writeln!(shown, "  {name}: {}", short(&String::from_utf8_lossy(value))).expect("text");
        }
    }
    expect![[r#"
        quarantine
          ce_specversion: 1.0
          ce_id: touchpoints/0/2
          ce_source: musubi/quarantine
          ce_type: musubi.quarantined
          ce_subject: pos
          ce_time: 2026-04-01T00:00:00Z
          content-type: application/avro
          src: touchpoints/0/2
        profile-changes
          ce_specversion: 1.0
          ce_id: fcd1/1
          ce_source: musubi/profile-changes
          ce_type: musubi.profile.created
          ce_subject: fcd1
          ce_time: 2026-04-01T00:01:00Z
          content-type: application/avro
          profile_version: 1
          src: touchpoints/0/1
        profile-identifiers
          ce_specversion: 1.0
          ce_id: fcd1/1/fcd1|email:hana@example.jp
          ce_source: musubi/profile-identifiers
          ce_type: musubi.profile-identifier.joined
          ce_subject: fcd1
          ce_time: 2026-04-01T00:01:00Z
          content-type: application/avro
          profile_version: 1
          src: touchpoints/0/1
        profile-identifiers
          ce_specversion: 1.0
          ce_id: fcd1/1/fcd1|loyalty_card:4901
          ce_source: musubi/profile-identifiers
          ce_type: musubi.profile-identifier.joined
          ce_subject: fcd1
          ce_time: 2026-04-01T00:01:00Z
          content-type: application/avro
          profile_version: 1
          src: touchpoints/0/1
        profile-traits
          ce_specversion: 1.0
          ce_id: fcd1/1/fcd1|name
          ce_source: musubi/profile-traits
          ce_type: musubi.profile-trait.set
          ce_subject: fcd1
          ce_time: 2026-04-01T00:01:00Z
          content-type: application/avro
          profile_version: 1
          src: touchpoints/0/1
        profiles
          ce_specversion: 1.0
          ce_id: fcd1/1
          ce_source: musubi/profiles
          ce_type: musubi.profile.state
          ce_subject: fcd1
          ce_time: 2026-04-01T00:01:00Z
          content-type: application/avro
          profile_version: 1
          src: touchpoints/0/1
        identity-map
          ce_specversion: 1.0
          ce_id: fcd1/1/loyalty_card:4901
          ce_source: musubi/identity-map
          ce_type: musubi.identity.assigned
          ce_subject: loyalty_card:4901
          ce_time: 2026-04-01T00:01:00Z
          content-type: application/avro
          profile_version: 1
          src: touchpoints/0/1
        identity-map
          ce_specversion: 1.0
          ce_id: fcd1/1/email:hana@example.jp
          ce_source: musubi/identity-map
          ce_type: musubi.identity.assigned
          ce_subject: email:hana@example.jp
          ce_time: 2026-04-01T00:01:00Z
          content-type: application/avro
          profile_version: 1
          src: touchpoints/0/1
    "#]]
    .assert_eq(&shown);
    assert_eq!(Stage::plain().play(&lines), appends, "the same comes of the same");
}

fn ids() -> Ids {
    Ids::try_of(|topic| Ok::<_, ()>(100 + topic as u32)).expect("a number for each")
}

#[test]
fn a_contract_changes_the_bytes_and_nothing_that_is_said() {
    let lines = [touchpoint(1, &[CARD, EMAIL], r#"{"name":"花"}"#), touchpoint(2, &[EMAIL, COOKIE], r#"{"age":41}"#)];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let said = |framing: Framing, start: &[u8], media: &str| {
        let mut stage = Stage::new(Contract { framing, ..Contract::default() }, Writers::default());
        let appends = stage.play(&lines);
        for append in &appends {
            assert!(append.record.value.as_deref().is_none_or(|value| value.starts_with(start)), "{append:?}");
            assert_eq!(header(append, "content-type"), media);
        }
        appends.iter().map(|append| (append.record.key.clone(), stage.json(append))).collect::<Vec<_>>()
    };
    let single = said(Framing::SingleObject, b"\xc3\x01", "application/avro");
    assert!(single.len() > 6);
    assert_eq!(said(Framing::Confluent(ids()), b"\0\0\0\0", "application/avro"), single);
    assert_eq!(said(Framing::Json(None), b"{", "application/json"), single);
    assert_eq!(said(Framing::Json(Some(ids())), b"\0\0\0\0", "application/json"), single);
}

#[test]
fn without_rows_no_flat_topic_is_written_and_the_source_is_the_deployments() {
    let contract = Contract { rows: false, source: "crm-tokyo".to_owned(), ..Contract::default() };
    let appends = Stage::new(contract, Writers::default()).play(&[&touchpoint(1, &[CARD], r#"{"name":"花"}"#)]);
    let sources: Vec<String> = appends.iter().map(|append| header(append, "ce_source")).collect();
    assert_eq!(sources, ["crm-tokyo/profile-changes", "crm-tokyo/profiles", "crm-tokyo/identity-map"]);
}

/// A registry that is away at first, and holds one JSON Schema.
#[derive(Default)]
struct Moody(Mutex<u32>);

impl Source for Moody {
    fn schema(&self, id: u32) -> Result<Option<Registered>, Unavailable> {
        let mut asked = self.0.lock().expect("nobody panics with it");
        *asked += 1;
        match *asked {
            1 => Err(Unavailable { id, why: "it is away".to_owned() }),
            _ => Ok((id == 7).then_some(Registered::Json)),
        }
    }
}

#[test]
fn records_wait_for_a_registry_that_is_away_and_are_set_aside_only_where_it_knows_nothing() {
    let mut stage = Stage::new(Contract::default(), Writers::from_source(Arc::new(Moody::default())));
    let numbered = |id: u8, line: &str| [&[0, 0, 0, 0, id][..], line.as_bytes()].concat();
    stage.tape.put(TOUCHPOINTS, numbered(7, &touchpoint(1, &[CARD], "{}")));
    stage.tape.put(TOUCHPOINTS, numbered(9, &touchpoint(2, &[CARD], "{}")));
    assert!(matches!(stage.turn(), Err(Error::Schema(Unavailable { id: 7, .. }))));
    assert_eq!(stage.tape.with(|reel| (reel.rewound, reel.appends.len())), (1, 0));
    let turn = stage.turn().expect("it answers now");
    assert_eq!((turn.taken, turn.quarantined), (1, 1));
    let aside = stage.appended().into_iter().find(|append| append.topic.as_str() == "quarantine").expect("one");
    let detail = stage.json(&aside).expect("a value")["detail"].to_string();
    assert_eq!(detail, "\"no registry knows a schema `9` for a record of `touchpoints`\"");
}

#[test]
fn what_can_be_read_half_way_is_set_aside_with_its_sender() {
    let mut stage = Stage::plain();
    let appends = stage.play(&[r#"{"source":"pos","event_id":"e-9","channel":"store"}"#]);
    let value = stage.json(&appends[0]).expect("a value");
    assert_eq!((value["source"].as_str(), value["event_id"].as_str()), (Some("pos"), Some("e-9")));
    assert_eq!(value["reason"], "missing-field");
    assert!(appends.iter().all(|append| append.topic != MESH));
}

#[test]
fn a_touchpoint_is_taken_in_any_framing() {
    let touchpoint = Parser::new().parse_touchpoint(touchpoint(1, &[CARD], "{}").as_bytes()).expect("a touchpoint");
    for framing in [Framing::SingleObject, Framing::Confluent(ids()), Framing::Json(None), Framing::Json(Some(ids()))] {
        let mut stage = Stage::new(Contract { framing: framing.clone(), ..Contract::default() }, Writers::default());
        let mut bytes = Vec::new();
        framing.encode(&avro::Record::Touchpoint(&touchpoint), &mut bytes).expect("it fits");
        stage.tape.put(TOUCHPOINTS, bytes);
        assert_eq!(stage.turn().expect("a turn").taken, 1, "{framing:?}");
    }
}
