//! `musubi up`: collector, stitcher and lookup in one process on one directory.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use musubi_serve::{Deployment, Key, KeyOrigin, Options, Sources};

use crate::commands::policy;
use crate::configuration::{Configuration, Flags};
use crate::output;

/// Take touchpoints in over HTTP, stitch them, and answer who is who: everything in one process.
///
/// Once it listens it says where, as one JSON line on stdout. It ends on ctrl-c or SIGTERM, after what it took in is
/// stitched. Killed, it goes on where it was when it is started again: nothing that was answered with 200 is lost.
///
/// Each `[[source]]` of the configuration is taken in at an address of its own, `/in/NAME` or its `path`. Without any,
/// and as long as it listens to this machine alone, every preset can be tried at `/in/PRESET`, without keys and
/// signatures. Of the rest of the configuration, `[rules]` counts here.
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
    #[command(flatten)]
    flags: Flags,
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

/// The configured sources; without any, and where nobody else can reach them, all presets.
fn sources(configuration: &Configuration, listen: SocketAddr) -> Result<Sources> {
    let sources = configuration.all_sources()?;
    Ok(if sources.is_empty() && listen.ip().is_loopback() { Sources::to_try()? } else { sources })
}

/// Where sources are taken in, for a person to read.
fn doors(sources: &Sources, configuration: &Configuration) -> String {
    if configuration.sources.is_empty() {
        return if sources.is_empty() { String::new() } else { "to try: every preset, open, at `/in/PRESET`\n".into() };
    }
    sources.iter().map(|(path, source)| format!("source `{}` at `{path}/`\n", source.settings().name)).collect()
}

/// Serves until it is told to stop.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let configuration = args.flags.read()?;
    let configured = configuration.rules.clone();
    let rules = Rules {
        policy: args.rules.policy.or(configured.policy),
        key_file: args.rules.key_file.or(configured.key_file),
    };
    let sources = sources(&configuration, args.listen)?;
    let deployment = rules.open(&args.data, args.partitions)?;
    let (version, partitions) = (Arc::clone(&deployment.policy.version), deployment.disk.partitions);
    let running = musubi_serve::up(deployment, sources.clone(), args.listen)?;
    let address = running.address();
    write!(
        std::io::stderr(),
        "musubi serves `{}` at http://{address} ({partitions} partitions, policy {version}); ctrl-c ends it\n{}",
        args.data.display(),
        doors(&sources, &configuration)
    )?;
    let mut out = output::stdout();
    writeln!(out, "{}", serde_json::json!({ "listening": address.to_string() })).and_then(|()| out.flush())?;
    // Held, stdout would be locked against everybody else for as long as we serve.
    drop(out);
    running.until_told()?;
    Ok(ExitCode::SUCCESS)
}
