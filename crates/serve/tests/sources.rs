//! The doors of sources over real HTTP: what clients hear, what is kept, and what is not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use musubi_channels::{Kept, RateLimit, Scheme, Settings};
use musubi_core::policy::Policy;
use musubi_serve::{Deployment, Key, Options, Running, Sources, open_settings, up};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;
use ureq::http::Response;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A deployment with sources, and a client of it.
struct Fixture {
    running: Running,
    agent: Agent,
    base: String,
    directory: TempDir,
}

impl Fixture {
    /// `settings` is given a directory to keep secrets in.
    fn new(settings: impl FnOnce(&TempDir) -> Vec<Settings>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let settings = settings(&directory);
        Self::on(directory, settings, Options::default())
    }

    fn on(directory: TempDir, settings: Vec<Settings>, options: Options) -> Self {
        let sources = Sources::open(settings).expect("sources");
        let (policy, key) = (Arc::new(Policy::recommended()), Key::development().key);
        let data = directory.path().join("data");
        let deployment = Deployment::open(&data, policy, key, Some(2), options).expect("it opens");
        let running = up(deployment, sources, "127.0.0.1:0".parse().expect("an address")).expect("the doors open");
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let base = format!("http://{}", running.address());
        Self { running, agent: config.build().new_agent(), base, directory }
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response<ureq::Body> {
        let mut request = self.agent.post(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send(body).expect("the door answers")
    }

    fn get(&self, path: &str) -> Value {
        let mut answer = self.agent.get(format!("{}{path}", self.base)).call().expect("the door answers");
        let text = answer.body_mut().read_to_string().expect("a body");
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    /// The person with an identifier, once everything is stitched.
    fn person(&self, namespace: &str, value: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        while self.get("/v1/fingerprint")["settled"] != json!(true) {
            assert!(Instant::now() < deadline, "it never settles");
            std::thread::yield_now();
        }
        self.get(&format!("/v1/profiles/{namespace}/{value}"))["person_id"].clone()
    }

    fn quarantine(&self) -> Vec<Value> {
        let Value::String(lines) = self.get("/v1/topics/quarantine?from=start&follow=false") else {
            return vec![self.get("/v1/topics/quarantine?from=start&follow=false")];
        };
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn counts(&self, line: &str) {
        let text = self.get("/metrics");
        let text = text.as_str().expect("text");
        assert!(text.lines().any(|have| have == line), "no `{line}` in\n{text}");
    }
}

fn status(answer: &Response<ureq::Body>) -> u16 {
    answer.status().as_u16()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(bytes).expect("memory");
    writer.finish().expect("memory")
}

/// A source of a preset whose key is `right`.
fn keyed(preset: &str, directory: &TempDir) -> Settings {
    let file = directory.path().join("key");
    std::fs::write(&file, "right").expect("written");
    Settings { open: false, key: Some(Kept::File(file)), ..open_settings(preset) }
}

const SIGNED_IN: &str = r#"{"batch":[
    {"type":"page","messageId":"m1","anonymousId":"a1","timestamp":"2026-04-01T03:00:00Z"},
    {"type":"identify","messageId":"m2","anonymousId":"a1","userId":"u1","timestamp":"2026-04-01T03:00:01Z"}]}"#;

#[test]
fn what_a_client_sends_becomes_a_person_however_it_is_packed_and_labelled() {
    let fixture = Fixture::new(|_| vec![Settings { path: Some("/".into()), ..open_settings("segment") }]);
    let wrong = [("content-type", "application/x-www-form-urlencoded")];
    let mut answer = fixture.post("/v1/batch", &wrong, &gzip(SIGNED_IN.as_bytes()));
    assert_eq!(
        (status(&answer), answer.body_mut().read_to_string().expect("a body").as_str()),
        (200, "{\"success\":true}")
    );
    assert_eq!(status(&fixture.post("/v1/batch", &[], SIGNED_IN.as_bytes())), 200, "sent again, it counts once");
    let person = fixture.person("user_id", "u1");
    assert!(person.is_string(), "{person}");
    assert_eq!(fixture.person("anonymous_id", "a1"), person);
    fixture.counts("musubi_source_touchpoints_total{source=\"segment\"} 4");
    fixture.counts("musubi_touchpoints_total{outcome=\"duplicate\"} 2");
    let config = fixture.get("/sourceConfig/?writeKey=w1");
    assert_eq!(config["source"]["enabled"], json!(true));
    assert_eq!(fixture.get("/healthz")["status"], json!("ok"), "what is ours comes first");
}

#[test]
fn what_cannot_be_taken_is_kept_with_its_source_and_reason_and_as_it_came() {
    let fixture = Fixture::new(|_| vec![open_settings("webhook"), open_settings("shopify")]);
    let broken = b"{\"type\":\"t\",";
    assert_eq!(status(&fixture.post("/in/webhook", &[], broken)), 200);
    let nobody = br#"{"type":"t","event_id":"e1","identifiers":[]}"#;
    let mut answer = fixture.post("/in/webhook", &[], nobody);
    let receipt: Value = serde_json::from_str(&answer.body_mut().read_to_string().expect("a body")).expect("JSON");
    assert_eq!((&receipt["accepted"], &receipt["set_aside"]), (&json!(0), &json!(1)), "{receipt}");
    let kept = fixture.quarantine();
    let of = |reason: &str| {
        let found = kept.iter().find(|record| record["value"]["reason"] == json!(reason));
        found.unwrap_or_else(|| panic!("no `{reason}` in {kept:?}"))["value"].clone()
    };
    let invalid = of("invalid-json");
    assert_eq!((&invalid["source"], &invalid["original"]), (&json!("webhook"), &json!("{\"type\":\"t\",")));
    let aside = receipt["rejected"][0]["reason"].as_str().expect("a reason");
    assert_eq!(of(aside)["event_id"], json!("e1"));
    fixture.counts("musubi_source_set_aside_total{source=\"webhook\",reason=\"invalid-json\"} 1");
}

#[test]
fn browsers_may_send_what_they_ask_for_and_read_every_answer() {
    let fixture = Fixture::new(|directory| {
        vec![open_settings("segment"), Settings { max_body: 10, ..keyed("webhook", directory) }]
    });
    let asked = fixture
        .agent
        .options(format!("{}/in/segment/v1/t", fixture.base))
        .header("origin", "https://shop.example")
        .header("access-control-request-headers", "x-retry-count, rsa-retry-reason")
        .call()
        .expect("an answer");
    let header = |name: &str| asked.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(status(&asked), 200);
    assert_eq!(header("access-control-allow-origin"), "https://shop.example");
    assert_eq!(header("access-control-allow-headers"), "x-retry-count, rsa-retry-reason");
    let from_page = [("origin", "https://shop.example")];
    for (path, body, told) in
        [("/in/segment/v1/batch", SIGNED_IN, 200), ("/in/webhook", "{}", 401), ("/in/webhook", "[1,2,3,4,5,6,7]", 413)]
    {
        let answer = fixture.post(path, &from_page, body.as_bytes());
        assert_eq!(status(&answer), told, "{path}");
        assert_eq!(answer.headers()["access-control-allow-origin"], "https://shop.example", "{path}");
    }
    let head = fixture.agent.head(format!("{}/in/segment", fixture.base)).call().expect("an answer");
    assert_eq!(status(&head), 200);
    assert_eq!(status(&fixture.post("/in/nobody", &from_page, b"{}")), 404);
}

#[test]
fn a_source_above_its_rate_is_told_when_to_come_again_and_strangers_do_not_use_it_up() {
    let fixture = Fixture::new(|directory| {
        let rate_limit = Some(RateLimit { per_second: 1, burst: 2 });
        vec![Settings { rate_limit, ..keyed("webhook", directory) }]
    });
    for _ in 0..5 {
        assert_eq!(status(&fixture.post("/in/webhook", &[("x-api-key", "wrong")], b"{}")), 401);
    }
    let right = [("x-api-key", "right")];
    let answers: Vec<_> = (0..20).map(|_| fixture.post("/in/webhook", &right, b"[]")).collect();
    assert_eq!(answers[..2].iter().map(status).collect::<Vec<_>>(), [200, 200]);
    let refused = answers.iter().find(|answer| status(answer) == 429).expect("twenty at once are too many");
    assert_eq!(refused.headers()["retry-after"], "1");
    let fixture = Fixture::new(|_| {
        let rate_limit = Some(RateLimit { per_second: 1, burst: 1 });
        vec![Settings { rate_limit, ..open_settings("posthog") }]
    });
    let answers: Vec<_> = (0..20).map(|_| fixture.post("/in/posthog/e/", &[], b"[]")).collect();
    assert!(answers.iter().all(|answer| [200, 503].contains(&status(answer))), "its browser SDK drops at 429");
    assert!(answers.iter().any(|answer| status(answer) == 503 && answer.headers()["retry-after"] == "1"));
}

#[test]
fn strangers_fill_the_quarantine_only_so_far_and_are_never_told_that_it_is_kept_where_it_is_not() {
    let fixture = Fixture::new(|directory| vec![keyed("segment", directory)]);
    // Answered 200 for SDKs that drop events at 401, so each is kept whole: four of 4 MiB fit.
    let large = format!("{{\"batch\":[],\"pad\":\"{}\"}}", "x".repeat((4 << 20) - 100));
    let told: Vec<u16> = (0..6).map(|_| status(&fixture.post("/in/segment/v1/batch", &[], large.as_bytes()))).collect();
    assert_eq!(told, [200, 200, 200, 200, 429, 429]);
    let right = fixture.post("/in/segment/v1/batch", &[("authorization", "Bearer right")], SIGNED_IN.as_bytes());
    assert_eq!(status(&right), 200, "who has the key is not in their way");
    fixture.counts("musubi_source_set_aside_total{source=\"segment\",reason=\"bad-key\"} 4");
}

#[test]
fn what_is_too_large_is_refused_and_its_beginning_kept() {
    let fixture = Fixture::new(|_| vec![Settings { max_body: 100_000, ..open_settings("segment") }]);
    let large = [b' '; 100_001];
    let mut whole = b"{\"batch\":".to_vec();
    whole.extend_from_slice(&large);
    assert_eq!(status(&fixture.post("/in/segment/v1/batch", &[], &whole)), 413);
    assert_eq!(status(&fixture.post("/in/segment/v1/batch", &[], &gzip(&whole))), 413, "counted unpacked");
    let kept = fixture.quarantine();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|record| record["value"]["reason"] == json!("too-large")), "{kept:?}");
    assert!(
        kept.iter()
            .any(|record| record["value"]["original"].as_str().is_some_and(|text| text.starts_with("{\"batch\":")))
    );
}

