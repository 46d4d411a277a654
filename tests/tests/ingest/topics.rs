//! Topics that others write: Debezium with and without its schema, flattened, in Avro behind a registry, and CloudEvents,
//! binary and structured. What cannot be read is set aside, and what was read is read once.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use musubi_log::kafka::Onlooker;
use musubi_log::{Budget, Reader as _, Topic};
use musubi_schema::{Parser, Writers, avro};
use musubi_serve::cluster;
use musubi_stitcher::topics::{QUARANTINE, TOUCHPOINTS};
use musubi_tests::cluster::{Fixture, PATIENCE};
use musubi_tests::processes::Stitcher;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};

use crate::registry::Stub;
use crate::{ingest, told};

/// A record that somebody else writes.
#[derive(Clone, Debug, Default)]
struct Written {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(&'static str, String)>,
}

impl Written {
    fn json(value: &Value) -> Self {
        Self { value: Some(value.to_string().into_bytes()), ..Self::default() }
    }
}

/// A deployment before a cluster, with a folder that has its configuration.
struct Setting {
    fixture: Fixture,
    registry: Stub,
    folder: tempfile::TempDir,
}

/// The sources; `PREFIX` stands before the names of their topics.
const SOURCES: &str = r#"
[[source]]
name = "crm"
preset = "debezium"
topic = "PREFIXcrm"
open = true
[source.fields]
identifiers = { member_no = "user_id", mail = "email" }
traits = { name = "name" }

[[source]]
name = "booking"
preset = "debezium"
topic = "PREFIXbooking"
open = true
[source.fields]
identifiers = { guest = "user_id", mail = "email" }

[[source]]
name = "shop"
preset = "cloudevents"
topic = "PREFIXshop"
open = true
[source.fields]
identifiers = { "ce.subject" = "user_id", mail = "email" }
"#;

impl Setting {
    fn new() -> Result<Self> {
        let setting = Self { fixture: Fixture::start(3)?, registry: Stub::start(), folder: tempfile::tempdir()? };
        let settings = &setting.fixture.cluster.settings;
        let head = format!(
            "[kafka]\nbootstrap = \"{}\"\nprefix = \"{}\"\npartitions = {}\nreplication = 1\n[schemas]\nurl = \"{}\"\n",
            setting.fixture.bootstrap(),
            settings.prefix,
            settings.partitions,
            setting.registry.url
        );
        let sources = SOURCES.replace("PREFIX", &settings.prefix);
        std::fs::write(setting.folder.path().join("musubi.toml"), head + &sources)?;
        Ok(setting)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.fixture.bootstrap());
        config
    }

    /// Makes somebody else's topic, with two partitions.
    fn topic(&self, stem: &str) -> Result<String> {
        let name = format!("{}{stem}", self.fixture.cluster.settings.prefix);
        let admin: AdminClient<DefaultClientContext> = self.config().create()?;
        let topic = NewTopic::new(&name, 2, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let made = runtime.block_on(admin.create_topics([&topic], &options))?;
        made.into_iter().next().context("one topic")?.map_err(|(name, why)| anyhow::anyhow!("{name}: {why}"))?;
        Ok(name)
    }

    /// Writes records, to one partition after another.
    fn write(&self, topic: &str, records: &[Written]) -> Result<()> {
        let producer: BaseProducer = self.config().set("acks", "all").create()?;
        for (place, record) in records.iter().enumerate() {
            let headers = record
                .headers
                .iter()
                .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
            let partition = i32::try_from(place % 2)?;
            let mut sent = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).headers(headers);
            sent.key = record.key.as_deref();
            sent.payload = record.value.as_deref();
            producer.send(sent).map_err(|(why, _)| why)?;
        }
        producer.flush(PATIENCE)?;
        Ok(())
    }

    fn ingest(&self, source: &str) -> Result<Value> {
        told(ingest(self.folder.path(), &["--cluster", "--once", "--source", source])?)
    }

