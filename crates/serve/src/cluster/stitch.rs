//! A stitcher on a cluster: its workers, and the door where it says how it is.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use musubi_log::Budget;
use musubi_log::kafka::{self, Group, Lag, Progress, Watchdog};
use musubi_stitcher::topics::{INPUTS, MESH};
use musubi_stitcher::{Replica, Worker};
use musubi_store::{self as store, Rocks};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::Cluster;
use crate::Error;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::running::{serve, spawn, told};
use crate::stitcher::{Phase, Phases, advance, warn_of};

/// How long a worker waits for something to come before it looks whether it is to end.
const PATIENCE: Duration = Duration::from_millis(100);
/// The largest batch in bytes.
const BYTES: usize = 32 * 1024 * 1024;
/// How often what everybody has read of the mesh is deleted.
const PURGE: Duration = Duration::from_secs(30);

/// A stitcher at work. It ends by [`Stitching::until_told`], or by itself where a worker fails.
pub struct Stitching {
    phases: Arc<Phases>,
    runtime: Runtime,
    address: Option<SocketAddr>,
    doors: Option<JoinHandle<()>>,
    workers: Vec<JoinHandle<Result<(), Error>>>,
    group: Option<Group>,
}

/// Joins the group and works, with its state in `directory`. Says how it is at `listen`, where one is given.
///
/// # Errors
/// [`Error::Topics`] where the topics are not what they should be; [`Error::Mismatch`] and [`Error::Store`] for the
/// directory; [`Error::Log`] for the cluster; [`Error::Listen`].
pub fn stitch(cluster: &Cluster, directory: &Path, listen: Option<SocketAddr>) -> Result<Stitching, Error> {
    cluster.check()?;
    let rocks = cluster.state_or_aside(directory)?;
    let metrics = Arc::new(Metrics::new().map_err(std::io::Error::other)?);
    let phases = Arc::new(watch::Sender::new(Phase::Open));
    let group = Group::join(cluster.settings.clone(), Arc::new(Replica(rocks.clone())), Watchdog::ending())?;
    let mut workers = Vec::new();
    for number in 0..cluster.settings.workers.max(1) {
        let worker = worker(cluster, &group, rocks.clone(), number);
        let (metrics, phases, batch) = (Arc::clone(&metrics), Arc::clone(&phases), cluster.batch);
        let place = directory.to_owned();
        let work = move || work(worker, batch, &metrics, &phases).inspect_err(|why| note(&place, why));
        workers.push(spawn(&format!("worker-{number}"), work)?);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.spawn(purge(cluster.settings.clone(), phases.subscribe()));
    let mut stitching = Stitching { phases, runtime, address: None, doors: None, workers, group: Some(group) };
    if let Some(listen) = listen {
        stitching.open(cluster, listen, metrics)?;
    }
    Ok(stitching)
}

fn worker(cluster: &Cluster, group: &Group, rocks: Rocks, number: usize) -> Worker<kafka::Worker, Rocks> {
    let (policy, key) = (Arc::clone(&cluster.policy), cluster.key.clone());
    let worker = Worker::new(group.worker(number), rocks, policy, key, cluster.settings.partitions, cluster.machine);
    worker.with_contract(cluster.contract.clone(), cluster.writers.clone())
}

/// Works until told to stop: the batch at hand is finished first.
fn work(
    mut worker: Worker<kafka::Worker, Rocks>,
    batch: usize,
    metrics: &Metrics,
    phases: &Phases,
) -> Result<(), Error> {
    let phase = phases.subscribe();
    let budget = Budget { records: batch, bytes: BYTES, patience: PATIENCE };
    let worked = loop {
        if *phase.borrow() != Phase::Open {
            break Ok(());
        }
        let started = Instant::now();
        match worker.turn(budget) {
            Ok(turn) if turn.records > 0 => {
                metrics.turned(&turn, started.elapsed());
                warn_of(&turn);
            }
            Ok(_) => {}
            // What it is cannot be told now, and must not be guessed: it waits.
            Err(why @ musubi_stitcher::Error::Schema(_)) => {
                tracing::warn!(%why, "records wait for their schema");
                std::thread::sleep(PATIENCE);
            }
            Err(why) => break Err(Error::from(why)),
        }
    };
    // Nobody is to take a process for one that works when a part of it does not.
    advance(phases, Phase::Closing);
    worked
}

/// Tells the next process that the state is damaged, where that is what ended this one.
fn note(directory: &Path, why: &Error) {
    use musubi_stitcher::Error as Worked;
    let damage = match why {
        Error::Stitcher(Worked::Store(why)) => Some(why),
        Error::Stitcher(Worked::Log(musubi_log::Error::State(why))) => why.downcast_ref::<store::Error>(),
        _ => None,
    };
    let Some(damage) = damage.filter(|damage| damage.is_damage()) else { return };
    tracing::error!(%damage, "the state is damaged: the next start sets it aside and restores it");
    if let Err(why) = store::note_damage(directory, &damage.to_string()) {
        tracing::error!(%why, "that could not be noted");
    }
}

/// Deletes what everybody has read of the mesh, from time to time. What fails is done the next time.
async fn purge(settings: kafka::Settings, mut phase: watch::Receiver<Phase>) {
    loop {
        let closed = phase.wait_for(|phase| *phase != Phase::Open);
        if tokio::time::timeout(PURGE, closed).await.is_ok() {
            return;
        }
        let settings = settings.clone();
        match tokio::task::spawn_blocking(move || kafka::purge(&settings, &MESH)).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => tracing::warn!(%why, "what was read of the mesh could not be deleted"),
            Err(why) => tracing::error!(%why, "deleting what was read panicked"),
        }
    }
}

