//! `musubi up` under load, killed at random moments: nothing that was answered with 200 is lost, and nothing is doubled.
//!
//! `MUSUBI_KILLS` says how often (10 unless told otherwise), `MUSUBI_SEED` which moments, and `MUSUBI_BIN` which binary;
//! without it the one that was built beside this test.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use musubi_generator::{Generator, Line, Options, Shape};
use serde_json::Value;
use ureq::Agent;

/// How many senders post at once.
const SENDERS: usize = 4;
/// How many touchpoints one request carries.
const BATCH: usize = 20;
/// The next kill comes after as many touchpoints were answered, at most, and a rest.
const PER_KILL: u64 = 600;
/// How many times as many are held ready: a quick machine answers far more while a process goes on than are waited for,
/// and a kill with nobody sending proves nothing.
const STOCK: u64 = 8;
/// How long a process may go on after its last answer, in milliseconds: long enough to stitch, or to be in the midst.
const LONGEST_REST: u64 = 30;
/// One kill of so many meets a process that has not answered yet, while it reads what the last one left.
const EARLY: u64 = 5;
/// How long such a process lives at most, in milliseconds.
const LONGEST_START: u64 = 60;
/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running `musubi up`. Dropped, it is killed.
struct Up {
    process: Child,
    address: String,
}

impl Up {
    fn start(data: &Path) -> Result<Self> {
        let mut process = spawn(data)?;
        let mut line = String::new();
        let stdout = process.stdout.take().context("stdout is piped")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line).with_context(|| format!("`musubi up` said `{line}`"))?;
        let address = told["listening"].as_str().context("it says where it listens")?.to_owned();
        Ok(Self { process, address })
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// The census once everything is stitched.
    fn settled(&self) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let census: Value = serde_json::from_str(
                &agent().get(format!("http://{}/v1/fingerprint", self.address)).call()?.body_mut().read_to_string()?,
            )?;
            if census["settled"] == Value::Bool(true) {
                return Ok(census);
            }
            ensure!(Instant::now() < deadline, "it never settles: {census}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The events on the touchpoints topic, each as often as it stands there.
    fn events(&self) -> Result<Vec<(String, String)>> {
        let url = format!("http://{}/v1/topics/touchpoints?from=start&follow=false", self.address);
        let lines = BufReader::new(agent().get(url).call()?.into_body().into_reader()).lines();
        let event = |line: std::io::Result<String>| {
            let record: Value = serde_json::from_str(&line?)?;
            name(&record["value"])
        };
        lines.map(event).collect()
    }

    fn metric(&self, line_start: &str) -> Result<f64> {
        let text = agent().get(format!("http://{}/metrics", self.address)).call()?.body_mut().read_to_string()?;
        let value = text.lines().find_map(|line| line.strip_prefix(line_start));
        Ok(value.map_or(Ok(0.0), |value| value.trim().parse())?)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // A process that is gone already cannot be killed, which is as well.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn spawn(data: &Path) -> Result<Child> {
    Command::new(binary()?)
        .args(["up", "--listen", "127.0.0.1:0", "--partitions", "4", "--data"])
        .arg(data)
        .env_remove("MUSUBI_KEY")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start `musubi up`")
}

fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("MUSUBI_BIN") {
        return Ok(path.into());
    }
    let test = std::env::current_exe()?;
    let beside = test.parent().and_then(Path::parent).context("a test binary lies in `deps`")?.join("musubi");
    ensure!(beside.exists(), "no `{}`: build the workspace first", beside.display());
    Ok(beside)
}

fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().new_agent()
}

fn name(touchpoint: &Value) -> Result<(String, String)> {
    let text = |field: &str| touchpoint[field].as_str().map(str::to_owned).context("a text");
    Ok((text("source")?, text("event_id")?))
}

/// The touchpoints as lines. The fields that a door would stamp are stamped, so that two runs are sent the same.
fn touchpoints(count: u64, seed: u64) -> Result<Vec<String>> {
    let mut generator = Generator::new(Options::new(count / 6, count, seed, Shape::Retail));
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    while let Some(kind) = generator.write_next(&mut line) {
        if let Line::Touchpoint(_) = kind {
            let mut touchpoint: Value = serde_json::from_slice(&line)?;
            if touchpoint["received_at"].is_null() {
                touchpoint["received_at"] = touchpoint["occurred_at"].clone();
            }
            lines.push(touchpoint.to_string());
        }
        line.clear();
    }
    Ok(lines)
}

/// Senders that post every batch until it is answered with 200, whatever happens to whom they post to.
struct Load<'a> {
    batches: Vec<&'a [String]>,
    next: AtomicUsize,
    answered: Mutex<BTreeSet<usize>>,
    /// Where to post to at the moment; none while nobody lives there.
    address: RwLock<Option<String>>,
    given_up: AtomicBool,
}

impl<'a> Load<'a> {
    fn new(lines: &'a [String]) -> Self {
        Self {
            batches: lines.chunks(BATCH).collect(),
            next: AtomicUsize::new(0),
            answered: Mutex::default(),
            address: RwLock::default(),
            given_up: AtomicBool::new(false),
        }
    }