    /// The values on a topic of ours, as JSON.
    fn values(&self, topic: &Topic) -> Result<Vec<Value>> {
        const ALL: Budget = Budget { records: 10_000, bytes: 16 << 20, patience: Duration::ZERO };
        let onlooker = Onlooker::open(&self.fixture.cluster.settings)?;
        let mut all = Vec::new();
        for partition in 0..onlooker.partitions(topic)? {
            let end = onlooker.end_offset(topic, partition)?;
            let mut next = 0;
            while next < end {
                let stretch = onlooker.read(topic, partition, next, ALL)?;
                next = stretch.next;
                for delivery in stretch.records {
                    let bytes = delivery.record.value.as_deref().context("a value")?;
                    let mut line = Vec::new();
                    if *topic == TOUCHPOINTS {
                        let read = avro::decode_touchpoint(bytes, &mut Parser::new(), &Writers::default());
                        let read = read.map_err(|why| anyhow::anyhow!("{why}"))?;
                        musubi_schema::render_touchpoint(&read, &mut line);
                    } else {
                        avro::to_json(avro::Topic::Quarantine, bytes, &mut line)
                            .map_err(|why| anyhow::anyhow!("{why}"))?;
                    }
                    all.push(serde_json::from_slice(&line)?);
                }
            }
        }
        Ok(all)
    }

    /// What is on the topic of touchpoints: type, event id and identifiers of each.
    fn touchpoints(&self) -> Result<BTreeSet<String>> {
        let said = |touchpoint: &Value| {
            let identifiers = touchpoint["identifiers"].as_array().cloned().unwrap_or_default();
            let identifier = |one: &Value| {
                format!("{}:{}", one["namespace"].as_str().unwrap_or("?"), one["value"].as_str().unwrap_or("?"))
            };
            let identifiers: Vec<String> = identifiers.iter().map(identifier).collect();
            let text = |name: &str| touchpoint[name].as_str().unwrap_or_default().to_owned();
            let id = text("event_id").replace(&self.fixture.cluster.settings.prefix, "");
            format!("{} {} {id} {}", text("source"), text("type"), identifiers.join(" "))
        };
        let all = self.values(&TOUCHPOINTS)?;
        let distinct: BTreeSet<String> = all.iter().map(said).collect();
        ensure!(distinct.len() == all.len(), "something stands there twice: {all:#?}");
        Ok(distinct)
    }
}

fn change(op: &str, lsn: u64, before: Value, after: Value) -> Value {
    let source =
        json!({ "db": "crm", "schema": "public", "table": "members", "lsn": lsn, "ts_ms": 1_775_008_800_123_i64 });
    json!({ "op": op, "before": before, "after": after, "source": source, "ts_ms": 1_775_008_800_999_i64 })
}

