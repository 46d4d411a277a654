//! Pulling from an API after its notifications and without them, against a stub that behaves like Smaregi's platform API:
//! tokens that expire, pages, windows of 31 days, limits of its rate and failures.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use musubi_channels::{Kept, Settings};
use musubi_core::policy::Policy;
use musubi_serve::{Deployment, Key, Options, Running, Sources, up};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// `client:hush`, as basic authorization has it.
const BASIC: &str = "Basic Y2xpZW50Omh1c2g=";

/// What the stub knows, and what it is to answer.
#[derive(Default)]
struct Platform {
    transactions: BTreeMap<u32, Value>,
    customers: BTreeMap<u32, Value>,
    /// How many tokens were given, of which the last is good.
    tokens: u32,
    /// How long a token holds, in seconds.
    holds: u32,
    /// What the next requests are answered with, the last first.
    faults: Vec<u16>,
    /// How long whoever is turned away is to stay away, in seconds.
    stay_away: u32,
    /// When single things were asked for.
    asked_at: Vec<Instant>,
    /// Whether it answers nothing but 503.
    down: bool,
    /// Requests of lists and of single things, and those that were turned away.
    lists: u32,
    singles: u32,
    turned_away: u32,
}

/// The stub at work.
struct Stub {
    platform: Arc<Mutex<Platform>>,
    address: String,
    _runtime: tokio::runtime::Runtime,
}

type Shared = Arc<Mutex<Platform>>;

fn lock(platform: &Shared) -> MutexGuard<'_, Platform> {
    platform.lock().expect("no test panicked")
}

impl Stub {
    fn new() -> Self {
        let platform: Shared = Arc::new(Mutex::new(Platform { holds: 3_600, ..Platform::default() }));
        let router = Router::new()
            .route("/app/{contract}/token", post(token))
            .route("/{contract}/pos/{list}", get(list))
            .route("/{contract}/pos/{list}/{id}", get(single))
            .with_state(Arc::clone(&platform));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("one");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { platform, address, _runtime: runtime }
    }

    fn now(&self) -> MutexGuard<'_, Platform> {
        lock(&self.platform)
    }

    /// A member with a card and a mail address, who changed so many seconds ago.
    fn member(&self, id: u32, seconds_ago: i64) {
        let member = json!({ "customerId": id.to_string(), "customerCode": card(id), "mailAddress": mail(id),
            "updDateTime": ago(seconds_ago) });
        self.now().customers.insert(id, member);
    }

    /// A sale to a member.
    fn sale(&self, id: u32, member: u32, seconds_ago: i64) {
        let sale = json!({ "transactionHeadId": id.to_string(), "transactionHeadDivision": "1", "cancelDivision": "0",
            "total": "100", "returnAmount": "0", "customerId": member.to_string(), "customerCode": card(member),
            "storeId": "1", "terminalId": "1", "terminalTranId": id.to_string(),
            "terminalTranDateTime": ago(seconds_ago), "updDateTime": ago(seconds_ago) });
        self.now().transactions.insert(id, sale);
    }
}

fn card(member: u32) -> String {
    format!("M{member:07}")
}

fn mail(member: u32) -> String {
    format!("member{member}@shop.jp")
}

/// An instant as the API writes it.
fn ago(seconds: i64) -> String {
    let then = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds);
    then.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(9))).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// Why a request is not answered with what it asks for.
fn turned_away(platform: &mut Platform, headers: &HeaderMap) -> Option<Response> {
    let fault = if platform.down { Some(503) } else { platform.faults.pop() };
    let good = format!("Bearer token{}", platform.tokens);
    let status = match fault {
        Some(status) => StatusCode::from_u16(status).expect("a status"),
        None if headers.get("authorization").is_none_or(|found| *found != good) => StatusCode::UNAUTHORIZED,
        None => return None,
    };
    platform.turned_away += 1;
    Some((status, [("retry-after", platform.stay_away.to_string())]).into_response())
}

async fn token(State(platform): State<Shared>, headers: HeaderMap, body: String) -> Response {
    let mut platform = lock(&platform);
    let asks = body.contains("grant_type=client_credentials") && body.contains("pos.transactions%3Aread");
    if platform.down || !asks || headers.get("authorization").is_none_or(|found| found != BASIC) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    platform.tokens += 1;
    let token = format!("token{}", platform.tokens);
    Json(json!({ "token_type": "Bearer", "expires_in": platform.holds, "access_token": token })).into_response()
}

