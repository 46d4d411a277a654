//! A file whose reader is killed in its midst, again and again: nothing is lost, and nothing is doubled.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use musubi_tests::processes::binary;
use serde_json::{Value, json};
use ureq::Agent;

use crate::{ingest, told};

/// How many receipts the file has, of how many members: enough that a process is killed in its midst.
const RECEIPTS: u64 = 30_000;
const MEMBERS: u64 = 1_000;
/// How often the reader is killed. It has to be in the midst of the file each time.
const KILLS: u64 = 4;
/// How many rows at least are durable before each kill.
const ROWS_EACH: u64 = 3_000;
/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

const CONFIGURATION: &str = r#"
[[source]]
name = "till"
preset = "csv"
open = true
[source.fields]
type = "order_completed"
event_id = ["receipt"]
occurred_at = ["day", "time"]
amount = "amount"
currency = "JPY"
identifiers = { member = "user_id" }
"#;

/// The till's file: every member buys thirty times, and some rows cannot be read.
fn till() -> Result<String> {
    let mut file = String::from("receipt,day,time,amount,member\n");
    for nr in 0..RECEIPTS {
        let (member, hour, minute) = (nr % MEMBERS, nr % 24, nr % 60);
        writeln!(file, "r-{nr},20260401,{hour:02}:{minute:02},{},m-{member}", 100 + nr % 900)?;
    }
    file.push_str("r-x,20260401,10:00,1,m-1,too much\n");
    Ok(file)
}

/// A folder with a deployment's directory, the configuration, and the file.
fn folder() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("musubi.toml"), CONFIGURATION)?;
    fs::write(folder.path().join("till.csv"), till()?)?;
    Ok(folder)
}

/// How many rows are durable, as the file beside the file says.
fn rows(folder: &Path) -> Result<u64> {
    match fs::read(folder.join(".till.csv.musubi")) {
        Ok(bytes) => serde_json::from_slice::<Value>(&bytes)?["rows"].as_u64().context("a count"),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(why) => Err(why.into()),
    }
}

/// Starts the reader, kills it when enough more is durable, and says how much is.
fn killed(folder: &Path) -> Result<u64> {
    let before = rows(folder)?;
    let mut process = ingest(folder, &["--data", "data", "--source", "till", "till.csv"])?.spawn()?;
    let deadline = Instant::now() + PATIENCE;
    while rows(folder)? < before + ROWS_EACH {
        ensure!(process.try_wait()?.is_none(), "it ended, and was to be killed in the midst");
        ensure!(Instant::now() < deadline, "it takes nothing in");
        std::thread::sleep(Duration::from_millis(1));
    }
    process.kill()?;
    process.wait()?;
    rows(folder)
}

/// A `musubi up` over a directory. Dropped, it is killed.
struct Up {
    process: Child,
    url: String,
    agent: Agent,
}

