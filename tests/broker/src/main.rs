//! The test broker as a process of its own, for tests of several processes and for clients in other languages.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use musubi_broker::{Broker, Settings};

/// A broker for tests on the wire of Apache Kafka. Not for data that anybody needs.
///
/// Prints its address on stdout when it serves, then that of the control port.
#[derive(Parser)]
struct Arguments {
    /// Where clients connect; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where faults are taken, a line each
    #[arg(long)]
    control: Option<SocketAddr>,
    /// Directory in which everything survives the process
    #[arg(long)]
    data: Option<PathBuf>,
    /// Refuse topics that nobody created
    #[arg(long)]
    no_auto_create: bool,
    /// Partitions of topics that come into being by themselves
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// Every how many ms what was written becomes safe from `restart lose`; 0 is only on command
    #[arg(long, default_value_t = 500)]
    sync_ms: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let settings = Settings {
        listen: arguments.listen,
        control: arguments.control,
        data: arguments.data,
        auto_create: !arguments.no_auto_create,
        default_partitions: arguments.partitions,
        sync_every: (arguments.sync_ms > 0).then(|| Duration::from_millis(arguments.sync_ms)),
        ..Settings::default()
    };
    let broker = std::thread::spawn(|| Broker::start(settings)).join().map_err(|_| "the broker cannot start")??;
    let mut out = std::io::stdout();
    writeln!(out, "{}", broker.bootstrap())?;
    if let Some(control) = broker.control() {
        writeln!(out, "control {control}")?;
    }
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