#[test]
fn a_signature_is_asked_for_and_a_handshake_answered() {
    let fixture = Fixture::new(|directory| {
        let file = directory.path().join("secret");
        std::fs::write(&file, "line-secret").expect("written");
        vec![Settings { open: false, secret: vec![Kept::File(file)], ..open_settings("line") }]
    });
    let check = br#"{"events":[]}"#;
    assert_eq!(status(&fixture.post("/in/line", &[], check)), 401);
    // Computed with another implementation: HMAC-SHA256 of the body under `line-secret`.
    let signed = [("x-line-signature", "PPa4QqevUGV8UO2apjR9ZWG24X4aYwLsG3KzECKE81c=")];
    let mut answer = fixture.post("/in/line", &signed, check);
    assert_eq!((status(&answer), answer.body_mut().read_to_string().expect("a body").as_str()), (200, "{}"));
    let kept = fixture.quarantine();
    assert_eq!((kept.len(), &kept[0]["value"]["reason"]), (1, &json!("missing-signature")));
    assert!(fixture.directory.path().join("secret").exists());
}

#[test]
fn a_body_without_a_length_is_read_to_its_end_and_one_that_says_that_it_is_packed_is_unpacked() {
    let fixture = Fixture::new(|_| vec![open_settings("segment")]);
    // Read from something whose end nobody knows, it goes in chunks.
    let mut unknown = SIGNED_IN.as_bytes().chain(b"\n".as_slice());
    let url = format!("{}/in/segment/v1/batch", fixture.base);
    let answer = fixture.agent.post(url).send(ureq::SendBody::from_reader(&mut unknown)).expect("the door answers");
    assert_eq!(status(&answer), 200);
    let labelled = [("content-encoding", "gzip"), ("content-type", "text/plain")];
    assert_eq!(status(&fixture.post("/in/segment/v1/batch", &labelled, &gzip(SIGNED_IN.as_bytes()))), 200);
    assert!(fixture.person("user_id", "u1").is_string());
    fixture.counts("musubi_source_touchpoints_total{source=\"segment\"} 4");
    fixture.counts("musubi_touchpoints_total{outcome=\"taken\"} 2");
}

