//! A deployment at work: its threads, its doors, and how it comes to an end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::metrics::Metrics;
use crate::routes::{self, Doors};
use crate::sources::{Door, Pulls, Sources};
use crate::stitcher::{Phase, Phases, advance, maintain, stitch};
use crate::{Deployment, Error};

/// How long requests on their way may take once the doors close.
const CLOSING: Duration = Duration::from_secs(10);

/// A deployment at work. It ends by [`Running::stop`] or, where the stitcher fails, by itself; dropped without either, it
/// stops as well.
pub struct Running {
    deployment: Deployment,
    address: SocketAddr,
    phases: Arc<Phases>,
    runtime: Option<Runtime>,
    doors: Option<JoinHandle<()>>,
    stitcher: Option<JoinHandle<Result<(), Error>>>,
    pulls: Arc<Pulls>,
}

/// Stops a deployment from another thread.
#[derive(Clone)]
pub struct Stopper(Arc<Phases>);

impl Stopper {
    /// Closes the doors; [`Running::until_told`] then goes on.
    pub fn stop(&self) {
        advance(&self.0, Phase::Closing);
    }

    /// Whether the doors are closed, by whomever.
    pub fn is_stopping(&self) -> bool {
        *self.0.borrow() != Phase::Open
    }
}

/// Starts the stitcher of a deployment and opens its doors and those of its sources at `listen`, of which port 0 is any
/// that is free.
///
/// # Errors
/// [`Error::Listen`], [`Error::Source`] and [`Error::System`].
pub fn up(deployment: Deployment, sources: Sources, listen: SocketAddr) -> Result<Running, Error> {
    let metrics = Arc::new(Metrics::new().map_err(std::io::Error::other)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("door").build()?;
    let refused = |why| Error::Listen { address: listen, why };
    let listener = runtime.block_on(TcpListener::bind(listen)).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let phases = Arc::new(watch::Sender::new(Phase::Open));
    let is_open = {
        let deployment = deployment.clone();
        Box::new(move || routes::check_lag(&deployment))
    };
    let pulls = Arc::new(Pulls::start(&sources, &deployment.entrance(), &metrics)?);
    let door = Door::new(sources, Arc::clone(&pulls), deployment.entrance(), Arc::clone(&metrics), is_open);
    let router = routes::router(Arc::new(Doors {
        deployment: deployment.clone(),
        metrics: Arc::clone(&metrics),
        phase: phases.subscribe(),
        tails: AtomicUsize::new(0),
        sources: Arc::new(door),
    }));
    runtime.spawn(maintain(deployment.clone(), Arc::clone(&metrics), phases.subscribe()));
    let stitcher = {
        let (deployment, phases) = (deployment.clone(), Arc::clone(&phases));
        spawn("stitcher", move || stitch(&deployment, &metrics, phases))?
    };
    let doors = {
        let (handle, phases) = (runtime.handle().clone(), Arc::clone(&phases));
        spawn("doors", move || handle.block_on(serve(listener, router, phases.subscribe())))?
    };
    let (doors, stitcher) = (Some(doors), Some(stitcher));
    Ok(Running { deployment, address, phases, runtime: Some(runtime), doors, stitcher, pulls })
}

pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    Ok(std::thread::Builder::new().name(name.to_owned()).spawn(work)?)
}

/// Serves until the doors close, and then what is on its way for as long as that may take.
pub(crate) async fn serve(listener: TcpListener, router: axum::Router, phase: watch::Receiver<Phase>) {
    let closed = |mut phase: watch::Receiver<Phase>| async move {
        // An error means that the deployment is gone, which is as closed as can be.
        let _ = phase.wait_for(|phase| *phase != Phase::Open).await;
    };
    let server = axum::serve(listener, router).with_graceful_shutdown(closed(phase.clone())).into_future();
    let overdue = async {
        closed(phase).await;
        tokio::time::sleep(CLOSING).await;
    };
    tokio::select! {
        outcome = server => if let Err(why) = outcome {
            tracing::error!(%why, "the doors failed");
        },
        () = overdue => tracing::warn!("requests that were still on their way were cut off"),
    }
}

impl Running {
    /// Where the doors are.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The deployment.
    pub const fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// A handle that stops it from elsewhere.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.phases))
    }

    /// Waits for an interrupt (ctrl-c), a SIGTERM, or the stitcher's failure, and then stops.
    ///
    /// # Errors
    /// As for [`Running::stop`].
    pub fn until_told(mut self) -> Result<(), Error> {
        let phase = self.phases.subscribe();
        if let Some(runtime) = &self.runtime {
            runtime.block_on(told(phase))?;
        }
        self.finish()
    }

    /// Closes the doors, lets the stitcher finish what is in the log, and writes everything down.
    ///
    /// # Errors
    /// What stopped the stitcher, where that was not us.
    pub fn stop(mut self) -> Result<(), Error> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), Error> {
        advance(&self.phases, Phase::Closing);
        let doors = self.doors.take().map_or(Ok(()), |doors| doors.join().map_err(|_| Error::Panicked("doors")));
        // Gone without waiting: whoever still writes a body has had the time for it.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        self.pulls.stop();
        advance(&self.phases, Phase::Draining);
        let stitched =
            self.stitcher.take().map_or(Ok(()), |stitcher| stitcher.join().unwrap_or(Err(Error::Panicked("stitcher"))));
        let flushed = self.deployment.disk.log.flush().map_err(Error::from);
        stitched.and(doors).and(flushed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(why) = self.finish() {
            tracing::error!(%why, "the deployment did not end well");
        }
    }
}

#[cfg(unix)]
pub(crate) async fn told(mut phase: watch::Receiver<Phase>) -> Result<(), Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = phase.wait_for(|phase| *phase != Phase::Open) => {}
    }
    Ok(())
}

#[cfg(not(unix))]
pub(crate) async fn told(mut phase: watch::Receiver<Phase>) -> Result<(), Error> {
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome?,
        _ = phase.wait_for(|phase| *phase != Phase::Open) => {}
    }
    Ok(())
}
