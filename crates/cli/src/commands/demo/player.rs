//! Playing the week through the HTTP door, and pointing at what there is to see afterwards.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use musubi_generator::Generator;
use musubi_serve::Stopper;
use musubi_serve::explain::Explanation;

use super::Speed;
use super::narrator::Tale;
use crate::commands::reach::agent;

/// The longest that nothing happens: nights are quiet, and nobody likes to wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often a touchpoint is sent again where the door asks for patience.
const TRIES: u32 = 100;
/// Of how many identifiers of a person the longest path between two is looked for.
const TRIED: usize = 6;

/// Sends every line of the week at its time; how many there were. Told to stop, it stops.
pub(super) fn play(address: SocketAddr, seed: u64, speed: Speed, stopper: &Stopper) -> Result<u64> {
    let (agent, url) = (agent(), format!("http://{address}/v1/touchpoints"));
    let mut generator = Generator::demo(seed);
    let mut line = Vec::new();
    let mut clock = Clock { speed, last: None };
    let mut sent = 0;
    while !stopper.is_stopping() {
        line.clear();
        if generator.write_next(&mut line).is_none() {
            break;
        }
        clock.wait_for(&line);
        send(&agent, &url, &line)?;
        sent += 1;
    }
    Ok(sent)
}

fn send(agent: &ureq::Agent, url: &str, line: &[u8]) -> Result<()> {
    for _ in 0..TRIES {
        let response = agent.post(url).send(line).context("the door does not answer")?;
        match response.status().as_u16() {
            200 => return Ok(()),
            429 => std::thread::sleep(Duration::from_millis(100)),
            status => bail!("the door answered {status}"),
        }
    }
    bail!("the door asked for patience {TRIES} times")
}

/// The week's time against ours.
struct Clock {
    speed: Speed,
    /// When the last touchpoint was received in the week, in microseconds, and when it was sent.
    last: Option<(i64, Instant)>,
}

impl Clock {
    fn wait_for(&mut self, line: &[u8]) {
        let Speed::Times(times) = self.speed else { return };
        let Some(time) = time_of(line) else { return };
        let (then, sent) = self.last.unwrap_or((time, Instant::now()));
        let seconds = (time.saturating_sub(then).max(0) as f64) / 1_000_000.0 / times;
        let pause = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
        let due = sent + pause;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        // Counted on from when it was due, so that what sending costs is not added up.
        self.last = Some((time.max(then), due));
    }
}

fn time_of(line: &[u8]) -> Option<i64> {
    let object: serde_json::Value = serde_json::from_slice(line).ok()?;
    let text = object["received_at"].as_str().or(object["occurred_at"].as_str())?;
    musubi_schema::parse_time(text).map(musubi_core::time::Timestamp::as_micros)
}

/// The addresses to look at: one person with a story, and why two of her identifiers are hers.
pub(super) fn addresses(address: SocketAddr, tale: &Tale, out: &mut impl Write) -> Result<()> {
    let base = format!("http://{address}");
    writeln!(out, "\nlook at it")?;
    if let Some(identifiers) = tale.most_interesting() {
        let (namespace, value) = &identifiers[0];
        writeln!(out, "  curl -s '{base}/v1/profiles/{}/{}'", encode(namespace), encode(value))?;
        if let Some((a, b)) = farthest(&base, identifiers) {
            writeln!(out, "  curl -s '{base}/v1/explain?a={}&b={}'", encode(&a), encode(&b))?;
        }
    }
    writeln!(out, "  curl -sN '{base}/v1/topics/profile-changes?from=start'")?;
    writeln!(out, "  curl -s '{base}/v1/fingerprint'")?;
    Ok(writeln!(out, "  curl -s '{base}/metrics'")?)
}

/// The two of a person's identifiers with the longest path of evidence between them.
fn farthest(base: &str, identifiers: &[(String, String)]) -> Option<(String, String)> {
    let texts: Vec<String> =
        identifiers.iter().take(TRIED).map(|(namespace, value)| format!("{namespace}:{value}")).collect();
    let pairs = texts.iter().enumerate().flat_map(|(place, a)| texts[place + 1..].iter().map(move |b| (a, b)));
    let agent = agent();
    let length = |a: &String, b: &String| {
        let url = format!("{base}/v1/explain");
        let answer = agent.get(&url).query("a", a).query("b", b).call().ok()?.body_mut().read_to_string().ok()?;
        Some(serde_json::from_str::<Explanation>(&answer).ok()?.path.len())
    };
    pairs.max_by_key(|(a, b)| length(a, b)).map(|(a, b)| (a.clone(), b.clone()))
}

/// Percent-encoded, for a path or a query.
fn encode(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}
