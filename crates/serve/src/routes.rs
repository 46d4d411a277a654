//! The routes: which path asks what of whom. Every answer is JSON (or NDJSON, or Prometheus text), and every error has
//! the one shape of [`Problem`].

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use musubi_core::identifier::Identifier;
use musubi_core::person::PersonId;
use musubi_core::reading::Unusable;
use musubi_schema::render_profile;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{mpsc, watch};

use crate::collect::{Door, Receipt};
use crate::lookup::{Led, Lookup};
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::stitcher::Phase;
use crate::tail::{From, Tail};
use crate::{Census, Deployment, Error, aside, body, collect, explain};

/// How many tails may be open at once: each has a thread.
const MOST_TAILS: usize = 64;
/// How many pieces of a tail wait for a slow reader before the thread does.
const PIECES: usize = 8;
/// How often a tail with nothing to say looks whether anybody still listens.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the routes share.
pub(crate) struct Doors {
    pub(crate) deployment: Deployment,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) tails: AtomicUsize,
    pub(crate) sources: Arc<crate::sources::Door>,
}

type Shared = State<Arc<Doors>>;

/// All routes.
pub(crate) fn router(doors: Arc<Doors>) -> Router {
    Router::new()
        .route("/v1/touchpoints", post(touchpoints))
        .route("/v1/directives", post(directives))
        .route("/v1/quarantine", post(quarantine))
        .route("/v1/profiles/{namespace}/{value}", get(profile))
        .route("/v1/persons/{person_id}", get(person))
        .route("/v1/explain", get(explanation))
        .route("/v1/topics/{topic}", get(topic))
        .route("/v1/fingerprint", get(fingerprint))
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .fallback(source)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(body::MOST_BYTES))
        .with_state(doors)
}

/// What is no route may be the address of a source.
async fn source(State(doors): Shared, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    doors.sources.answer(request).await.unwrap_or_else(|| nowhere(&path).into_response())
}

/// The answer where nothing is.
pub(crate) fn nowhere(path: &str) -> Problem {
    Problem::not_found("no-such-route", format!("nothing is served at `{path}`"))
}

async fn wrong_method(uri: Uri) -> Problem {
    let detail = format!("`{}` is served for another method", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}

/// Does something that blocks where blocking is allowed.
async fn blocking<T: Send + 'static>(
    doors: Arc<Doors>,
    work: impl FnOnce(&Doors) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(move || work(&doors)).await;
    done.unwrap_or_else(|why| Err(Problem::failed(&why)))
}

async fn touchpoints(State(doors): Shared, body: Result<Bytes, BytesRejection>) -> Result<Json<Receipt>, Problem> {
    take_in(doors, Door::Touchpoints, body).await
}

async fn directives(State(doors): Shared, body: Result<Bytes, BytesRejection>) -> Result<Json<Receipt>, Problem> {
    take_in(doors, Door::Directives, body).await
}

async fn quarantine(State(doors): Shared, body: Result<Bytes, BytesRejection>) -> Result<Json<Receipt>, Problem> {
    let body = body::whole(body)?;
    let receipt = blocking(doors, move |doors| {
        let body = body::unpack(&body)?;
        aside::take_in(&doors.deployment.entrance(), &doors.metrics, &body::items(&body)?)
    });
    receipt.await.map(Json)
}

async fn take_in(doors: Arc<Doors>, door: Door, body: Result<Bytes, BytesRejection>) -> Result<Json<Receipt>, Problem> {
    let body = body::whole(body)?;
    let receipt = blocking(doors, move |doors| {
        check_lag(&doors.deployment)?;
        let body = body::unpack(&body)?;
        collect::take_in(&doors.deployment.entrance(), &doors.metrics, door, &body::items(&body)?)
    });
    receipt.await.map(Json)
}

/// Asks senders to wait while too much is still to be stitched.
pub(crate) fn check_lag(deployment: &Deployment) -> Result<(), Problem> {
    let lag: u64 = deployment.disk.lag()?.iter().sum();
    let most = deployment.options.max_lag;
    if lag <= most {
        return Ok(());
    }
    Err(Problem::come_again(1, format!("{lag} records wait to be stitched, which is more than {most}")))
}

