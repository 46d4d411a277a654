//! A collector before a log: touchpoints and directives in over HTTP, and out to their topics.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::Cluster;
use crate::collect::{Door, Receipt};
use crate::entrance::Entrance;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::routes::nowhere;
use crate::running::{serve, spawn, told};
use crate::sources::{self, Pulls, Sources};
use crate::stitcher::{Phase, Phases, advance};
use crate::{Deployment, Error, body, collect as door};

/// A collector at work.
pub struct Collecting {
    phases: Arc<Phases>,
    runtime: Runtime,
    address: SocketAddr,
    doors: std::thread::JoinHandle<()>,
    pulls: Arc<Pulls>,
}

struct Doors {
    entrance: Entrance,
    metrics: Arc<Metrics>,
    sources: Arc<sources::Door>,
}

/// Opens the doors of a collector and those of its sources at `listen`. It answers 200 when every replica that must have it has what was sent.
///
/// # Errors
/// [`Error::Topics`], [`Error::Log`], [`Error::Listen`], [`Error::Source`].
pub fn collect(cluster: &Cluster, sources: Sources, listen: SocketAddr) -> Result<Collecting, Error> {
    open(cluster.entrance()?, sources, listen)
}

/// Opens the same doors into the log of a directory, with no stitcher beneath: what comes in is on disk and waits there.
/// For who measures what collecting alone costs.
///
/// # Errors
/// [`Error::Listen`], [`Error::Source`], [`Error::System`].
pub fn collect_only(deployment: &Deployment, sources: Sources, listen: SocketAddr) -> Result<Collecting, Error> {
    open(deployment.entrance(), sources, listen)
}

fn open(entrance: Entrance, sources: Sources, listen: SocketAddr) -> Result<Collecting, Error> {
    let metrics = Arc::new(Metrics::new().map_err(std::io::Error::other)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("door").build()?;
    let refused = |why| Error::Listen { address: listen, why };
    let listener = runtime.block_on(TcpListener::bind(listen)).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let phases = Arc::new(watch::Sender::new(Phase::Open));
    // What waits in a cluster is no burden on this process; where the cluster takes nothing, appends fail.
    let is_open = Box::new(|| Ok(()));
    let pulls = Arc::new(Pulls::start(&sources, &entrance, &metrics)?);
    let door = sources::Door::new(sources, Arc::clone(&pulls), entrance.clone(), Arc::clone(&metrics), is_open);
    let sources = Arc::new(door);
    let router = router(Arc::new(Doors { entrance, metrics, sources }));
    let (handle, phase) = (runtime.handle().clone(), phases.subscribe());
    let doors = spawn("doors", move || handle.block_on(serve(listener, router, phase)))?;
    Ok(Collecting { phases, runtime, address, doors, pulls })
}

impl Collecting {
    /// Where the doors are.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for an interrupt or a SIGTERM, then answers what is on its way and ends.
    ///
    /// # Errors
    /// [`Error::Panicked`], [`Error::System`].
    pub fn until_told(self) -> Result<(), Error> {
        self.runtime.block_on(told(self.phases.subscribe()))?;
        self.stop()
    }

    /// Answers what is on its way and ends.
    ///
    /// # Errors
    /// [`Error::Panicked`].
    pub fn stop(self) -> Result<(), Error> {
        advance(&self.phases, Phase::Closing);
        let closed = self.doors.join().map_err(|_| Error::Panicked("doors"));
        self.runtime.shutdown_background();
        self.pulls.stop();
        closed
    }
}

fn router(doors: Arc<Doors>) -> Router {
    Router::new()
        .route("/v1/touchpoints", post(touchpoints))
        .route("/v1/directives", post(directives))
        .route("/healthz", get(|| async { Json(json!({ "status": "ok" })) }))
        .route("/metrics", get(metrics))
        .fallback(source)
        .layer(DefaultBodyLimit::max(body::MOST_BYTES))
        .with_state(doors)
}

async fn touchpoints(
    State(doors): State<Arc<Doors>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Receipt>, Problem> {
    take_in(doors, Door::Touchpoints, body).await
}

async fn directives(
    State(doors): State<Arc<Doors>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Receipt>, Problem> {
    take_in(doors, Door::Directives, body).await
}

async fn take_in(doors: Arc<Doors>, door: Door, body: Result<Bytes, BytesRejection>) -> Result<Json<Receipt>, Problem> {
    let body = body::whole(body)?;
    let taken = tokio::task::spawn_blocking(move || {
        let body = body::unpack(&body)?;
        door::take_in(&doors.entrance, &doors.metrics, door, &body::items(&body)?)
    });
    taken.await.unwrap_or_else(|why| Err(Problem::failed(&why))).map(Json)
}

async fn source(State(doors): State<Arc<Doors>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    doors.sources.answer(request).await.unwrap_or_else(|| nowhere(&path).into_response())
}

async fn metrics(State(doors): State<Arc<Doors>>) -> Response {
    doors.metrics.upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], doors.metrics.render([0; 3])).into_response()
}
