//! The threads beneath the doors: the stitcher's, which reads, decides and writes until it is told to stop, and the one
//! that keeps the log in bounds. Neither is ever restarted: an error ends the process, and a new one reads what is there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use musubi_log::Budget;
use musubi_stitcher::Turn;
use tokio::sync::watch;

use crate::metrics::Metrics;
use crate::{Deployment, Error, clock};

/// How much a turn takes on: enough to share its cost, little enough to be done within some ten milliseconds.
const BUDGET: Budget = Budget { records: 5_000, bytes: 16 * 1024 * 1024, patience: Duration::from_millis(200) };
/// How long what is in the log may take to be stitched when the doors have closed. What is left is stitched by the next
/// process.
const DRAIN: Duration = Duration::from_secs(10);
/// How often the log is tidied.
const UPKEEP: Duration = Duration::from_secs(5);

/// How far a deployment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The doors are open.
    Open,
    /// No new requests; those on their way are answered, and streams end.
    Closing,
    /// Nothing more comes in: the stitcher finishes what is in the log.
    Draining,
}

/// Tells everybody the phase.
pub(crate) type Phases = watch::Sender<Phase>;

/// Moves on to a phase, never back.
pub(crate) fn advance(phases: &Phases, to: Phase) {
    phases.send_if_modified(|phase| {
        let moves = (*phase as u8) < to as u8;
        if moves {
            *phase = to;
        }
        moves
    });
}

/// Closes the doors when the thread that holds it ends, however it ends: nobody is to be answered by a deployment that
/// no longer stitches.
struct LastOut(Arc<Phases>);

impl Drop for LastOut {
    fn drop(&mut self) {
        advance(&self.0, Phase::Closing);
    }
}

/// Stitches until nothing is left to be drained.
pub(crate) fn stitch(deployment: &Deployment, metrics: &Metrics, phases: Arc<Phases>) -> Result<(), Error> {
    let phase = phases.subscribe();
    let _last_out = LastOut(phases);
    let mut worker = deployment.worker()?;
    let mut deadline = None;
    loop {
        let started = Instant::now();
        let turn = worker.turn(BUDGET)?;
        if turn.undone {
            return Err(Error::UnknownOutcome);
        }
        if turn.records > 0 {
            metrics.turned(&turn, started.elapsed());
            warn_of(&turn);
        }
        if *phase.borrow() == Phase::Draining {
            let over = *deadline.get_or_insert_with(|| Instant::now() + DRAIN) <= Instant::now();
            if over || deployment.disk.lag()? == [0; 3] {
                return Ok(());
            }
        }
    }
}

pub(crate) fn warn_of(turn: &Turn) {
    for alert in &turn.alerts {
        let glue = alert.glue.first().map(|identifier| identifier.namespace_name());
        tracing::warn!(members = alert.members, most_linked = glue, "a cluster is larger than `max_cluster`");
    }
}

/// Keeps the log in bounds until the doors close. Upkeep that fails is tried again: it loses nothing but room.
pub(crate) async fn maintain(deployment: Deployment, metrics: Arc<Metrics>, mut phase: watch::Receiver<Phase>) {
    loop {
        let closed = phase.wait_for(|phase| *phase != Phase::Open);
        if tokio::time::timeout(UPKEEP, closed).await.is_ok() {
            return;
        }
        metrics.upkeep();
        let log = deployment.disk.log.clone();
        let now = clock::milliseconds(clock::now());
        match tokio::task::spawn_blocking(move || log.maintain(now)).await {
            Ok(Ok(_)) => {}
            Ok(Err(why)) => tracing::warn!(%why, "the log could not be tidied"),
            Err(why) => tracing::error!(%why, "the log's upkeep panicked"),
        }
    }
}