    fn move_to(&self, address: Option<&str>) {
        *self.address.write().expect("no sender panics") = address.map(str::to_owned);
    }

    fn answered(&self) -> usize {
        self.answered.lock().expect("no sender panics").len()
    }

    /// Waits until so many more batches are answered.
    fn wait_for(&self, more: usize) -> Result<()> {
        let (target, deadline) = (self.answered() + more, Instant::now() + PATIENCE);
        while self.answered() < target {
            ensure!(Instant::now() < deadline, "the senders get no answers");
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// Sends until nothing is left.
    fn send(&self) -> Result<()> {
        let agent = agent();
        let deadline = Instant::now() + PATIENCE * 20;
        loop {
            let batch = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(lines) = self.batches.get(batch) else { return Ok(()) };
            let body = lines.join("\n");
            while !self.post(&agent, &body)? {
                ensure!(Instant::now() < deadline && !self.given_up.load(Ordering::Relaxed), "nobody answers");
                std::thread::sleep(Duration::from_millis(2));
            }
            self.answered.lock().expect("no sender panics").insert(batch);
        }
    }

    /// Whether the body was answered with 200. Where nobody answers it may have been taken in or not.
    fn post(&self, agent: &Agent, body: &str) -> Result<bool> {
        let Some(address) = self.address.read().expect("nobody panics").clone() else { return Ok(false) };
        let Ok(mut answer) = agent.post(format!("http://{address}/v1/touchpoints")).send(body) else {
            return Ok(false);
        };
        if matches!(answer.status().as_u16(), 429 | 503) {
            return Ok(false);
        }
        ensure!(answer.status().as_u16() == 200, "the door answered {}", answer.status());
        let Ok(receipt) = answer.body_mut().read_to_string() else { return Ok(false) };
        let receipt: Value = serde_json::from_str(&receipt)?;
        let all = receipt["accepted"].as_u64().unwrap_or(0) + receipt["quarantined"].as_u64().unwrap_or(0);
        ensure!(all == body.lines().count() as u64, "of a batch only {receipt} was taken in");
        Ok(true)
    }
}

/// Kills at moments that a seed draws, and leaves the last one alive.
fn kill_under(load: &Load<'_>, data: &Path, kills: u64, mut draw: impl FnMut(u64) -> u64) -> Result<Up> {
    let pause = |milliseconds| std::thread::sleep(Duration::from_millis(milliseconds));
    for done in 0..kills {
        if draw(EARLY) == 0 {
            let mut process = spawn(data)?;
            pause(draw(LONGEST_START));
            process.kill()?;
            process.wait()?;
            continue;
        }
        let up = Up::start(data).with_context(|| format!("after {done} kills"))?;
        load.move_to(Some(&up.address));
        load.wait_for(usize::try_from(draw(PER_KILL / BATCH as u64))?)?;
        pause(draw(LONGEST_REST));
        load.move_to(None);
        up.kill()?;
    }
    ensure!(load.answered() < load.batches.len(), "the senders were done before the last kill");
    let up = Up::start(data).with_context(|| format!("after {kills} kills"))?;
    load.move_to(Some(&up.address));
    Ok(up)
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn nothing_answered_is_lost_and_nothing_is_doubled_however_often_it_is_killed() -> Result<()> {
    let (kills, seed) = (number("MUSUBI_KILLS", 10), number("MUSUBI_SEED", 1));
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let draw = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let lines = touchpoints(PER_KILL * STOCK * (kills + 2), seed)?;
    let killed = tempfile::tempdir()?;
    let load = Load::new(&lines);
    let up = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(|| load.send())).collect();
        let outcome = kill_under(&load, killed.path(), kills, draw);
        load.given_up.store(outcome.is_err(), Ordering::Relaxed);
        let sent = senders.into_iter().try_for_each(|sender| sender.join().expect("no sender panics"));
        let outcome = outcome?;
        sent.map(|()| outcome)
    })?;
    let after_kills = up.settled()?;
    let found: BTreeSet<_> = up.events()?.into_iter().collect();
    drop(up);

    let undisturbed = tempfile::tempdir()?;
    let up = Up::start(undisturbed.path())?;
    let load = Load::new(&lines);
    load.move_to(Some(&up.address));
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(|| load.send())).collect();
        senders.into_iter().try_for_each(|sender| sender.join().expect("no sender panics"))
    })?;
    let wanted = up.settled()?;
    let taken: BTreeSet<_> = up.events()?.into_iter().collect();
    assert_eq!(up.metric("musubi_touchpoints_total{outcome=\"duplicate\"}")?, 0.0, "nothing was sent twice here");

    assert_eq!(taken.difference(&found).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "acknowledged and lost");
    // Which partition a cluster calls home depends on who was met first; who is who does not.
    for fact in ["fingerprint", "identifiers", "persons", "shared_identifiers"] {
        assert_eq!(after_kills[fact], wanted[fact], "{fact} after {kills} kills with seed {seed}");
    }
    Ok(())
}
