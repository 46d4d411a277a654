//! `musubi quarantine`: what was set aside, shown, and taken again once what was wrong is mended.

mod again;
mod kept;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use kept::Kept;
use musubi_serve::Put;

use self::again::Again;
use crate::configuration::{Configuration, Flags};
use crate::outlet::Whither;
use crate::output;

/// See what was set aside and why, and take it again.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List what was set aside, oldest first in each partition.
    List(List),
    /// Print the bytes of one as they came, and nothing else.
    Show(Show),
    /// Take what was set aside again, as it stood.
    ///
    /// A touchpoint or a directive in Musubi's own form goes to its topic. Anything else is mapped by its source as it is
    /// configured now. It keeps the time of its first receipt and its event id, so to retry it twice, or to retry what
    /// came through another way meanwhile, makes a copy and counts once. Nothing is removed from the quarantine, which is
    /// a log; and what still cannot be read is told and not set aside once more. Exits with 1 where there is such.
    Retry(Retry),
}

/// Which.
#[derive(clap::Args)]
struct Filter {
    /// Only of this source.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only for this reason, such as `unmappable`.
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
}

/// Of which deployment.
#[derive(clap::Args)]
struct Deployment {
    #[command(flatten)]
    whither: Whither,
    #[command(flatten)]
    flags: Flags,
}

#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    filter: Filter,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    deployment: Deployment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For pipes: the record, one JSON object a line.
    Json,
}

#[derive(clap::Args)]
struct Show {
    /// Which, as `list` names it: `PARTITION:OFFSET`.
    id: String,
    #[command(flatten)]
    deployment: Deployment,
}

#[derive(clap::Args)]
struct Retry {
    /// Which, as `list` names them; without any, all that `--source` and `--reason` leave.
    ids: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Also take what did not prove to be its sender's: without the source's key, or with a wrong signature.
    #[arg(long)]
    trust: bool,
    #[command(flatten)]
    deployment: Deployment,
}

impl Filter {
    fn passes(&self, kept: &Kept) -> bool {
        let source = self.source.as_deref().is_none_or(|source| kept.source.as_deref() == Some(source));
        source && self.reason.as_deref().is_none_or(|reason| kept.reason == reason)
    }
}

/// Does what is wanted of the quarantine.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Show(args) => show(&args),
        Command::Retry(args) => retry(&args),
    }
}

fn list(args: &List) -> Result<ExitCode> {
    let configuration = args.deployment.flags.read()?;
    let mut out = output::stdout();
    kept::each(&args.deployment.whither, &configuration, |kept, line| {
        if args.filter.passes(&kept) {
            match args.format {
                Format::Json => writeln!(out, "{}", line.trim_end())?,
                Format::Text => writeln!(out, "{}", told(&kept))?,
            }
        }
        Ok(())
    })?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// One that was set aside, on one line for a person to read.
fn told(kept: &Kept) -> String {
    let source = kept.source.as_deref().unwrap_or("?");
    let event = kept.event_id.as_deref().map(|event| format!(" `{event}`")).unwrap_or_default();
    let place = match (&kept.file, kept.line) {
        (Some(file), Some(line)) => format!(" ({file}, row {line})"),
        (Some(file), None) => format!(" ({file})"),
        (None, _) => String::new(),
    };
    format!("{}  {}  {source}{event}{place}  {}: {}", kept.id, kept.time, kept.reason, kept.detail)
}

fn show(args: &Show) -> Result<ExitCode> {
    let configuration = args.deployment.flags.read()?;
    let mut found = None;
    kept::each(&args.deployment.whither, &configuration, |kept, _| {
        if kept.id == args.id {
            found = Some(kept.original);
        }
        Ok(())
    })?;
    let Some(original) = found else {
        bail!("nothing was set aside at `{}`: `musubi quarantine list` names all", args.id)
    };
    let mut out = output::stdout();
    out.write_all(&original)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn retry(args: &Retry) -> Result<ExitCode> {
    let named = !args.ids.is_empty() || args.filter.source.is_some() || args.filter.reason.is_some();
    ensure!(named, "wanted what to retry: the ids that `musubi quarantine list` gives, `--source` or `--reason`");
    let configuration = args.deployment.flags.read()?;
    let mut wanted = Vec::new();
    kept::each(&args.deployment.whither, &configuration, |kept, _| {
        if args.filter.passes(&kept) && (args.ids.is_empty() || args.ids.contains(&kept.id)) {
            wanted.push(kept);
        }
        Ok(())
    })?;
    let unknown = args.ids.iter().find(|id| wanted.iter().all(|kept| kept.id != **id));
    if let Some(id) = unknown {
        bail!("nothing that fits was set aside at `{id}`: `musubi quarantine list` names all");
    }
    Retrying::new(args, &configuration)?.all(&wanted)
}

/// A retry at work.
struct Retrying<'a> {
    args: &'a Retry,
    configuration: &'a Configuration,
    outlet: Option<crate::outlet::Outlet>,
}

impl<'a> Retrying<'a> {
    fn new(args: &'a Retry, configuration: &'a Configuration) -> Result<Self> {
        let open = |_: bool| args.deployment.whither.open(configuration);
        Ok(Self { args, configuration, outlet: (!args.dry_run).then_some(true).map(open).transpose()? })
    }

    fn all(&self, wanted: &[Kept]) -> Result<ExitCode> {
        let (mut out, mut refused) = (output::stdout(), 0_usize);
        for kept in wanted {
            let again = again::decide(kept, self.args.trust, |name| self.configuration.source(name).ok());
            let said = match again {
                Again::No(why) => {
                    refused += 1;
                    format!("not taken: {why}")
                }
                again if self.outlet.is_none() => format!("would be taken as {}", again.told()),
                again => {
                    let Put { accepted, quarantined } = self.one(&again)?;
                    refused += usize::from(quarantined > 0);
                    format!("taken as {}: {accepted} accepted, {quarantined} set aside again", again.told())
                }
            };
            writeln!(out, "{}  {said}", kept.id)?;
        }
        out.flush()?;
        Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn one(&self, again: &Again) -> Result<Put> {
        let Some(outlet) = &self.outlet else { return Ok(Put::default()) };
        let mut all = Put::default();
        match again {
            Again::Directive(line) => return outlet.direct(line),
            Again::Touchpoints(touchpoints) => {
                for touchpoint in touchpoints {
                    let put = outlet.put_touchpoint(touchpoint.clone())?;
                    all.accepted += put.accepted;
                    all.quarantined += put.quarantined;
                }
            }
            Again::No(_) => {}
        }
        Ok(all)
    }
}