async fn profile(
    State(doors): Shared,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Problem> {
    let Path((namespace, value)) = path.map_err(|rejection| bad_path(&rejection))?;
    let bytes = blocking(doors, move |doors| {
        let identifier = identifier(&doors.deployment, &namespace, &value)?;
        let found = Lookup::of(&doors.deployment.disk).find(&identifier)?;
        let nobody = || Problem::not_found("no-such-identifier", Error::Nobody(identifier.text().into()).to_string());
        let person = found.and_then(|found| found.person()).ok_or_else(nobody)?;
        let mut bytes = Vec::with_capacity(1_024);
        render_profile(&person, &mut bytes);
        Ok(bytes)
    });
    Ok(raw_json(bytes.await?))
}

async fn person(State(doors): Shared, path: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    let Path(text) = path.map_err(|rejection| bad_path(&rejection))?;
    let id = person_id(&text).ok_or_else(|| {
        Problem::bad_request("invalid-person-id", format!("wanted a UUID of version 8, found `{text}`"))
    })?;
    let led = blocking(doors, move |doors| Ok(Lookup::of(&doors.deployment.disk).person(id)?)).await?;
    match led {
        Some(Led::Live(person)) => {
            let mut bytes = Vec::with_capacity(1_024);
            render_profile(&person, &mut bytes);
            Ok(raw_json(bytes))
        }
        Some(Led::Redirected(to)) => {
            let location = HeaderValue::try_from(format!("/v1/persons/{to}")).map_err(|why| Problem::failed(&why))?;
            let answer = Json(json!({ "from": id.to_string(), "to": to.to_string() }));
            Ok((StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)], answer).into_response())
        }
        None => Err(Problem::not_found("no-such-person", format!("nobody has, or had, the id `{text}`"))),
    }
}

fn person_id(text: &str) -> Option<PersonId> {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    let bits = (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok())??;
    let id = PersonId(bits.to_be_bytes());
    (id.to_string() == text.to_ascii_lowercase() && id.0[6] >> 4 == 8 && id.0[8] >> 6 == 2).then_some(id)
}

#[derive(Deserialize)]
struct Pair {
    a: String,
    b: String,
}

async fn explanation(
    State(doors): Shared,
    pair: Result<Query<Pair>, QueryRejection>,
) -> Result<Json<explain::Explanation>, Problem> {
    let Query(pair) = pair.map_err(|rejection| bad_query(&rejection))?;
    blocking(doors, move |doors| explain_pair(&doors.deployment, &pair)).await.map(Json)
}

fn explain_pair(deployment: &Deployment, pair: &Pair) -> Result<explain::Explanation, Problem> {
    let [a, b] = [&pair.a, &pair.b].map(|text| {
        let (namespace, value) = text.split_once(':').ok_or_else(|| {
            Problem::bad_request("invalid-identifier", format!("wanted `namespace:value`, found `{text}`"))
        })?;
        identifier(deployment, namespace, value)
    });
    deployment.explain_identifiers(&a?, &b?).map_err(|error| match error {
        Error::Nobody(_) => Problem::not_found("no-such-identifier", error.to_string()),
        other => Problem::failed(&other),
    })
}

fn identifier(deployment: &Deployment, namespace: &str, value: &str) -> Result<Identifier, Problem> {
    deployment.policy.identifier(namespace, value, &deployment.key).map_err(|why| {
        let detail = format!("`{namespace}:{value}`: {why}");
        match why {
            Unusable::UnknownNamespace => Problem::not_found("unknown-namespace", detail),
            Unusable::Blocked => Problem::not_found("blocked-value", detail),
            Unusable::Invalid => Problem::bad_request("invalid-value", detail),
        }
    })
}

#[derive(Deserialize)]
struct Where {
    from: Option<String>,
    follow: Option<bool>,
}

