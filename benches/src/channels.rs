//! Prints what each channel costs, and what the doors cost over HTTP beside a server that parses the same and throws it
//! away: the door of canonical touchpoints and that of a source of Segment's, each alone and with the stitcher beside.

use std::io::{Read as _, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use musubi_benches::processor_time;
use musubi_channels::samples::SAMPLES;
use musubi_core::policy::Policy;
use musubi_serve::cluster::collect_only;
use musubi_serve::{Deployment, Key, Options, Sources, open_settings};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long each channel is measured.
const EACH: Duration = Duration::from_millis(300);
/// Touchpoints in a request, requests in a round, and how many are on their way at once.
const BATCH: usize = 100;
const REQUESTS: usize = 600;
const AT_ONCE: usize = 8;
/// How often bare server and collector take turns, so that what else the machine does falls on both.
const TURNS: usize = 5;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    adapters(&mut out)?;
    over_http(&mut out)
}

/// Payloads and touchpoints a second on one core, by preset.
fn adapters(out: &mut impl Write) -> std::io::Result<()> {
    let head = ("one core", "by", "payloads/s", "touchpoints/s", "CPU µs each");
    writeln!(out, "{:<16} {:<7} {:>12} {:>14} {:>12}", head.0, head.1, head.2, head.3, head.4)?;
    for sample in SAMPLES {
        let source = sample.source();
        let (begun, processor, mut payloads) = (Instant::now(), processor_time(), 0_u32);
        while begun.elapsed() < EACH {
            for _ in 0..20 {
                assert_eq!(sample.take(&source).taken.touchpoints.len(), sample.touchpoints, "{}", sample.preset);
            }
            payloads += 20;
        }
        // By processor time, so that a core that others use as well counts as what was had of it.
        let spent = (processor_time() - processor).as_secs_f64();
        let touchpoints = f64::from(payloads) * sample.touchpoints as f64;
        let is_native = musubi_channels::preset(sample.preset).is_some_and(|preset| preset.is_native());
        let by = if is_native { "native" } else { "jq" };
        let (payloads, cost) = (f64::from(payloads) / spent, spent * 1e6 / touchpoints);
        writeln!(out, "{:<16} {by:<7} {payloads:>12.0} {:>14.0} {cost:>12.2}", sample.preset, touchpoints / spent)?;
    }
    Ok(())
}

/// Batches over loopback: into the log, with an fsync before each answer, and into nothing.
fn over_http(out: &mut impl Write) -> std::io::Result<()> {
    let kinds =
        [("canonical", "/v1/touchpoints", bodies(canonical)), ("Segment's", "/in/segment/v1/batch", bodies(segment))];
    writeln!(
        out,
        "\n{REQUESTS} requests of {BATCH} touchpoints a turn, {AT_ONCE} at once, client and server on the same cores"
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let bare = listener.local_addr()?;
    let router = axum::Router::new().fallback(|body: Bytes| async move {
        let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&body);
        if parsed.is_ok() { "{\"success\":true}" } else { "no" }
    });
    runtime.spawn(async move { axum::serve(listener, router).await });
    for (kind, path, bodies) in &kinds {
        let bytes = bodies.iter().map(String::len).sum::<usize>() / (REQUESTS * BATCH);
        let directories = [tempfile::tempdir()?, tempfile::tempdir()?];
        let alone = collect_only(&deployment(directories[0].path())?, sources()?, ANY_PORT);
        let alone = alone.map_err(std::io::Error::other)?;
        let (mut of_bare, mut of_alone) = (Round::default(), Round::default());
        round(bare, "/", &bodies[..50]);
        round(alone.address(), path, &bodies[..50]);
        for _ in 0..TURNS {
            of_bare.add(round(bare, "/", bodies));
            of_alone.add(round(alone.address(), path, bodies));
        }
        alone.stop().map_err(std::io::Error::other)?;
        let deployment = deployment(directories[1].path())?;
        let both = musubi_serve::up(deployment.clone(), sources()?, ANY_PORT).map_err(std::io::Error::other)?;
        let mut beside = Vec::new();
        for _ in ["fresh", "copies"] {
            let mut of_both = Round::default();
            of_both.add(round(both.address(), path, bodies));
            beside.push(of_both);
            while deployment.disk.lag().map_err(std::io::Error::other)? != [0; 3] {
                std::thread::yield_now();
            }
        }
        both.stop().map_err(std::io::Error::other)?;
        writeln!(out, "{kind}, {bytes} bytes each")?;
        let rate = of_bare.rate();
        of_bare.tell("bare axum", rate, out)?;
        of_alone.tell("collector, durable", rate, out)?;
        beside[0].tell("stitcher beside, durable", rate, out)?;
        beside[1].tell("stitcher beside, copies", rate, out)?;
    }
    Ok(())
}

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn deployment(directory: &Path) -> std::io::Result<Deployment> {
    let options = Options { max_lag: u64::MAX, ..Options::default() };
    let (policy, key) = (Arc::new(Policy::recommended()), Key::development().key);
    Deployment::open(directory, policy, key, Some(4), options).map_err(std::io::Error::other)
}