async fn list(
    State(platform): State<Shared>,
    Path((contract, list)): Path<(String, String)>,
    Query(asked): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let mut platform = lock(&platform);
    platform.lists += 1;
    if let Some(response) = turned_away(&mut platform, &headers) {
        return response;
    }
    let instant = |name: &str| asked.get(name).and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let (Some(from), Some(to)) = (instant("upd_date_time-from"), instant("upd_date_time-to")) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let number = |name: &str| asked.get(name).and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    let (limit, page) = (number("limit"), number("page"));
    let is_asked = contract == "sb_1" && (1..=1_000).contains(&limit) && page > 0;
    if !is_asked || to.duration_since(from) > jiff::SignedDuration::from_hours(31 * 24) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let all = if list == "transactions" { &platform.transactions } else { &platform.customers };
    let when = |one: &Value| one["updDateTime"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let mut found: Vec<&Value> =
        all.values().filter(|one| when(one).is_some_and(|at| from <= at && at <= to)).collect();
    found.sort_by_key(|one| when(one));
    Json(found.into_iter().skip((page - 1) * limit).take(limit).cloned().collect::<Vec<_>>()).into_response()
}

async fn single(
    State(platform): State<Shared>,
    Path((_, list, id)): Path<(String, String, u32)>,
    headers: HeaderMap,
) -> Response {
    let mut platform = lock(&platform);
    platform.singles += 1;
    platform.asked_at.push(Instant::now());
    if let Some(response) = turned_away(&mut platform, &headers) {
        return response;
    }
    let all = if list == "transactions" { &platform.transactions } else { &platform.customers };
    all.get(&id).map_or_else(|| StatusCode::NOT_FOUND.into_response(), |found| Json(found).into_response())
}

/// A deployment with a source that pulls, and a client of it.
struct Fixture {
    running: Running,
    agent: Agent,
    base: String,
}

fn settings(stub: &Stub, directory: &TempDir, sweep: &str) -> Settings {
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "hush").expect("written");
    let text = json!({ "name": "till", "preset": "smaregi", "open": true, "pull": { "url": stub.address,
        "token_url": format!("{}/app/sb_1/token", stub.address), "client_id": "client",
        "client_secret": { "file": secret }, "contract_id": "sb_1", "watermark": watermark(directory),
        "sweep": sweep, "page_size": 4 } });
    serde_json::from_value(text).expect("settings")
}

fn watermark(directory: &TempDir) -> PathBuf {
    directory.path().join("till.watermark")
}

fn begin(stub: &Stub, directory: &TempDir, sweep: &str) -> Fixture {
    let sources = Sources::open([settings(stub, directory, sweep)]).expect("sources");
    let (policy, key) = (Arc::new(Policy::recommended()), Key::development().key);
    let data = directory.path().join("data");
    let deployment = Deployment::open(&data, policy, key, Some(2), Options::default()).expect("it opens");
    let running = up(deployment, sources, "127.0.0.1:0".parse().expect("an address")).expect("the doors open");
    let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
    let base = format!("http://{}", running.address());
    Fixture { running, agent: config.build().new_agent(), base }
}

impl Fixture {
    fn get(&self, path: &str) -> Value {
        let mut answer = self.agent.get(format!("{}{path}", self.base)).call().expect("the door answers");
        let text = answer.body_mut().read_to_string().expect("a body");
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    fn notify(&self, transactions: &[u32]) {
        let ids: Vec<String> = transactions.iter().map(ToString::to_string).collect();
        let body = json!({ "contractId": "sb_1", "event": "pos:transactions", "action": "created",
            "transactionHeadIds": ids });
        let answer = self.agent.post(format!("{}/in/till", self.base)).send(body.to_string()).expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
    }

    /// The person with a member's mail address, once there is one.
    fn person_of(&self, member: u32) -> Value {
        self.until(|| Some(self.get(&format!("/v1/profiles/email/{}", mail(member)))["person_id"].clone()))
    }

    fn until(&self, look: impl Fn() -> Option<Value>) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().filter(|found| !found.is_null()) {
                return found;
            }
            assert!(Instant::now() < deadline, "it never came; the metrics:\n{}", self.get("/metrics"));
            std::thread::yield_now();
        }
    }

    /// The value of a line of the metrics; nothing, where there is none.
    fn metric(&self, line: &str) -> u64 {
        let text = self.get("/metrics");
        let found = text.as_str().and_then(|text| text.lines().find_map(|have| have.strip_prefix(line)));
        found.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    }

    /// How many touchpoints were stitched, once they are so many.
    fn stitched(&self, wanted: u64) {
        let taken = || self.metric("musubi_touchpoints_total{outcome=\"taken\"}");
        self.until(|| (taken() >= wanted).then_some(Value::Bool(true)));
        assert_eq!(taken(), wanted);
    }

    fn swept(&self, directory: &TempDir, before: &str) {
        self.until(|| (watermark_in(directory) != before).then_some(Value::Bool(true)));
    }
}

fn watermark_in(directory: &TempDir) -> String {
    std::fs::read_to_string(watermark(directory)).unwrap_or_default()
}

#[test]
fn a_notification_brings_its_transaction_and_the_member_behind_it_and_a_refused_token_is_renewed() {
    let (stub, directory) = (Stub::new(), tempfile::tempdir().expect("a directory"));
    // Changed long before anybody listened: no sweep would ever list it.
    stub.member(31, 400 * 24 * 3_600);
    let fixture = begin(&stub, &directory, "1h");
    fixture.until(|| (stub.now().lists >= 2).then_some(Value::Bool(true)));
    stub.sale(7, 31, 0);
    // Every token that was given is void now.
    stub.now().tokens += 1;
    fixture.notify(&[7, 8]);
    let person = fixture.person_of(31);
    assert_eq!(fixture.get(&format!("/v1/profiles/loyalty_card/{}", card(31)))["person_id"], person);
    fixture.stitched(2);
    let platform = stub.now();
    assert_eq!((platform.tokens, platform.turned_away), (3, 1), "one token for all, and one after it was refused");
}