impl Drop for Up {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Up {
    fn start(folder: &Path) -> Result<Self> {
        let mut process = Command::new(binary()?)
            .args(["up", "--listen", "127.0.0.1:0", "--data", "data"])
            .current_dir(folder)
            .env_remove("MUSUBI_KEY")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("stdout is piped")?).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).with_context(|| format!("it said `{line}`"))?;
        let url = format!("http://{}", said["listening"].as_str().context("an address")?);
        let agent = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        Ok(Self { process, url, agent: agent.build().new_agent() })
    }

    fn get(&self, path: &str) -> Result<String> {
        Ok(self.agent.get(format!("{}{path}", self.url)).call()?.body_mut().read_to_string()?)
    }

    fn settled(&self) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let census: Value = serde_json::from_str(&self.get("/v1/fingerprint")?)?;
            if census["settled"] == Value::Bool(true) {
                return Ok(census);
            }
            ensure!(Instant::now() < deadline, "it never settles: {census}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What stands in the directory: the census, one member's profile, and what was set aside.
fn found(folder: &Path) -> Result<(Value, Value, Vec<Value>)> {
    let up = Up::start(folder)?;
    let mut census = up.settled()?;
    let profile: Value = serde_json::from_str(&up.get("/v1/profiles/user_id/m-7")?)?;
    let aside = up.get("/v1/topics/quarantine?from=start&follow=false")?;
    let aside = aside.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    // How often something was written is told beside who is who.
    let fingerprint = census["fingerprint"].take();
    Ok((json!([fingerprint, census["persons"]]), profile, aside))
}

#[test]
fn a_file_whose_reader_is_killed_in_its_midst_comes_in_whole_and_once() -> Result<()> {
    let (hurt, whole) = (folder()?, folder()?);
    let mut last = 0;
    for _ in 0..KILLS {
        let reached = killed(hurt.path())?;
        ensure!(reached > last && reached < RECEIPTS, "killed at row {reached}, before that at {last}");
        last = reached;
    }
    let rest = told(ingest(hurt.path(), &["--data", "data", "--source", "till", "till.csv"])?)?;
    ensure!(rest["before"] == json!(last), "it goes on where it was: {rest}");
    ensure!(rest["rows"] == json!(RECEIPTS + 1 - last), "{rest}");
    let once = told(ingest(whole.path(), &["--data", "data", "--source", "till", "till.csv"])?)?;
    ensure!(once["touchpoints"] == json!(RECEIPTS) && once["quarantined"] == json!(1), "{once}");
    // Nothing of a file that is whole is taken in a second time.
    let again = told(ingest(whole.path(), &["--data", "data", "--source", "till", "till.csv"])?)?;
    ensure!(again["rows"] == json!(0) && again["before"] == json!(RECEIPTS + 1), "{again}");

    let (one, other) = (found(hurt.path())?, found(whole.path())?);
    ensure!(one.0 == other.0, "other persons: {} and {}", one.0, other.0);
    ensure!(one.0[1] == json!(MEMBERS), "{}", one.0);
    ensure!(one.1["computed"] == other.1["computed"] && !one.1["computed"].is_null(), "{}\n{}", one.1, other.1);
    let reasons: Vec<&Value> = one.2.iter().map(|record| &record["value"]["reason"]).collect();
    ensure!(reasons == [&json!("extra-columns")], "a copy is no conflict: {reasons:?}");
    Ok(())
}

#[test]
fn a_file_that_is_not_the_one_that_was_sent_waits_and_keeps_no_other_waiting() -> Result<()> {
    let folder = folder()?;
    let drop = folder.path().join("drop");
    fs::create_dir(&drop)?;
    let line = |receipt: &str| format!("receipt,day,time,amount,member\n{receipt},20260401,10:00,100,m-1\n");
    for name in ["a.csv", "b.csv", "c.csv"] {
        fs::write(drop.join(name), line(name))?;
    }
    // The digest of another file, a marker without one, and a file that is not marked as whole yet.
    fs::write(drop.join("a.csv.done"), format!("{}  a.csv\n", "0".repeat(64)))?;
    fs::write(drop.join("b.csv.done"), "")?;
    let watch = ["--data", "data", "--source", "till", "--watch", "drop", "--once"];
    let output = ingest(folder.path(), &watch)?.output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1) && said.contains("is not the file that was sent"), "{said}");
    let is_there = |name: &str| drop.join(name).exists();
    ensure!(is_there("a.csv.done") && !is_there("a.csv.taken"), "it waits to be mended: {said}");
    ensure!(is_there("b.csv.taken") && !is_there("b.csv.done") && !is_there("c.csv.taken"), "{said}");

    let digest = Command::new("sha256sum").arg(drop.join("a.csv")).output()?.stdout;
    fs::write(drop.join("a.csv.done"), digest)?;
    let taken = told(ingest(folder.path(), &watch)?)?;
    ensure!(taken["touchpoints"] == json!(1) && is_there("a.csv.taken"), "{taken}");
    let up = Up::start(folder.path())?;
    ensure!(up.settled()?["persons"] == json!(1), "two receipts of one member");
    Ok(())
}