impl Stitching {
    /// Where it says how it is.
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    fn open(&mut self, cluster: &Cluster, listen: SocketAddr, metrics: Arc<Metrics>) -> Result<(), Error> {
        let refused = |why| Error::Listen { address: listen, why };
        let listener = self.runtime.block_on(TcpListener::bind(listen)).map_err(refused)?;
        self.address = Some(listener.local_addr().map_err(refused)?);
        let progress = self.group.as_ref().map(Group::progress).unwrap_or_default();
        let state = Arc::new(Health { settings: cluster.settings.clone(), progress, metrics });
        let router =
            Router::new().route("/healthz", get(health)).route("/metrics", get(metrics_text)).with_state(state);
        let (handle, phase) = (self.runtime.handle().clone(), self.phases.subscribe());
        self.doors = Some(spawn("doors", move || handle.block_on(serve(listener, router, phase)))?);
        Ok(())
    }

    /// Stops it from another thread.
    pub fn stopper(&self) -> impl Fn() + Send + Sync + 'static {
        let phases = Arc::clone(&self.phases);
        move || advance(&phases, Phase::Closing)
    }

    /// Waits for an interrupt, a SIGTERM, a stop or a worker's failure; then finishes the batches at hand, and leaves.
    ///
    /// # Errors
    /// What stopped a worker, where that was not us.
    pub fn until_told(mut self) -> Result<(), Error> {
        let phase = self.phases.subscribe();
        self.runtime.block_on(told(phase))?;
        advance(&self.phases, Phase::Closing);
        let mut worked = Ok(());
        for worker in self.workers.drain(..) {
            worked = worked.and(worker.join().unwrap_or(Err(Error::Panicked("worker"))));
        }
        // After the workers: they commit under the group's name.
        if let Some(group) = self.group.take() {
            group.leave();
        }
        let doors = self.doors.take().map_or(Ok(()), |doors| doors.join().map_err(|_| Error::Panicked("doors")));
        self.runtime.shutdown_background();
        worked.and(doors)
    }
}

struct Health {
    settings: kafka::Settings,
    progress: Progress,
    metrics: Arc<Metrics>,
}

impl Health {
    async fn lag(self: &Arc<Self>) -> Result<Vec<Lag>, Problem> {
        let settings = self.settings.clone();
        let asked = tokio::task::spawn_blocking(move || kafka::lag(&settings)).await;
        asked.map_err(|why| Problem::failed(&why))?.map_err(|why| Problem::failed(&why))
    }
}

async fn health(State(health): State<Arc<Health>>) -> Json<serde_json::Value> {
    let restoring = health.progress.now();
    let restoring = restoring.iter().map(|(partition, restoring)| {
        json!({ "partition": partition, "from": restoring.from, "at": restoring.at, "end": restoring.end })
    });
    Json(json!({ "status": "ok", "restoring": restoring.collect::<Vec<_>>() }))
}

async fn metrics_text(State(health): State<Arc<Health>>) -> Result<Response, Problem> {
    let all = health.lag().await?;
    let behind = |topic| all.iter().filter(|lag| lag.topic == topic).map(Lag::behind).sum();
    health.metrics.restoring(&health.progress.now());
    let text = health.metrics.render(INPUTS.map(behind));
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
