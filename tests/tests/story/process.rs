//! The story through the real process: `musubi up` with its doors, and `musubi ingest` for what comes in files.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use musubi_tests::processes::binary;
use serde_json::{Value, json};
use ureq::Agent;

use crate::channels::{CONFIGURATION, DELIVERIES, Delivery, TILL};
use crate::orders;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A `musubi up` at work. Dropped, it is killed.
struct Up {
    process: Child,
    url: String,
    folder: tempfile::TempDir,
    agent: Agent,
}

impl Drop for Up {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Up {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("musubi.toml"), CONFIGURATION)?;
        let mut process = Command::new(binary()?)
            .args(["up", "--listen", "127.0.0.1:0", "--partitions", "3", "--data", "data"])
            .current_dir(folder.path())
            .env_remove("MUSUBI_KEY")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("stdout is piped")?).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).with_context(|| format!("it said `{line}`"))?;
        let url = format!("http://{}", said["listening"].as_str().context("an address")?);
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        Ok(Self { process, url, folder, agent: config.build().new_agent() })
    }

    fn post(&self, path: &str, body: &Value) -> Result<()> {
        let mut answer = self.agent.post(format!("{}{path}", self.url)).send(body.to_string().as_bytes())?;
        let said: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        ensure!(answer.status() == 200 && said["quarantined"] == json!(0), "{path} answered {said}");
        Ok(())
    }

    fn get(&self, path: &str) -> Result<Value> {
        let mut answer = self.agent.get(format!("{}{path}", self.url)).call()?;
        Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
    }

    /// A command beside it, with what it prints.
    fn musubi(&self, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let mut command = Command::new(binary()?);
        command.args(arguments).args(["--url", &self.url]).current_dir(self.folder.path()).env_remove("MUSUBI_KEY");
        let output = command.output()?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.code(), String::from_utf8(output.stdout)? + &errors))
    }

    fn deliver(&self, delivery: &Delivery) -> Result<()> {
        let Some(path) = delivery.path else { return self.file(delivery) };
        let url = format!("{}/in/{}{path}", self.url, delivery.source);
        let post = delivery.headers.iter().fold(self.agent.post(url), |post, (name, value)| post.header(*name, *value));
        let mut answer = post.content_type("application/json").send(delivery.body)?;
        let body = answer.body_mut().read_to_string()?;
        ensure!(answer.status() == 200, "{} answered {}: {body}", delivery.source, answer.status());
        Ok(())
    }

    /// Drops a file and has it taken in, twice.
    fn file(&self, delivery: &Delivery) -> Result<()> {
        let name = if delivery.body == TILL { "till.csv" } else { "contacts.ndjson" };
        let drop = self.folder.path().join(delivery.source);
        fs::create_dir(&drop)?;
        fs::write(drop.join(name), delivery.body)?;
        fs::write(drop.join(format!("{name}.done")), "")?;
        let (code, said) =
            self.musubi(&["ingest", "--quiet", "--source", delivery.source, "--watch", delivery.source, "--once"])?;
        ensure!(code == Some(0) && taken(&drop, name), "{said}");
        let path = format!("{}/{name}", delivery.source);
        let (code, said) = self.musubi(&["ingest", "--quiet", "--source", delivery.source, "--again", &path])?;
        ensure!(code == Some(0), "{said}");
        Ok(())
    }

    /// Waits until everything is stitched.
    fn settle(&self) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let census = self.get("/v1/fingerprint")?;
            if census["settled"] == Value::Bool(true) {
                return Ok(census);
            }
            ensure!(Instant::now() < deadline, "it never settles: {census}");
            std::thread::yield_now();
        }
    }
}

fn taken(drop: &Path, name: &str) -> bool {
    drop.join(format!("{name}.taken")).exists() && !drop.join(format!("{name}.done")).exists()
}