#[test]
fn debezium_with_its_schema_without_and_flattened_is_read_once() -> Result<()> {
    let setting = Setting::new()?;
    let topic = setting.topic("crm")?;
    let with_schema = |payload: Value| json!({ "schema": { "type": "struct" }, "payload": payload });
    let flattened =
        json!({ "member_no": "m-3", "mail": "c@shop.example", "__op": "c", "__source_ts_ms": 1_775_008_800_123_i64 });
    let records = [
        Written::json(&change(
            "c",
            1,
            Value::Null,
            json!({ "member_no": "m-1", "mail": "a@shop.example", "name": "花子" }),
        )),
        Written::json(&with_schema(change(
            "r",
            2,
            Value::Null,
            json!({ "member_no": "m-2", "mail": "b@shop.example" }),
        ))),
        Written::json(&flattened),
        Written::json(&change("d", 4, json!({ "member_no": "m-1", "mail": "a@shop.example" }), Value::Null)),
        // The tombstone behind a deletion, and what nobody can read.
        Written { key: Some(br#"{"member_no":"m-1"}"#.to_vec()), ..Written::default() },
        Written { value: Some(b"{\"op\":".to_vec()), ..Written::default() },
    ];
    setting.write(&topic, &records)?;
    let first = setting.ingest("crm")?;
    ensure!(
        first["rows"] == json!(6) && first["touchpoints"] == json!(4) && first["quarantined"] == json!(1),
        "{first}"
    );
    let found = setting.touchpoints()?;
    let wanted = [
        "crm record_created crm.public.members:1:c:",
        "crm record_read crm.public.members:2:r:",
        "crm record_created crm/0/1 email:c@shop.example user_id:m-3",
        "crm record_deleted crm.public.members:4:d:",
    ];
    for start in wanted {
        ensure!(found.iter().any(|touchpoint| touchpoint.starts_with(start)), "no `{start}` in {found:#?}");
    }
    let aside = setting.values(&QUARANTINE)?;
    ensure!(aside.len() == 1 && aside[0]["reason"] == json!("invalid-json"), "{aside:?}");
    let place = &aside[0]["envelope"]["record"];
    ensure!(place["topic"] == json!(topic) && place["partition"] == json!(1), "its place is kept: {aside:?}");

    // Read on from where it was: nothing is read twice, and what came since is.
    let again = setting.ingest("crm")?;
    ensure!(again["rows"] == json!(0), "{again}");
    setting.write(&topic, &[Written::json(&change("u", 9, Value::Null, json!({ "member_no": "m-2" })))])?;
    let more = setting.ingest("crm")?;
    ensure!(more["rows"] == json!(1) && setting.touchpoints()?.len() == 5, "{more}");
    Ok(())
}

#[test]
fn what_is_read_a_second_time_after_a_crash_is_a_copy() -> Result<()> {
    let setting = Setting::new()?;
    let topic = setting.topic("crm")?;
    let member = |nr: u64| change("c", nr, Value::Null, json!({ "member_no": format!("m-{nr}"), "name": "花子" }));
    let records: Vec<Written> = (0..200).map(|nr| Written::json(&member(nr))).collect();
    setting.write(&topic, &records)?;
    let state = tempfile::tempdir()?;
    let stitcher = Stitcher::start(&setting.fixture, "a", state.path(), &[])?;
    setting.ingest("crm")?;
    setting.fixture.settle()?;
    let directory = tempfile::tempdir()?;
    let before = cluster::live(&setting.fixture.cluster, &directory.path().join("before"))?;
    // It died after the records were on our topics, and before it had kept how far it was.
    std::fs::remove_file(setting.folder.path().join(".crm.positions.musubi"))?;
    let again = setting.ingest("crm")?;
    ensure!(again["touchpoints"] == json!(200), "{again}");
    setting.fixture.settle()?;
    let after = cluster::live(&setting.fixture.cluster, &directory.path().join("after"))?;
    ensure!(before.persons == 200 && after.by_person == before.by_person, "{before:?}\n{after:?}");
    ensure!(setting.values(&QUARANTINE)?.is_empty(), "a copy is no conflict");
    ensure!(stitcher.stop()? == Some(0), "it did not end well");
    Ok(())
}

/// The bytes of Avro, as far as they are needed.
struct Bytes(Vec<u8>);

impl Bytes {
    fn of(schema: u32) -> Self {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&schema.to_be_bytes());
        Self(bytes)
    }

    fn long(mut self, number: i64) -> Self {
        let mut left = u64::from_ne_bytes(((number << 1) ^ (number >> 63)).to_ne_bytes());
        while left >= 0x80 {
            self.0.push(u8::try_from(left & 0x7f).unwrap_or_default() | 0x80);
            left >>= 7;
        }
        self.0.push(u8::try_from(left).unwrap_or_default());
        self
    }

    fn text(self, text: &str) -> Self {
        let mut bytes = self.long(i64::try_from(text.len()).unwrap_or_default());
        bytes.0.extend_from_slice(text.as_bytes());
        bytes
    }
}

const ENVELOPE: &str = r#"{"type":"record","name":"Envelope","fields":[
    {"name":"before","type":["null",{"type":"record","name":"Value","fields":[
        {"name":"guest","type":"string"},{"name":"mail","type":["null","string"],"default":null}]}],"default":null},
    {"name":"after","type":["null","Value"],"default":null},
    {"name":"source","type":{"type":"record","name":"Source","fields":[
        {"name":"db","type":"string"},{"name":"table","type":"string"},{"name":"lsn","type":["null","long"],"default":null},
        {"name":"ts_ms","type":"long"}]}},
    {"name":"op","type":"string"}]}"#;