#[test]
fn a_copy_that_was_sent_later_is_a_copy_and_no_conflict() {
    let fixture = Fixture::new(|_| vec![open_settings("segment"), open_settings("posthog")]);
    // Some SDKs say when they sent, anew each time they try, and some say it once: neither moves the event.
    for sent_at in ["2026-04-01T03:00:02Z", "2026-04-01T03:09:00Z"] {
        let segment = SIGNED_IN.replacen('{', &format!("{{\"sentAt\":\"{sent_at}\","), 1);
        assert_eq!(status(&fixture.post("/in/segment/v1/batch", &[], segment.as_bytes())), 200);
        let posthog = format!(
            r#"{{"batch":[{{"event":"x","distinct_id":"u2","uuid":"e1","timestamp":"2026-04-01T03:00:00Z"}}],"sent_at":"{sent_at}"}}"#
        );
        assert_eq!(status(&fixture.post("/in/posthog/batch/", &[], posthog.as_bytes())), 200);
    }
    assert!(fixture.person("user_id", "u2").is_string());
    fixture.counts("musubi_touchpoints_total{outcome=\"taken\"} 3");
    fixture.counts("musubi_touchpoints_total{outcome=\"duplicate\"} 3");
    assert_eq!(fixture.quarantine(), Vec::<Value>::new());
}

