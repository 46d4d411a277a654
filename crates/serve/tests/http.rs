//! Every route over real HTTP, on a port of the system's choosing and a directory of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use musubi_core::policy::Policy;
use musubi_serve::{Census, Deployment, Disk, Error, Key, Options, Running, Sources, up};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

const POLICY: &str = r#"
[[namespace]]
name = "user_id"
unique = true

[[namespace]]
name = "email"
max_per_person = 3

[[namespace]]
name = "cookie"
shared_after = 2
conflict = "newest"
anonymous = true

[blocked]
values = ["unknown"]
"#;

fn policy() -> Arc<Policy> {
    Arc::new(Policy::parse(POLICY).expect("the test's policy is one"))
}

/// A deployment that runs, and a client of it.
struct Fixture {
    running: Option<Running>,
    agent: Agent,
    base: String,
    directory: TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self::on(directory, options)
    }

    fn on(directory: TempDir, options: Options) -> Self {
        let key = Key::development().key;
        let deployment =
            Deployment::open(directory.path(), policy(), key, Some(3), options).expect("the directory opens");
        let any_port = "127.0.0.1:0".parse().expect("an address");
        let running = up(deployment, Sources::default(), any_port).expect("the doors open");
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let base = format!("http://{}", running.address());
        Self { running: Some(running), agent: config.build().new_agent(), base, directory }
    }

    /// Stops it and starts it again on the same directory.
    fn again(mut self) -> Self {
        self.stop();
        Self::on(self.directory, Options::default())
    }

    fn stop(&mut self) {
        self.running.take().expect("it runs").stop().expect("it ends well");
    }

    fn post(&self, path: &str, body: &[u8]) -> (u16, Value) {
        let answer = self.agent.post(format!("{}{path}", self.base)).send(body).expect("the door answers");
        read(answer)
    }

    fn get(&self, path: &str) -> (u16, Value) {
        read(self.agent.get(format!("{}{path}", self.base)).call().expect("the door answers"))
    }

    fn send(&self, touchpoints: &[Value]) {
        let body = serde_json::to_vec(touchpoints).expect("JSON");
        let (status, receipt) = self.post("/v1/touchpoints", &body);
        assert_eq!((status, &receipt["accepted"]), (200, &json!(touchpoints.len())), "{receipt}");
        self.settle();
    }

    /// Waits until everything is stitched, and gives the fingerprint's answer.
    fn settle(&self) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (_, census) = self.get("/v1/fingerprint");
            if census["settled"] == json!(true) {
                return census;
            }
            assert!(Instant::now() < deadline, "it never settles: {census}");
            std::thread::yield_now();
        }
    }
}