#[test]
fn the_real_process_comes_to_the_same_in_every_order() -> Result<()> {
    let mut told = Vec::new();
    for order in orders(4) {
        let up = Up::start()?;
        order.iter().try_for_each(|place| up.deliver(&DELIVERIES[*place]))?;
        let census = up.settle()?;
        let profile = up.get("/v1/profiles/user_id/u-100")?;
        ensure!(profile["identifiers"].as_array().is_some_and(|all| all.len() > 20), "{profile}");
        told.push((census["fingerprint"].clone(), census["persons"].clone(), profile["person_id"].clone()));
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:#?}");
    Ok(())
}

#[test]
fn what_a_file_lost_is_listed_with_its_row_shown_and_not_taken_again() -> Result<()> {
    let up = Up::start()?;
    let till = DELIVERIES.iter().find(|delivery| delivery.source == "till").context("the till delivers")?;
    up.deliver(till)?;
    let (code, listed) = up.musubi(&["quarantine", "list", "--reason", "lost-digits"])?;
    // Taken in twice, it was set aside twice: the quarantine is a log.
    ensure!(code == Some(0) && listed.lines().count() == 2, "{listed}");
    ensure!(listed.contains("(till.csv, row 3)"), "{listed}");
    let id = listed.split_whitespace().next().context("an id")?;
    let (code, shown) = up.musubi(&["quarantine", "show", id])?;
    ensure!(code == Some(0) && shown.contains("4.90123E+12"), "{shown}");
    let (code, said) = up.musubi(&["quarantine", "retry", id])?;
    ensure!(code == Some(1) && said.contains("mend the file"), "{said}");
    let (code, said) = up.musubi(&["quarantine", "list", "--source", "nobody"])?;
    ensure!(code == Some(0) && said.is_empty(), "{said}");
    Ok(())
}

#[test]
fn what_was_set_aside_is_taken_again_once_however_often() -> Result<()> {
    let up = Up::start()?;
    let line = r#"{"source":"x","event_id":"e-1","channel":"web","type":"page_viewed","occurred_at":"2026-04-01T10:00:00Z","identifiers":[{"namespace":"cookie","value":"c-1"}]}"#;
    let aside = json!({ "source": "x", "reason": "too-early", "original": line });
    up.post("/v1/quarantine", &aside)?;
    for _ in 0..2 {
        let (code, said) = up.musubi(&["quarantine", "retry", "--source", "x"])?;
        ensure!(code == Some(0) && said.contains("taken as a touchpoint: 1 accepted"), "{said}");
    }
    up.settle()?;
    let profile = up.get("/v1/profiles/cookie/c-1")?;
    let (_, left) = up.musubi(&["quarantine", "list", "--format", "json"])?;
    ensure!(left.lines().count() == 1, "no copy was set aside: {left}");
    ensure!(profile["recent_touchpoints"].as_array().is_none_or(|all| all.len() == 1), "{profile}");
    Ok(())
}

#[test]
fn a_payload_that_was_set_aside_whole_is_taken_again_with_the_headers_it_came_with() -> Result<()> {
    let up = Up::start()?;
    let order = r#"{"id":6001,"email":"retry@mail-box.jp","created_at":"2026-04-02T20:00:00+09:00","currency":"JPY","total_price":"24000"}"#;
    // Cut off on its way: it is no JSON, and set aside whole. An operator mends the bytes by what the shop has.
    let cut = &order[..order.len() - 1];
    let url = format!("{}/in/shop", up.url);
    let post = up.agent.post(url).header("x-shopify-topic", "orders/create").header("x-shopify-event-id", "ev-9");
    ensure!(post.send(cut)?.status() == 200, "it is taken, and set aside");
    let (_, listed) = up.musubi(&["quarantine", "list", "--reason", "invalid-json", "--format", "json"])?;
    let record: Value = serde_json::from_str(listed.lines().next().context("one was set aside")?)?;
    let headers = json!({ "x-shopify-topic": "orders/create", "x-shopify-event-id": "ev-9" });
    ensure!(record["value"]["envelope"]["headers"] == headers, "{record}");
    let mended = json!({ "source": "shop", "reason": "invalid-json", "original": order, "envelope": record["value"]["envelope"] });
    up.post("/v1/quarantine", &mended)?;
    for _ in 0..2 {
        let (code, said) = up.musubi(&["quarantine", "retry", "--config", "musubi.toml", "--source", "shop"])?;
        // The one that was cut off still cannot be read.
        ensure!(code == Some(1) && said.contains("taken as a touchpoint: 1 accepted"), "{said}");
    }
    up.settle()?;
    let profile = up.get("/v1/profiles/email/retry@mail-box.jp")?;
    let recent = profile["recent"].as_array().or_else(|| profile["recent_touchpoints"].as_array());
    ensure!(recent.is_some_and(|all| all.len() == 1 && all[0]["type"] == json!("order_completed")), "{profile}");
    Ok(())
}

/// The SHA-256 of hana@mail-box.jp.
const HASH: &str = "417f75b01ad43146013acca09a265d04328300750158fba18b22bfe60130da02";

#[test]
fn an_erasure_of_an_address_reaches_what_is_known_by_its_hash_alone() -> Result<()> {
    let up = Up::start()?;
    let touchpoint = |event: &str, namespace: &str, value: &str| {
        let identifiers = [(namespace, value), ("cookie", event)];
        let identifiers = identifiers.map(|(namespace, value)| json!({ "namespace": namespace, "value": value }));
        json!({ "source": "x", "event_id": event, "channel": "web", "type": "page_viewed", "identifiers": identifiers,
                "occurred_at": "2026-04-01T10:00:00Z", "received_at": "2026-04-01T10:00:00Z" })
    };
    let both = json!([touchpoint("plain", "email", "Hana@mail-box.jp"), touchpoint("hash", "email_sha256", HASH)]);
    let identifier = json!({ "namespace": "email", "value": "hana@mail-box.jp" });
    let erase = json!({ "directive": "erase", "source": "ops", "directive_id": "d", "at": "2026-05-01T00:00:00Z", "identifiers": [identifier] });
    up.post("/v1/touchpoints", &both)?;
    up.settle()?;
    let (one, other) = (up.get("/v1/profiles/cookie/plain")?, up.get("/v1/profiles/cookie/hash")?);
    ensure!(one["person_id"].is_string() && one["person_id"] == other["person_id"], "{one} {other}");
    up.post("/v1/directives", &erase)?;
    up.settle()?;
    for path in ["email/hana@mail-box.jp", &format!("email_sha256/{HASH}"), "cookie/hash", "cookie/plain"] {
        let left = up.get(&format!("/v1/profiles/{path}"))?;
        ensure!(left["person_id"].is_null(), "{path}: {left}");
    }
    Ok(())
}