async fn topic(
    State(doors): Shared,
    path: Result<Path<String>, PathRejection>,
    wanted: Result<Query<Where>, QueryRejection>,
) -> Result<Response, Problem> {
    let Path(name) = path.map_err(|rejection| bad_path(&rejection))?;
    let Query(wanted) = wanted.map_err(|rejection| bad_query(&rejection))?;
    let from = wanted.from.as_deref().unwrap_or("end").parse::<From>();
    let from = from.map_err(|why| Problem::bad_request("invalid-offsets", why))?;
    let tail = Tail::open(doors.deployment.disk.clone(), &name, &from)?;
    let tail = tail.ok_or_else(|| Problem::not_found("no-such-topic", format!("there is no topic `{name}`")))?;
    let place = Place::take(&doors)?;
    let (sender, receiver) = mpsc::channel(PIECES);
    let phase = doors.phase.clone();
    let follow = wanted.follow.unwrap_or(true);
    let thread = std::thread::Builder::new().name("tail".into());
    let spawned = thread.spawn(move || {
        let _place = place;
        stream(tail, follow, &sender, &phase);
    });
    spawned.map_err(|why| Problem::unavailable("no-thread", why.to_string()))?;
    let ndjson = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((ndjson, Body::from_stream(Pieces(receiver))).into_response())
}

/// Sends what a topic has until nobody listens, the doors close, or, without `follow`, there is nothing left. A tail that
/// fails ends its stream, which is all that can be said when the answer has begun.
fn stream(mut tail: Tail, follow: bool, pieces: &mpsc::Sender<Bytes>, phase: &watch::Receiver<Phase>) {
    while !pieces.is_closed() && *phase.borrow() == Phase::Open {
        let mark = tail.mark();
        let mut lines = Vec::new();
        match tail.read(&mut lines) {
            Ok(0) if !follow => return,
            Ok(0) => tail.wait(mark, PATIENCE),
            Ok(_) if pieces.blocking_send(lines.into()).is_err() => return,
            Ok(_) => {}
            Err(why) => return tracing::warn!(%why, "a tail ended"),
        }
    }
}

/// One of the places for tails.
struct Place(Arc<Doors>);

impl Place {
    fn take(doors: &Arc<Doors>) -> Result<Self, Problem> {
        let taken = doors.tails.fetch_add(1, Ordering::Relaxed);
        let place = Self(Arc::clone(doors));
        if taken < MOST_TAILS {
            return Ok(place);
        }
        Err(Problem::unavailable("too-many-tails", format!("wanted at most {MOST_TAILS} tails at once")))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.tails.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The pieces of a streamed body.
struct Pieces(mpsc::Receiver<Bytes>);

impl futures_core::Stream for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|piece| piece.map(Ok))
    }
}

async fn fingerprint(State(doors): Shared) -> Result<Response, Problem> {
    blocking(doors, |doors| Ok(Census::take(&doors.deployment.disk)?.to_json())).await.map(raw_json)
}

async fn health(State(doors): Shared) -> Result<Json<serde_json::Value>, Problem> {
    if *doors.phase.borrow() != Phase::Open {
        return Err(Problem::unavailable("closing", "this process is about to end".into()));
    }
    let lag: u64 = doors.deployment.disk.lag()?.iter().sum();
    let (policy, partitions) = (&doors.deployment.policy.version, doors.deployment.disk.partitions);
    Ok(Json(json!({ "status": "ok", "policy": policy.as_ref(), "partitions": partitions, "lag": lag })))
}

async fn metrics(State(doors): Shared) -> Result<Response, Problem> {
    let lag = doors.deployment.disk.lag()?;
    let text = doors.metrics.render(lag);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

fn raw_json(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

fn bad_path(rejection: &PathRejection) -> Problem {
    Problem::bad_request("invalid-path", rejection.body_text())
}

fn bad_query(rejection: &QueryRejection) -> Problem {
    Problem::bad_request("invalid-query", rejection.body_text())
}
