//! `musubi up`: collector, stitcher and lookup in one process on one directory.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use musubi_serve::{Deployment, Key, KeyOrigin, Options};

use crate::commands::policy;
use crate::output;

/// Take touchpoints in over HTTP, stitch them, and answer who is who: everything in one process.
///
/// Once it listens it says where, as one JSON line on stdout. It ends on ctrl-c or SIGTERM, after what it took in is
/// stitched. Killed, it goes on where it was when it is started again: nothing that was answered with 200 is lost.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the log and the state are; made where there is nothing.
    #[arg(long, value_name = "DIR", default_value = "musubi-data")]
    data: PathBuf,
    /// Where to listen; port 0 is any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8787")]
    listen: SocketAddr,
    #[command(flatten)]
    rules: Rules,
    /// How many partitions a fresh directory gets, for life; else 4.
    #[arg(long, value_name = "N")]
    partitions: Option<u32>,
}

/// What rules a deployment.
#[derive(clap::Args)]
pub(crate) struct Rules {
    /// The policy file; else the recommended policy (see `musubi policy default`).
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A file with the deployment's secret; else what `MUSUBI_KEY` holds, else a key for development that all know.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl Rules {
    /// Opens the directory under these rules.
    pub(crate) fn open(&self, data: &std::path::Path, partitions: Option<u32>) -> Result<Deployment> {
        let policy = Arc::new(policy::read_or_recommended(self.policy.as_deref())?);
        let key = Key::find(self.key_file.as_deref())?;
        if key.origin == KeyOrigin::Development {
            tracing::warn!(
                "no `MUSUBI_KEY` and no `--key-file`: person ids are made with a key that everybody knows, which is for \
                 development only"
            );
        }
        Deployment::open(data, policy, key.key, partitions, Options::default())
            .with_context(|| format!("cannot open `{}`", data.display()))
    }
}

/// Serves until it is told to stop.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let deployment = args.rules.open(&args.data, args.partitions)?;
    let (version, partitions) = (Arc::clone(&deployment.policy.version), deployment.disk.partitions);
    let running = musubi_serve::up(deployment, args.listen)?;
    let address = running.address();
    writeln!(
        std::io::stderr(),
        "musubi serves `{}` at http://{address} ({partitions} partitions, policy {version}); ctrl-c ends it",
        args.data.display()
    )?;
    let mut out = output::stdout();
    writeln!(out, "{}", serde_json::json!({ "listening": address.to_string() })).and_then(|()| out.flush())?;
    // Held, stdout would be locked against everybody else for as long as we serve.
    drop(out);
    running.until_told()?;
    Ok(ExitCode::SUCCESS)
}