#[test]
fn avro_is_read_by_the_registry_and_what_it_does_not_know_is_set_aside() -> Result<()> {
    let setting = Setting::new()?;
    let topic = setting.topic("booking")?;
    let schema = setting.registry.keep("booking-value", "AVRO", ENVELOPE, json!([]));
    let created = |guest: &str, mail: Option<&str>, lsn: i64| {
        let after = Bytes::of(schema).long(0).long(1).text(guest);
        let after =
            mail.map_or_else(|| Bytes(after.0.clone()).long(0), |mail| Bytes(after.0.clone()).long(1).text(mail));
        let written = after.text("hotel").text("stay").long(1).long(lsn).long(1_775_008_800_123).text("c");
        Written { value: Some(written.0), ..Written::default() }
    };
    let unknown = Written { value: Some(Bytes::of(77).long(0).0), ..Written::default() };
    let cut = Written { value: Some(Bytes::of(schema).long(0).0), ..Written::default() };
    setting.write(&topic, &[created("g-1", Some("g@shop.example"), 5), created("g-2", None, 6), unknown, cut])?;
    let first = setting.ingest("booking")?;
    ensure!(first["touchpoints"] == json!(2) && first["quarantined"] == json!(2), "{first}");
    let found = setting.touchpoints()?;
    ensure!(
        found.iter().any(|said| said.starts_with("booking record_created hotel..stay:5:c:")
            && said.ends_with("user_id:g-1 email:g@shop.example"))
            && found.iter().any(|said| said.ends_with(" user_id:g-2")),
        "{found:#?}"
    );
    let aside = setting.values(&QUARANTINE)?;
    ensure!(aside.iter().all(|one| one["reason"] == json!("invalid-avro")), "{aside:?}");
    ensure!(
        aside.iter().any(|one| one["detail"].as_str().is_some_and(|said| said.contains("no schema 77"))),
        "{aside:?}"
    );
    Ok(())
}

#[test]
fn cloudevents_are_read_in_both_modes_of_kafka() -> Result<()> {
    let setting = Setting::new()?;
    let topic = setting.topic("shop")?;
    let binary = |id: &str, subject: &str, more: &[(&'static str, &str)]| {
        let attributes = [
            ("ce_specversion", "1.0"),
            ("ce_id", id),
            ("ce_source", "/shop"),
            ("ce_type", "order placed"),
            ("ce_subject", subject),
            ("ce_time", "2026-04-01T02:00:00Z"),
        ];
        attributes.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>()
    };
    let data = Some(br#"{"mail":"a@shop.example"}"#.to_vec());
    let structured = json!({ "specversion": "1.0", "id": "3", "source": "/shop", "type": "order placed", "subject": "u-3",
        "time": "2026-04-01T02:00:00Z", "data": { "mail": "c@shop.example" } });
    let records = [
        // With both names of the content's type, as one client sends them, and with neither, as the same client does.
        Written {
            value: data.clone(),
            headers: binary(
                "1",
                "u-1",
                &[("ce_datacontenttype", "application/json"), ("content-type", "application/json")],
            ),
            key: Some(b"u-1".to_vec()),
        },
        Written { value: data, headers: binary("2", "u-2", &[]), key: None },
        Written {
            headers: vec![("content-type", "application/cloudevents+json; charset=utf-8".into())],
            ..Written::json(&structured)
        },
        // An event without data is an event all the same.
        Written { value: None, headers: binary("4", "u-4", &[]), key: Some(b"u-4".to_vec()) },
        Written::json(&json!({ "neither": "event", "nor": "attributes" })),
    ];
    setting.write(&topic, &records)?;
    let first = setting.ingest("shop")?;
    ensure!(first["touchpoints"] == json!(4) && first["quarantined"] == json!(1), "{first}");
    let found: Vec<String> = setting.touchpoints()?.into_iter().collect();
    ensure!(
        found
            == [
                "shop order_placed /shop:1 user_id:u-1 email:a@shop.example",
                "shop order_placed /shop:2 user_id:u-2 email:a@shop.example",
                "shop order_placed /shop:3 user_id:u-3 email:c@shop.example",
                "shop order_placed /shop:4 user_id:u-4",
            ],
        "{found:#?}"
    );
    Ok(())
}
