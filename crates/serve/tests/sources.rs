//! The doors of sources over real HTTP: what clients hear, what is kept, and what is not.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use musubi_channels::{Kept, RateLimit, Settings};
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
    _running: Running,
    agent: Agent,
    base: String,
    directory: TempDir,
}

impl Fixture {
    /// `settings` is given a directory to keep secrets in.
    fn new(settings: impl FnOnce(&TempDir) -> Vec<Settings>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let sources = Sources::open(settings(&directory)).expect("sources");
        let (policy, key) = (Arc::new(Policy::recommended()), Key::development().key);
        let data = directory.path().join("data");
        let deployment = Deployment::open(&data, policy, key, Some(2), Options::default()).expect("it opens");
        let running = up(deployment, sources, "127.0.0.1:0".parse().expect("an address")).expect("the doors open");
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let base = format!("http://{}", running.address());
        Self { _running: running, agent: config.build().new_agent(), base, directory }
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
