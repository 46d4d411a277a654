//! `musubi demo`: a retail week, played through the doors of a deployment of its own.

mod narrator;
mod player;

use std::io::{IsTerminal as _, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use musubi_core::policy::Policy;
use musubi_serve::{Census, Deployment, Disk, Key, Options, Stopper};
use narrator::{Narrator, Tale};

use crate::output;

/// How long stitching may lag behind the last touchpoint before the demonstration goes on without it.
const SETTLING: Duration = Duration::from_secs(30);
/// A week in forty seconds.
const USUAL: f64 = 7.0 * 24.0 * 60.0 * 60.0 / 40.0;

/// Watch a week of a retailer's touchpoints become persons.
///
/// Starts what `musubi up` starts, on a directory of its own and with a key for development; plays some four hundred
/// made-up touchpoints through its own HTTP door; says what happens as it happens; and then serves on until ctrl-c, so
/// that you can look around.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many times as fast as life, or `max`; the usual plays the week in 40 seconds.
    #[arg(long, value_name = "N", default_value_t = Speed::Times(USUAL))]
    speed: Speed,
    /// Where to listen; port 0 is any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8787")]
    listen: SocketAddr,
    /// Where to keep it; else a directory that is gone afterwards.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Which of the possible weeks.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// End when the week is over.
    #[arg(long)]
    exit: bool,
}

/// How fast a week goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Speed {
    /// So many times as fast as life.
    Times(f64),
    /// As fast as it goes.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let times = text.parse().ok().filter(|times: &f64| times.is_finite() && *times > 0.0);
        match text {
            "max" => Ok(Self::Max),
            _ => times.map(Self::Times).ok_or_else(|| format!("wanted a number above 0, or `max`, found `{text}`")),
        }
    }
}

impl std::fmt::Display for Speed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Times(times) => write!(f, "{times}"),
            Self::Max => f.write_str("max"),
        }
    }
}

/// Plays the week and serves on.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let temporary = args.data.is_none().then(tempfile::tempdir).transpose().context("cannot make a directory")?;
    let data = args.data.as_deref().or(temporary.as_ref().map(tempfile::TempDir::path));
    let data = data.context("there is a directory of one kind or the other")?;
    let policy = Arc::new(Policy::recommended());
    let deployment = Deployment::open(data, policy, Key::development().key, None, Options::default())?;
    let disk = deployment.disk.clone();
    let running = musubi_serve::up(deployment, musubi_serve::Sources::default(), args.listen)?;
    let show = Show { disk, address: running.address(), stopper: running.stopper() };
    let stopper = running.stopper();
    let thread = std::thread::Builder::new().name("demo".into()).spawn(move || {
        let shown = show.play(&args);
        if shown.is_err() || args.exit {
            show.stopper.stop();
        }
        shown
    })?;
    let served = running.until_told();
    stopper.stop();
    let shown = thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the demonstration panicked")));
    served?;
    shown?;
    Ok(ExitCode::SUCCESS)
}

/// The demonstration beside the deployment it runs on.
struct Show {
    disk: Disk,
    address: SocketAddr,
    stopper: Stopper,
}

impl Show {
    fn play(&self, args: &Args) -> Result<()> {
        writeln!(std::io::stderr(), "musubi serves at http://{}; here comes a week of forty customers", self.address)?;
        let over = Arc::new(AtomicBool::new(false));
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let narrator = Narrator::open(self.disk.clone(), colour)?;
        let telling = {
            let (over, stopper) = (Arc::clone(&over), self.stopper.clone());
            std::thread::Builder::new().name("narrator".into()).spawn(move || narrator.tell(&over, &stopper))?
        };
        let played = player::play(self.address, args.seed, args.speed, &self.stopper);
        let census = self.settle();
        over.store(true, Ordering::Release);
        let tale = telling.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the narrator panicked")))?;
        let (sent, census) = (played?, census?);
        if self.stopper.is_stopping() {
            return Ok(());
        }
        let mut out = output::stdout();
        summary(sent, &census, &tale, &mut out)?;
        player::addresses(self.address, &tale, &mut out)?;
        out.flush()?;
        drop(out);
        if !args.exit {
            writeln!(std::io::stderr(), "\nserving on at http://{}; ctrl-c ends it", self.address)?;
        }
        Ok(())
    }

    /// The census once everything is stitched.
    fn settle(&self) -> Result<Census> {
        let deadline = Instant::now() + SETTLING;
        loop {
            let mark = self.disk.log.mark();
            let census = Census::take(&self.disk)?;
            if census.settled || self.stopper.is_stopping() || Instant::now() > deadline {
                return Ok(census);
            }
            self.disk.log.wait_past(mark, Instant::now() + Duration::from_millis(100));
        }
    }
}

fn summary(sent: u64, census: &Census, tale: &Tale, out: &mut impl Write) -> std::io::Result<()> {
    let rows = [
        ("touchpoints sent", sent),
        ("identifiers", census.identifiers),
        ("persons", census.persons),
        ("  born", tale.born),
        ("  became known", tale.known),
        ("  merged", tale.merged),
        ("  split", tale.split),
        ("shared devices", census.shared),
    ];
    writeln!(out, "\nthe week is over")?;
    rows.iter().try_for_each(|(what, count)| writeln!(out, "  {what:<18}{count:>6}"))?;
    writeln!(out, "  {:<18}{}", "fingerprint", census.fingerprint())
}