fn read(answer: ureq::http::Response<ureq::Body>) -> (u16, Value) {
    let (parts, mut body) = answer.into_parts();
    let text = body.read_to_string().expect("a body");
    (parts.status.as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// A touchpoint at minute `minute` of an hour, with identifiers written `namespace:value`.
fn touchpoint(event_id: &str, minute: u8, identifiers: &[&str]) -> Value {
    let identifiers: Vec<Value> = identifiers
        .iter()
        .map(|text| text.split_once(':').expect("namespace:value"))
        .map(|(namespace, value)| json!({ "namespace": namespace, "value": value }))
        .collect();
    json!({
        "source": "test", "event_id": event_id, "channel": "web", "type": "page_viewed",
        "occurred_at": format!("2026-04-01T10:{minute:02}:00Z"), "identifiers": identifiers,
        "traits": { "name": format!("after {event_id}") },
    })
}

#[test]
fn a_touchpoint_becomes_a_profile_whatever_shape_the_body_has() {
    let fixture = Fixture::new();
    let one = touchpoint("e1", 1, &["email:A@example.com", "cookie:c/1 ü"]);
    let lines = format!("{}\r\n\n{}\n", touchpoint("e2", 2, &["cookie:c2"]), touchpoint("e3", 3, &["cookie:c2"]));
    let array = json!([touchpoint("e4", 4, &["email:a@example.com", "user_id:u1"])]);
    let pretty = serde_json::to_vec_pretty(&one).expect("JSON");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(array.to_string().as_bytes()).expect("written");
    let bodies = [(pretty, 1), (lines.into_bytes(), 2), (packed.finish().expect("packed"), 1)];
    for (body, count) in bodies {
        let (status, receipt) = fixture.post("/v1/touchpoints", &body);
        assert_eq!((status, receipt), (200, json!({ "accepted": count, "quarantined": 0, "rejected": [] })));
    }
    fixture.settle();
    let (status, profile) = fixture.get("/v1/profiles/cookie/c%2F1%20%C3%BC");
    assert_eq!(status, 200, "{profile}");
    assert_eq!(profile["traits"]["name"], json!("after e4"));
    assert_eq!(profile["identifiers"].as_array().map(Vec::len), Some(3));
    let (_, same) = fixture.get("/v1/profiles/email/%20a%40EXAMPLE.com");
    assert_eq!(same, profile, "a value is looked up as the policy normalises it");
    let id = profile["person_id"].as_str().expect("an id");
    assert_eq!(fixture.get(&format!("/v1/persons/{id}")).1, profile);
}

#[test]
fn what_cannot_be_a_touchpoint_is_set_aside_and_the_rest_goes_on() {
    let fixture = Fixture::new();
    let mut lines = Vec::new();
    for line in [
        &b"{\"source\":\"s\",\"event_id\":\"broken\""[..],
        b"\xff\xfe",
        b"17",
        b"{}",
        touchpoint("blocked", 1, &["email:unknown"]).to_string().as_bytes(),
        touchpoint("two users", 1, &["user_id:a", "user_id:b"]).to_string().as_bytes(),
        touchpoint("good", 1, &["user_id:a"]).to_string().as_bytes(),
    ] {
        lines.extend_from_slice(line);
        lines.push(b'\n');
    }
    let (status, receipt) = fixture.post("/v1/touchpoints", &lines);
    assert_eq!((status, &receipt["accepted"], &receipt["quarantined"]), (200, &json!(1), &json!(6)), "{receipt}");
    let reasons: Vec<&str> =
        receipt["rejected"].as_array().expect("a list").iter().filter_map(|one| one["reason"].as_str()).collect();
    let wanted = [
        "invalid-json",
        "invalid-utf8",
        "wrong-type",
        "missing-field",
        "blocked-identifiers",
        "conflicting-identifiers",
    ];
    assert_eq!(reasons, wanted);
    assert_eq!(receipt["rejected"][5]["index"], json!(5));
    let records = topic(&fixture, "quarantine?from=start&follow=false");
    assert_eq!(records.len(), 6);
    let broken = records.iter().find(|record| record["value"]["event_id"] == json!("broken")).expect("it is there");
    assert_eq!(broken["value"]["original"], json!("{\"source\":\"s\",\"event_id\":\"broken\""));
}

#[test]
fn a_body_that_cannot_be_cut_is_refused_in_the_one_shape_of_errors() {
    let fixture = Fixture::new();
    let too_large = vec![b' '; 10 * 1024 * 1024 + 1];
    let cases: [(&[u8], u16, &str); 5] = [
        (b"", 400, "empty-body"),
        (b" \n ", 400, "empty-body"),
        (b"[{\"source\":", 400, "invalid-json"),
        (b"\x1f\x8bno gzip", 400, "invalid-gzip"),
        (&too_large, 413, "too-large"),
    ];
    for (body, status, reason) in cases {
        for path in ["/v1/touchpoints", "/v1/directives"] {
            let (found, problem) = fixture.post(path, body);
            assert_eq!((found, &problem["error"]), (status, &json!(reason)), "{problem}");
            assert!(problem["detail"].is_string());
        }
    }
    assert_eq!(fixture.get("/v1/nothing").1["error"], json!("no-such-route"));
    assert_eq!(fixture.get("/v1/touchpoints").1["error"], json!("method-not-allowed"));
}

#[test]
fn nobody_is_found_with_a_clear_word() {
    let fixture = Fixture::new();
    let id = "01234567-89ab-8def-8123-456789abcdef";
    let cases = [
        ("/v1/profiles/email/nobody%40example.com".to_owned(), 404, "no-such-identifier"),
        ("/v1/profiles/passport/1".to_owned(), 404, "unknown-namespace"),
        ("/v1/profiles/email/unknown".to_owned(), 404, "blocked-value"),
        ("/v1/profiles/email/%20".to_owned(), 400, "invalid-value"),
        ("/v1/profiles/email/%FF".to_owned(), 400, "invalid-path"),
        ("/v1/explain?a=email:a%40example.com".to_owned(), 400, "invalid-query"),
        ("/v1/explain?a=email&b=cookie:1".to_owned(), 400, "invalid-identifier"),
        ("/v1/explain?a=cookie:2&b=cookie:1".to_owned(), 404, "no-such-identifier"),
        ("/v1/persons/17".to_owned(), 400, "invalid-person-id"),
        (format!("/v1/persons/{id}"), 404, "no-such-person"),
        ("/v1/topics/nothing".to_owned(), 404, "no-such-topic"),
        ("/v1/topics/profiles?from=yesterday".to_owned(), 400, "invalid-offsets"),
        ("/v1/topics/profiles?follow=perhaps".to_owned(), 400, "invalid-query"),
    ];
    for (path, status, reason) in cases {
        let (found, problem) = fixture.get(&path);
        assert_eq!((found, &problem["error"]), (status, &json!(reason)), "{path}: {problem}");
    }
}

#[test]
fn one_person_is_explained_by_the_path_of_her_evidence() {
    let fixture = Fixture::new();
    fixture.send(&[
        touchpoint("e1", 1, &["cookie:c1", "email:a@example.com"]),
        touchpoint("e2", 2, &["cookie:c1", "email:a@example.com"]),
        touchpoint("e3", 3, &["email:a@example.com", "user_id:u1"]),
    ]);
    let (status, told) = fixture.get("/v1/explain?a=cookie:c1&b=user_id:u1");
    assert_eq!((status, &told["verdict"], &told["refused"]), (200, &json!("one-person"), &json!([])), "{told}");
    assert_eq!(told["persons"][0], told["persons"][1]);
    assert_eq!(told["path"][0], json!({ "namespace": "cookie", "value": "c1" }));
    let evidence = json!({
        "touchpoints": 2, "sources": ["test"],
        "first_seen": "2026-04-01T10:01:00Z", "last_seen": "2026-04-01T10:02:00Z",
        "first": { "source": "test", "event_id": "e1" }, "last": { "source": "test", "event_id": "e2" },
    });
    assert_eq!(told["path"][1], evidence);
    assert_eq!(told["path"][4], json!({ "namespace": "user_id", "value": "u1" }));
}

#[test]
fn who_is_kept_apart_is_told_by_which_rule() {
    let fixture = Fixture::new();
    fixture.send(&[
        touchpoint("e1", 1, &["user_id:u1", "cookie:tablet"]),
        touchpoint("e2", 2, &["user_id:u2", "cookie:tablet"]),
        touchpoint("e3", 3, &["user_id:u3", "email:c@example.com"]),
    ]);
    let (_, told) = fixture.get("/v1/explain?a=user_id:u1&b=user_id:u2");
    assert_eq!(told["verdict"], json!("kept-apart"), "{told}");
    let refused = json!([{ "link": ["user_id:u1", "cookie:tablet"], "reason": "limit user_id" }]);
    assert_eq!(told["refused"], refused);
    assert_eq!(told["path"].as_array().map(Vec::len), Some(5));
    let (_, told) = fixture.get("/v1/explain?a=user_id:u1&b=user_id:u3");
    assert_eq!((&told["verdict"], &told["path"]), (&json!("not-connected"), &json!([])));
    fixture.send(&[touchpoint("e4", 4, &["user_id:u3", "cookie:tablet"])]);
    let (_, told) = fixture.get("/v1/explain?a=user_id:u1&b=user_id:u3");
    assert_eq!(told["verdict"], json!("kept-apart"), "{told}");
    assert!(told["refused"].as_array().is_some_and(|all| all.iter().all(|one| one["reason"] == json!("shared"))));
    let (_, shared) = fixture.get("/v1/profiles/cookie/tablet");
    assert_eq!(shared["shared"], json!(true), "{shared}");
}

fn directive(word: &str, id: &str, at: &str, identifiers: &[&str]) -> Value {
    let touchpoint = touchpoint(id, 0, identifiers);
    json!({
        "directive": word, "directive_id": id, "source": "ops", "at": at, "identifiers": touchpoint["identifiers"],
    })
}

#[test]
fn directives_link_unlink_and_say_what_is_wrong_with_them() {
    let fixture = Fixture::new();
    fixture.send(&[touchpoint("e1", 1, &["user_id:u1"]), touchpoint("e2", 2, &["user_id:u2"])]);
    let verdict = || fixture.get("/v1/explain?a=user_id:u1&b=user_id:u2").1["verdict"].clone();
    let say = |word: &str, at: &str| {
        let directive = directive(word, word, at, &["user_id:u1", "user_id:u2"]);
        let (status, receipt) = fixture.post("/v1/directives", directive.to_string().as_bytes());
        assert_eq!((status, &receipt["accepted"]), (200, &json!(1)), "{receipt}");
        fixture.settle();
    };
    assert_eq!(verdict(), json!("not-connected"));
    say("link", "2026-04-02T00:00:00Z");
    assert_eq!(verdict(), json!("one-person"));
    say("unlink", "2026-04-03T00:00:00Z");
    assert_eq!(verdict(), json!("kept-apart"));
    let bad = [
        directive("link", "d1", "2026-04-02T00:00:00Z", &["user_id:u1", "user_id:u1"]),
        directive("block", "d2", "2026-04-02T00:00:00Z", &["passport:1"]),
        directive("dance", "d3", "2026-04-02T00:00:00Z", &["user_id:u1"]),
        json!({ "directive": "block" }),
    ];
    let (status, receipt) = fixture.post("/v1/directives", json!(bad).to_string().as_bytes());
    assert_eq!((status, &receipt["accepted"], &receipt["quarantined"]), (200, &json!(0), &json!(4)), "{receipt}");
}

#[test]
fn a_person_is_erased_with_all_her_identifiers_and_does_not_come_back() {
    let fixture = Fixture::new();
    let past = |touchpoint: Value| {
        let mut touchpoint = touchpoint;
        touchpoint["received_at"] = json!("2026-04-01T11:00:00Z");
        touchpoint
    };
    let hers = [
        past(touchpoint("e1", 1, &["cookie:c1", "email:a@example.com"])),
        past(touchpoint("e2", 2, &["email:a@example.com", "user_id:u1"])),
    ];
    fixture.send(&hers);
    let mut erase = directive("erase", "d1", "2026-04-02T00:00:00Z", &["user_id:u1"]);
    erase["scope"] = json!("person");
    let (status, receipt) = fixture.post("/v1/directives", erase.to_string().as_bytes());
    assert_eq!((status, &receipt["accepted"]), (200, &json!(1)), "{receipt}");
    fixture.settle();
    fixture.send(&[past(touchpoint("e3", 3, &["cookie:c1"]))]);
    for path in ["cookie/c1", "email/a%40example.com", "user_id/u1"] {
        assert_eq!(fixture.get(&format!("/v1/profiles/{path}")).0, 404, "{path}");
    }
    assert_eq!(fixture.settle()["identifiers"], json!(0));
    erase["scope"] = json!("everybody");
    let (_, receipt) = fixture.post("/v1/directives", erase.to_string().as_bytes());
    assert_eq!(receipt["quarantined"], json!(1));
}

#[test]
fn an_old_person_id_leads_to_the_one_that_took_it_over() {
    let fixture = Fixture::new();
    fixture.send(&[touchpoint("e1", 1, &["cookie:c1"])]);
    let old = fixture.get("/v1/profiles/cookie/c1").1["person_id"].as_str().expect("an id").to_owned();
    fixture.send(&[touchpoint("e2", 2, &["cookie:c1", "user_id:u1"])]);
    let new = fixture.get("/v1/profiles/cookie/c1").1["person_id"].as_str().expect("an id").to_owned();
    assert_ne!(old, new);
    // The client follows where the redirect leads.
    assert_eq!(fixture.get(&format!("/v1/persons/{old}")).1["person_id"], json!(new));
}

/// The records that a tail which ends gives.
fn topic(fixture: &Fixture, path: &str) -> Vec<Value> {
    let answer = fixture.agent.get(format!("{}/v1/topics/{path}", fixture.base)).call().expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    let lines = BufReader::new(answer.into_body().into_reader()).lines();
    lines.map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON")).collect()
}

#[test]
fn a_tail_tells_what_comes_while_it_listens() {
    let fixture = Fixture::new();
    fixture.send(&[touchpoint("e1", 1, &["user_id:u1"])]);
    let url = format!("{}/v1/topics/profile-changes?from=start", fixture.base);
    let answer = fixture.agent.get(url).call().expect("an answer");
    let mut lines = BufReader::new(answer.into_body().into_reader()).lines();
    let mut next = || -> Value {
        serde_json::from_str(&lines.next().expect("the stream goes on").expect("a line")).expect("JSON")
    };
    let first = next();
    assert_eq!(first["value"]["kind"], json!("created"), "{first}");
    assert_eq!(first["key"], first["value"]["person_id"]);
    fixture.send(&[touchpoint("e2", 2, &["user_id:u1"])]);
    assert_eq!(next()["value"]["kind"], json!("updated"));
    let (partition, offset) = (&first["partition"], first["offset"].as_u64().expect("a number") + 1);
    let later = topic(&fixture, &format!("profile-changes?from={partition}:{offset}&follow=false"));
    assert_eq!(later.iter().map(|record| &record["value"]["kind"]).collect::<Vec<_>>(), [&json!("updated")]);
    assert_eq!(topic(&fixture, "profile-changes?from=end&follow=false"), Vec::<Value>::new());
    assert!(!topic(&fixture, "touchpoints?from=start&follow=false").is_empty());
}

#[test]
fn every_topic_can_be_read_by_people() {
    let fixture = Fixture::new();
    let touchpoints: Vec<Value> = (0..40)
        .map(|number| {
            let (cookie, user) = (format!("cookie:c{}", number % 13), format!("user_id:u{}", number % 7));
            touchpoint(&format!("e{number}"), number, &[&cookie, &user])
        })
        .collect();
    fixture.send(&touchpoints);
    for name in ["touchpoints", "profile-changes", "profiles", "identity-map", "redirects", "mesh"] {
        for record in topic(&fixture, &format!("{name}?from=start&follow=false")) {
            assert!(record["value"]["unreadable"].is_null(), "{name}: {record}");
        }
    }
}

#[test]
fn metrics_count_what_came_in_and_what_went_out() {
    let fixture = Fixture::new();
    let twice = touchpoint("e1", 1, &["user_id:u1"]);
    fixture.send(&[twice.clone(), twice, touchpoint("e2", 2, &["cookie:c1"])]);
    fixture.post("/v1/touchpoints", b"nonsense");
    let (_, text) = fixture.get("/metrics");
    let text = text.as_str().expect("text");
    for line in [
        "musubi_touchpoints_total{outcome=\"accepted\"} 3",
        "musubi_touchpoints_total{outcome=\"taken\"} 2",
        "musubi_touchpoints_total{outcome=\"duplicate\"} 1",
        "musubi_outputs_total{kind=\"created\"} 2",
        "musubi_persons_total{event=\"born\"} 2",
        "musubi_quarantined_total{reason=\"invalid-json\"} 1",
        "musubi_lag_records{topic=\"touchpoints\"} 0",
        "musubi_append_seconds_count 2",
    ] {
        assert!(text.lines().any(|have| have == line), "no `{line}` in\n{text}");
    }
    let (status, health) = fixture.get("/healthz");
    assert_eq!((status, &health["status"], &health["partitions"]), (200, &json!("ok"), &json!(3)));
}

#[test]
fn a_door_that_is_far_behind_asks_to_come_again() {
    let fixture = Fixture::with(Options { max_lag: 0, ..Options::default() });
    let body = touchpoint("e1", 1, &["user_id:u1"]).to_string();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let url = format!("{}/v1/touchpoints", fixture.base);
        let many = vec![body.as_str(); 20_000].join("\n");
        let answer = fixture.agent.post(url).send(many.as_bytes()).expect("an answer");
        if answer.status().as_u16() == 429 {
            assert_eq!(answer.headers()["retry-after"], "1");
            assert_eq!(read(answer).1["error"], json!("too-much-waiting"));
            return;
        }
        assert!(Instant::now() < deadline, "the stitcher is never behind");
    }
}

#[test]
fn what_was_taken_in_is_there_after_a_restart_and_in_the_directory() {
    let fixture = Fixture::new();
    fixture.send(&[touchpoint("e1", 1, &["cookie:c1", "user_id:u1"])]);
    let before = fixture.settle();
    // Sent just before the end, it is stitched before the end.
    let body = touchpoint("e2", 2, &["cookie:c2", "user_id:u1"]).to_string();
    assert_eq!(fixture.post("/v1/touchpoints", body.as_bytes()).0, 200);
    let mut fixture = fixture.again();
    assert_eq!(fixture.get("/v1/profiles/cookie/c2").1["version"], json!(2));
    let after = fixture.settle();
    assert_ne!(before["fingerprint"], after["fingerprint"]);
    assert!(Disk::inspect(fixture.directory.path()).is_err(), "one process at a time");
    fixture.stop();
    let disk = Disk::inspect(fixture.directory.path()).expect("nobody has it open");
    let census = Census::take(&disk).expect("readable");
    assert_eq!((census.settled, json!(census.fingerprint().to_string())), (true, after["fingerprint"].clone()));
}

#[test]
fn a_directory_is_opened_by_its_own_rules_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = |policy: Arc<Policy>, secret: &[u8], partitions| {
        let key = musubi_core::identifier::DeploymentKey::derive(secret);
        Deployment::open(directory.path(), policy, key, partitions, Options::default())
            .map(|opened| opened.disk.partitions)
    };
    assert!(matches!(Disk::inspect(directory.path()), Err(Error::NothingThere(_))));
    assert!(matches!(open(policy(), b"key", Some(0)), Err(Error::Partitions { .. })));
    assert_eq!(open(policy(), b"key", Some(2)).expect("fresh"), 2);
    assert_eq!(open(policy(), b"key", None).expect("as it was"), 2);
    let found = |error: Result<u32, Error>| match error {
        Err(Error::Mismatch { what, wanted, found, .. }) => (what, wanted != found),
        other => panic!("wanted a mismatch, found {other:?}"),
    };
    assert_eq!(found(open(policy(), b"key", Some(3))), ("a number of partitions of", true));
    assert_eq!(found(open(policy(), b"another", None)), ("the deployment key of digest", true));
    assert_eq!(found(open(Arc::new(Policy::recommended()), b"key", None)), ("the policy of version", true));
}