#[test]
fn a_source_with_too_much_waiting_is_told_to_come_again_in_its_clients_own_word() {
    let directory = tempfile::tempdir().expect("a directory");
    let settings = vec![open_settings("segment"), open_settings("posthog")];
    let fixture = Fixture::on(directory, settings, Options { max_lag: 0, ..Options::default() });
    let events: Vec<Value> = (0..2_000)
        .map(|nr| json!({ "type": "track", "event": "x", "messageId": format!("m{nr}"), "userId": format!("u{nr}") }))
        .collect();
    let body = json!({ "batch": events }).to_string();
    let deadline = Instant::now() + PATIENCE;
    let mut heard = [None, None];
    while heard.contains(&None) {
        assert!(Instant::now() < deadline, "the stitcher is never behind: {heard:?}");
        for (path, heard) in ["/in/segment/v1/batch", "/in/posthog/batch/"].into_iter().zip(&mut heard) {
            let answer = fixture.post(path, &[], body.as_bytes());
            if status(&answer) != 200 {
                assert_eq!(answer.headers()["retry-after"], "1");
                *heard = Some(status(&answer));
            }
        }
    }
    assert_eq!(heard, [Some(429), Some(503)]);
}

#[test]
fn what_is_on_its_way_when_the_doors_close_is_answered_and_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let segment = || vec![open_settings("segment")];
    let fixture = Fixture::on(directory, segment(), Options::default());
    let mut client = TcpStream::connect(fixture.running.address()).expect("a connection");
    client.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let head = format!(
        "POST /in/segment/v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        SIGNED_IN.len()
    );
    client.write_all(head.as_bytes()).expect("sent");
    let mut said = [0; 25];
    client.read_exact(&mut said).expect("the door wants the body");
    assert!(said.starts_with(b"HTTP/1.1 100"), "{said:?}");
    let stopper = fixture.running.stopper();
    let (left, right) = SIGNED_IN.split_at(40);
    client.write_all(left.as_bytes()).expect("sent");
    stopper.stop();
    client.write_all(right.as_bytes()).expect("sent");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let Fixture { running, directory, .. } = fixture;
    running.stop().expect("it ends well");
    let fixture = Fixture::on(directory, segment(), Options::default());
    assert!(fixture.person("user_id", "u1").is_string(), "a 200 is not lost");
}