fn sources() -> std::io::Result<Sources> {
    Sources::open([open_settings("segment")]).map_err(std::io::Error::other)
}

/// What some requests took.
#[derive(Default)]
struct Round {
    wall: Duration,
    processor: Duration,
    times: Vec<Duration>,
}

impl Round {
    fn add(&mut self, other: Self) {
        self.wall += other.wall;
        self.processor += other.processor;
        self.times.extend(other.times);
        self.times.sort_unstable();
    }

    /// Touchpoints a second.
    fn rate(&self) -> f64 {
        (self.times.len() * BATCH) as f64 / self.wall.as_secs_f64()
    }

    fn tell(&self, what: &str, bare: f64, out: &mut impl Write) -> std::io::Result<()> {
        let (rate, touchpoints) = (self.rate(), (self.times.len() * BATCH) as f64);
        let (share, cost) = (rate * 100.0 / bare, self.processor.as_secs_f64() * 1e6 / touchpoints);
        let [p50, p99] = [50, 99].map(|percent| self.times[self.times.len() * percent / 100]);
        writeln!(
            out,
            "  {what:<26} {rate:>9.0} touchpoints/s {share:>5.0} % of bare {cost:>6.1} CPU µs each, p50 {p50:>7.1?}, p99 {p99:>7.1?}"
        )
    }
}

/// Sends every body once.
fn round(address: SocketAddr, path: &str, bodies: &[String]) -> Round {
    let (begun, processor, next) = (Instant::now(), processor_time(), AtomicUsize::new(0));
    let times = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| client(address, path, bodies, &next))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client does not panic")).collect()
    });
    Round { wall: begun.elapsed(), processor: processor_time() - processor, times }
}
fn client(address: SocketAddr, path: &str, bodies: &[String], next: &AtomicUsize) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).expect("a socket");
    let mut times = Vec::new();
    let mut answer = [0; 4_096];
    while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
        let begun = Instant::now();
        let head = format!("POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).expect("the server reads");
        let length = stream.read(&mut answer).expect("the server answers");
        let told = String::from_utf8_lossy(&answer[..length]);
        assert!(told.starts_with("HTTP/1.1 200") && told.ends_with('}'), "{told}");
        times.push(begun.elapsed());
    }
    times
}

/// Requests of what a shop's visitors look at.
fn bodies(request: impl Fn(&mut dyn Iterator<Item = [usize; 2]>) -> String) -> Vec<String> {
    let events = |nr: usize| (0..BATCH).map(move |place| [nr * BATCH + place, (nr * 31 + place) % 20_000]);
    (0..REQUESTS).map(|nr| request(&mut events(nr))).collect()
}

/// As Segment's SDKs send them.
fn segment(events: &mut dyn Iterator<Item = [usize; 2]>) -> String {
    let event = |[nr, visitor]: [usize; 2]| {
        let (moment, product) = (nr % 1_000, nr % 777);
        format!(
            r#"{{"type":"track","event":"Product Viewed","messageId":"node-next-1775012400000-{nr:08}","anonymousId":"a1b2c3d4-{visitor:08}","userId":"user-{visitor}","timestamp":"2026-04-01T03:00:00.{moment:03}Z","properties":{{"product_id":"sku-{product}","name":"かばん","price":12800,"currency":"JPY"}},"context":{{"library":{{"name":"@segment/analytics-node","version":"3.1.0"}},"ip":"203.0.113.7","page":{{"url":"https://shop.example/products/{product}","title":"かばん"}}}}}}"#
        )
    };
    format!(r#"{{"batch":[{}],"sentAt":"2026-04-01T03:00:01Z"}}"#, events.map(event).collect::<Vec<_>>().join(","))
}

/// The same in Musubi's own form.
fn canonical(events: &mut dyn Iterator<Item = [usize; 2]>) -> String {
    let event = |[nr, visitor]: [usize; 2]| {
        let (moment, product) = (nr % 1_000, nr % 777);
        format!(
            r#"{{"source":"own","event_id":"{nr:08}","channel":"web","type":"product_viewed","occurred_at":"2026-04-01T03:00:00.{moment:03}Z","identifiers":[{{"namespace":"user_id","value":"own-{visitor}"}},{{"namespace":"anonymous_id","value":"own-{visitor:08}"}}],"properties":{{"product_id":"sku-{product}","name":"かばん","price":12800,"currency":"JPY","page":"https://shop.example/products/{product}","title":"かばん"}}}}"#
        )
    };
    format!("[{}]", events.map(event).collect::<Vec<_>>().join(","))
}
