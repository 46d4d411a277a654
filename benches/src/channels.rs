//! Prints what each channel costs, and what doors cost over HTTP beside a server that parses the same and throws it away:
//! a source's, which a mapping in jq reads, and that of canonical touchpoints, which need none.

use std::io::{Read as _, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use musubi_benches::processor_time;
use musubi_channels::samples::SAMPLES;
use musubi_core::policy::Policy;
use musubi_serve::{Deployment, Key, Options, Sources, open_settings};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long each channel is measured.
const EACH: Duration = Duration::from_millis(300);
/// Touchpoints in a request, requests in a round, and how many are on their way at once.
const BATCH: usize = 100;
const REQUESTS: usize = 600;
const AT_ONCE: usize = 8;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    adapters(&mut out)?;
    over_http(&mut out)
}

/// Payloads a second on one core, by preset.
fn adapters(out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{:<16} {:>12} {:>14} {:>12}", "one core", "payloads/s", "touchpoints/s", "CPU µs each")?;
    for sample in SAMPLES {
        let source = sample.source();
        let (begun, processor, mut payloads) = (Instant::now(), processor_time(), 0_u32);
        while begun.elapsed() < EACH {
            for _ in 0..20 {
                assert_eq!(sample.take(&source).taken.touchpoints.len(), sample.touchpoints, "{}", sample.preset);
            }
            payloads += 20;
        }
        let (wall, processor) = (begun.elapsed().as_secs_f64(), (processor_time() - processor).as_secs_f64());
        let rate = f64::from(payloads) / wall;
        let (touchpoints, cost) = (rate * sample.touchpoints as f64, processor * 1e6 / f64::from(payloads));
        writeln!(out, "{:<16} {rate:>12.0} {touchpoints:>14.0} {cost:>12.1}", sample.preset)?;
    }
    Ok(())
}

/// Segment's batches over loopback: into the log, with an fsync before each answer, and into nothing.
fn over_http(out: &mut impl Write) -> std::io::Result<()> {
    let (bodies, canonical) = (bodies(segment), bodies(canonical));
    let each = |bodies: &[String]| bodies.iter().map(String::len).sum::<usize>() / (REQUESTS * BATCH);
    writeln!(
        out,
        "\n{REQUESTS} requests of {BATCH} touchpoints ({} bytes each, Segment's {}), {AT_ONCE} at once, client and server \
         on the same cores",
        each(&canonical),
        each(&bodies)
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let bare = listener.local_addr()?;
    let router = axum::Router::new().fallback(|body: Bytes| async move {
        let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&body);
        if parsed.is_ok() { "{\"success\":true}" } else { "no" }
    });
    runtime.spawn(async move { axum::serve(listener, router).await });
    let directory = tempfile::tempdir()?;
    let options = Options { max_lag: u64::MAX, ..Options::default() };
    let (policy, key) = (Arc::new(Policy::recommended()), Key::development().key);
    let deployment =
        Deployment::open(directory.path(), policy, key, Some(4), options).map_err(std::io::Error::other)?;
    let sources = Sources::open([open_settings("segment")]).map_err(std::io::Error::other)?;
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let running = musubi_serve::up(deployment.clone(), sources, any_port).map_err(std::io::Error::other)?;
    round(bare, "/", &bodies[..50]);
    let mut told = |what: &str, address, path, bodies: &[String]| -> std::io::Result<()> {
        let Round { wall, processor, p50, p99 } = round(address, path, bodies);
        let touchpoints = (REQUESTS * BATCH) as f64;
        let (rate, cost) = (touchpoints / wall.as_secs_f64(), processor.as_secs_f64() * 1e6 / touchpoints);
        writeln!(out, "{what:<44} {rate:>9.0} touchpoints/s {cost:>6.1} CPU µs each, p50 {p50:>7.1?}, p99 {p99:>7.1?}")
    };
    let settled = || -> std::io::Result<()> {
        while deployment.disk.lag().map_err(std::io::Error::other)? != [0; 3] {
            std::thread::yield_now();
        }
        Ok(())
    };
    let (door, own, source) = (running.address(), "/v1/touchpoints", "/in/segment/v1/batch");
    told("bare axum, canonical", bare, "/", &canonical)?;
    told("canonical, stitched meanwhile", door, own, &canonical)?;
    settled()?;
    told("canonical, copies", door, own, &canonical)?;
    settled()?;
    told("bare axum, Segment's", bare, "/", &bodies)?;
    told("a source of Segment's, stitched meanwhile", door, source, &bodies)?;
    settled()?;
    told("a source of Segment's, copies", door, source, &bodies)?;
    running.stop().map_err(std::io::Error::other)
}

struct Round {
    wall: Duration,
    processor: Duration,
    p50: Duration,
    p99: Duration,
}

/// Sends every body once.
fn round(address: SocketAddr, path: &str, bodies: &[String]) -> Round {
    let (begun, processor, next) = (Instant::now(), processor_time(), AtomicUsize::new(0));
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| client(address, path, bodies, &next))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client does not panic")).collect()
    });
    let (wall, processor) = (begun.elapsed(), processor_time() - processor);
    times.sort_unstable();
    Round { wall, processor, p50: times[times.len() / 2], p99: times[times.len() * 99 / 100] }
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