#[test]
fn a_payload_that_was_set_aside_keeps_what_its_mapping_reads_and_no_secret() {
    let fixture = Fixture::new(|directory| vec![keyed("shopify", directory).unsigned()]);
    let headers = [
        ("X-Shopify-Topic", "orders/create"),
        ("X-Shopify-Hmac-SHA256", "c2VjcmV0"),
        ("Authorization", "Bearer hush"),
        ("Cookie", "session=hush"),
    ];
    assert_eq!(status(&fixture.post("/in/shopify?key=hush", &headers, b"{\"id\":1}")), 401);
    let kept = fixture.quarantine();
    let wanted =
        json!({ "headers": { "x-shopify-topic": "orders/create" }, "query": {}, "path": "", "method": "POST" });
    assert_eq!((kept.len(), &kept[0]["value"]["envelope"]), (1, &wanted), "{kept:?}");
    assert!(!kept[0].to_string().contains("hush"), "{kept:?}");
}

#[test]
fn a_call_whose_record_comes_again_with_more_counts_once_and_names_more() {
    let settings: Settings = serde_json::from_value(json!({
        "name": "calls", "preset": "amazon-connect", "open": true,
        "fields": { "identifiers": { "Attributes.member_no": "user_id" }, "traits": { "Attributes.mood": "mood" } },
    }))
    .expect("settings");
    let fixture = Fixture::new(|_| vec![settings]);
    let record = |updated: &str, attributes: Value| {
        let record = json!({ "ContactId": "c-1", "InitialContactId": "c-1", "Channel": "VOICE", "InitiationMethod": "INBOUND",
            "CustomerEndpoint": { "Type": "TELEPHONE_NUMBER", "Address": "+819012345678" }, "Attributes": attributes,
            "InitiationTimestamp": "2026-04-01T02:00:00Z", "LastUpdateTimestamp": updated });
        assert_eq!(status(&fixture.post("/in/calls", &[], record.to_string().as_bytes())), 200);
    };
    record("2026-04-01T02:10:00Z", json!({}));
    record("2026-04-01T04:00:00Z", json!({ "member_no": "u1", "mood": "glad" }));
    // The one before it, delivered late and once more.
    record("2026-04-01T03:00:00Z", json!({ "member_no": "u1", "mood": "cross" }));
    record("2026-04-01T03:00:00Z", json!({ "member_no": "u1", "mood": "cross" }));
    let person = fixture.person("user_id", "u1");
    assert!(person.is_string(), "{person}");
    assert_eq!(fixture.person("phone", "+819012345678"), person);
    let profile = fixture.get("/v1/profiles/user_id/u1");
    assert_eq!(profile["traits"]["mood"], json!("glad"), "{profile}");
    assert_eq!(profile["computed"]["contacts"]["overall"], json!(1), "{profile}");
    fixture.counts("musubi_touchpoints_total{outcome=\"taken\"} 3");
    fixture.counts("musubi_touchpoints_total{outcome=\"duplicate\"} 4");
    assert_eq!(fixture.quarantine(), Vec::<Value>::new());
}

trait Unsigned {
    fn unsigned(self) -> Self;
}

impl Unsigned for Settings {
    /// Without the signature of the preset, so that the key alone is asked for.
    fn unsigned(self) -> Self {
        Self { signature: Some(Scheme::None), ..self }
    }
}
