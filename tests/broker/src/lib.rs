//! A broker for tests, on the wire of Apache Kafka. It is test equipment: it ships in no binary.
//!
//! One process is the whole cluster: one broker, one replica, all coordinators. It does what Kafka 4.0 documents for
//! clients of the classic group protocol and of transactions without KIP-890's second part, which librdkafka 2.12,
//! confluent-kafka, kcat and kafkajs are. The probe suite (`tests/tests/probes.rs`) holds it to a real cluster.
//!
//! What it is *not*: it has no security, no replication, no KIP-848, no quotas, no tiers, no log-append time, and its
//! records are all in memory (a data directory only lets them survive the process). `UNKNOWN_PRODUCER_ID` is never
//! answered by itself, as by Kafka since 2.4; it can be asked for by [`Faults::refuse`].
//!
//! # Faults over a port
//!
//! [`Settings::control`] opens a second port on which each line is a fault and is answered with `ok` or `error: …`.
//! Times are in milliseconds; names of requests and errors are Kafka's.
//!
//! ```text
//! delay-end-txn MS TIMES      double-end-txn MS TIMES     lag-markers MS
//! load-coordinators TIMES     move-coordinators TIMES     refuse EndTxn NOT_COORDINATOR TIMES
//! lose-answers EndTxn TIMES   slow-fetches MS             cut-connections
//! hold-syncs on|off           sync                        restart keep|lose MS
//! compact TOPIC               expire TOPIC                show-topics-late MS
//! clear
//! ```

mod admin;
mod batch;
mod cluster;
mod faults;
mod fetch;
mod groups;
mod housekeeping;
mod journal;
mod log;
mod members;
mod node;
mod offsets;
mod positions;
mod produce;
mod server;
mod topics;
mod transactions;
mod wire;
mod writers;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use kafka_protocol::ResponseError;
pub use kafka_protocol::messages::ApiKey;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub use crate::faults::{Faults, Tail};
use crate::node::Node;

/// How a broker is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where clients connect; port 0 takes a free one. The broker tells them 127.0.0.1.
    pub listen: SocketAddr,
    /// Where faults are taken as lines of text.
    pub control: Option<SocketAddr>,
    /// Directory in which everything survives the process.
    pub data: Option<PathBuf>,
    /// Whether a topic comes into being when a client asks for it (`auto.create.topics.enable`).
    pub auto_create: bool,
    /// Partitions of a topic for which nobody said how many (`num.partitions`).
    pub default_partitions: i32,
    /// The least session timeout a member may ask for. Kafka's is 6 s; tests are in more of a hurry.
    pub min_session_timeout: Duration,
    /// How long the first rebalance of a group waits for more members (`group.initial.rebalance.delay.ms`).
    pub initial_rebalance_delay: Duration,
    /// How often what was written becomes safe from a restart that loses; `None` is only on command.
    pub sync_every: Option<Duration>,
    /// How often compaction and retention look for work; `None` is only on command.
    pub housekeeping_every: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            control: None,
            data: None,
            auto_create: true,
            default_partitions: 1,
            min_session_timeout: Duration::from_millis(100),
            initial_rebalance_delay: Duration::ZERO,
            sync_every: Some(Duration::from_millis(500)),
            housekeeping_every: Some(Duration::from_millis(500)),
        }
    }
}

/// Why a broker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port cannot be had.
    #[error("cannot listen on `{address}`: {source}")]
    Listen {
        /// The address wanted.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data directory cannot be read or written.
    #[error("cannot use the data directory: {0}")]
    Data(std::io::Error),
    /// No threads to run on.
    #[error("cannot start a runtime: {0}")]
    Runtime(std::io::Error),
}

/// A broker that runs until it is dropped.
pub struct Broker {
    faults: Faults,
    address: SocketAddr,
    control: Option<SocketAddr>,
    runtime: Option<Runtime>,
}

impl Broker {
    /// Starts a broker on threads of its own. It serves when this returns.
    ///
    /// # Errors
    /// If the port, the data directory or threads cannot be had.
    pub fn start(settings: Settings) -> Result<Self, Error> {
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        threads.worker_threads(2).thread_name("test-broker").enable_all();
        let runtime = threads.build().map_err(Error::Runtime)?;
        let (listener, address) = listen(&runtime, settings.listen)?;
        let control = settings.control.map(|control| listen(&runtime, control)).transpose()?;
        // Opened inside the runtime: the ends of transactions are tasks.
        let opened = runtime.block_on(async { Node::open(settings, address.port()) });
        let node = opened.map_err(Error::Data)?;
        let faults = Faults(node.clone());
        runtime.spawn(server::keep_time(node.clone()));
        runtime.spawn(server::accept(node, listener));
        let control = control.map(|(listener, address)| {
            runtime.spawn(server::take_faults(faults.clone(), listener));
            address
        });
        Ok(Self { faults, address, control, runtime: Some(runtime) })
    }

    /// What clients put into `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.address.port())
    }

    /// Where faults are taken as text, if the settings asked for it.
    pub fn control(&self) -> Option<SocketAddr> {
        self.control
    }

    /// The handle by which the broker is made to fail.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn listen(runtime: &Runtime, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { address, source };
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