#[test]
fn whoever_is_told_to_come_again_later_does_not_come_earlier() {
    let (stub, directory) = (Stub::new(), tempfile::tempdir().expect("a directory"));
    let fixture = begin(&stub, &directory, "1h");
    fixture.until(|| (stub.now().lists >= 2).then_some(Value::Bool(true)));
    stub.member(1, 0);
    stub.sale(1, 1, 0);
    // Longer than the first wait would be without being told.
    stub.now().stay_away = 2;
    stub.now().faults = vec![429];
    fixture.notify(&[1]);
    fixture.stitched(2);
    let platform = stub.now();
    assert!(platform.asked_at[1] - platform.asked_at[0] >= Duration::from_secs(2));
}

#[test]
fn what_no_notification_told_is_found_by_a_sweep_through_pages_limits_failures_and_expired_tokens() {
    let (stub, directory) = (Stub::new(), tempfile::tempdir().expect("a directory"));
    stub.now().holds = 0;
    (1..=9).for_each(|member| stub.member(member, i64::from(member) * 60));
    // More in one second than a page has, and others around them.
    (1..=11).for_each(|sale| stub.sale(sale, 1 + sale % 9, 300));
    (12..=20).for_each(|sale| stub.sale(sale, 1 + sale % 9, 1_000 + i64::from(sale) * 30));
    stub.now().faults = vec![500, 429, 503, 429];
    let fixture = begin(&stub, &directory, "1h");
    fixture.stitched(29);
    for member in 1..=9 {
        let person = fixture.person_of(member);
        assert_eq!(fixture.get(&format!("/v1/profiles/loyalty_card/{}", card(member)))["person_id"], person);
    }
    let platform = stub.now();
    assert_eq!((platform.turned_away, platform.singles), (4, 0), "members were listed before they were needed");
    assert!(platform.tokens >= platform.lists, "a token that holds no longer is not shown again");
}

#[test]
fn a_sweep_comes_again_and_writes_nothing_twice() {
    let (stub, directory) = (Stub::new(), tempfile::tempdir().expect("a directory"));
    let fixture = begin(&stub, &directory, "100ms");
    stub.member(1, 0);
    stub.sale(1, 1, 0);
    fixture.stitched(2);
    for _ in 0..3 {
        fixture.swept(&directory, &watermark_in(&directory));
    }
    fixture.stitched(2);
    assert_eq!(fixture.metric("musubi_touchpoints_total{outcome=\"duplicate\"}"), 0);
}

#[test]
fn a_notification_that_was_answered_is_not_lost_with_the_process_that_answered_it() {
    let (stub, directory) = (Stub::new(), tempfile::tempdir().expect("a directory"));
    let fixture = begin(&stub, &directory, "1h");
    let began = watermark_in(&directory);
    assert!(!began.is_empty(), "the watermark is there before the doors open");
    fixture.until(|| (stub.now().lists >= 2).then_some(Value::Bool(true)));
    stub.now().down = true;
    stub.member(5, 0);
    stub.sale(50, 5, 0);
    fixture.notify(&[50]);
    fixture.until(|| (stub.now().turned_away >= 1).then_some(Value::Bool(true)));
    fixture.running.stop().expect("it ends");
    stub.now().down = false;
    let again = begin(&stub, &directory, "1h");
    again.person_of(5);
    again.stitched(2);
}

#[test]
fn settings_that_cannot_stand_are_named() {
    let (stub, directory) = (Stub::new(), tempfile::tempdir().expect("a directory"));
    let error = |change: &dyn Fn(&mut Settings)| {
        let mut settings = settings(&stub, &directory, "1h");
        change(&mut settings);
        let sources = Sources::open([settings]).expect("sources");
        let (policy, key) = (Arc::new(Policy::recommended()), Key::development().key);
        let data = directory.path().join("data");
        let deployment = Deployment::open(&data, policy, key, Some(2), Options::default()).expect("it opens");
        up(deployment, sources, "127.0.0.1:0".parse().expect("an address")).err().expect("an error").to_string()
    };
    let clear = |settings: &mut Settings| settings.pull.as_mut().expect("one").url = "http://api.smaregi.jp".into();
    assert!(error(&clear).contains("`https://` in `pull.url`, found"));
    let never = |settings: &mut Settings| settings.pull.as_mut().expect("one").sweep = "0s".into();
    assert!(error(&never).contains("`pull.sweep`"));
    assert!(error(&|settings| settings.preset = Some("webhook".into())).contains("found `webhook`"));
    let missing = |settings: &mut Settings| {
        settings.pull.as_mut().expect("one").client_secret = Kept::File(directory.path().join("nowhere"));
    };
    assert!(error(&missing).contains("pull.client_secret"));
    std::fs::write(watermark(&directory), "yesterday").expect("written");
    assert!(error(&|_| {}).contains("till.watermark"));
}
