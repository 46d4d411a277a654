//! `musubi ingest`: files that systems leave, and topics that others write, become touchpoints.

mod avro;
mod drop;
mod file;
mod parquet;
mod progress;
mod rows;
mod topic;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use musubi_channels::files::Line;
use musubi_channels::{Row, SetAside, Source, Taken};
use musubi_core::time::Timestamp;
use musubi_schema::Parser;
use musubi_serve::{Piece, Put};
use serde_json::json;

use crate::configuration::{Configuration, Flags};
use crate::outlet::{Outlet, Whither};
use crate::output;

/// Take files in, or a topic that others write, as touchpoints.
///
/// A file is CSV, NDJSON or Parquet, and what its rows mean is said by a `[[source]]` of the configuration; NDJSON in
/// Musubi's own form needs none. Where it was interrupted it goes on: beside each file it keeps how many of its rows are
/// durable. Rows that cannot be read are in the quarantine, with the file and the row. Event ids come from the row, or
/// else from the file's digest and the row's number, so the same file taken in twice doubles nothing.
///
/// A source with `topic` and no file given reads that topic of the cluster: JSON, or Avro by the schema registry. It reads
/// at least once, and that is enough, since a copy is known by its event id.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The files.
    files: Vec<PathBuf>,
    /// The source, as the configuration names it; without one, lines are touchpoints in Musubi's own form.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Take in what is dropped into this directory: each file `NAME` as soon as there is `NAME.done`, which becomes
    /// `NAME.taken`. A digest in it, as `sha256sum` writes one, is checked.
    #[arg(long, value_name = "DIR", conflicts_with = "files")]
    watch: Option<PathBuf>,
    /// With `--watch`: take in what is there, and end. Of a topic: end where it ends now.
    #[arg(long)]
    once: bool,
    /// How often the directory is looked at, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    every: u64,
    /// What the files are; else their names tell.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Read files from their first row, whatever was taken in before.
    #[arg(long)]
    again: bool,
    /// Where it is kept how far a topic was read.
    #[arg(long, value_name = "DIR", default_value = ".")]
    state: PathBuf,
    /// Tell nothing of how far it is.
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    whither: Whither,
    #[command(flatten)]
    flags: Flags,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Rows with commas, or what the source's `csv` settings say.
    Csv,
    /// A JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
}

/// Takes in what is wanted.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let configuration = args.flags.read()?;
    let source = args.source.as_deref().map(|name| configuration.source(name)).transpose()?;
    let outlet = args.whither.open(&configuration)?;
    let intake = Intake { place: args.whither.name(&configuration), source, outlet };
    match (&args.watch, args.files.is_empty()) {
        (Some(directory), _) => drop::watch(args, &intake, directory),
        (None, false) => {
            for path in &args.files {
                tell(&path.display().to_string(), &file::take(args, &intake, path)?)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        (None, true) => of_topic(args, &intake, &configuration),
    }
}

fn of_topic(args: &Args, intake: &Intake, configuration: &Configuration) -> Result<ExitCode> {
    let wanted = "wanted files, `--watch DIR`, or `--source` with a `topic` in its settings";
    let source = intake.source.as_ref().context(wanted)?;
    let Some(topic) = &source.settings().topic else { bail!("{wanted}") };
    ensure!(!topic.is_empty(), "source `{}`: `topic` is empty", source.settings().name);
    let count = topic::take(args, intake, (source, topic), configuration)?;
    tell(topic, &count)?;
    Ok(ExitCode::SUCCESS)
}

/// What was taken of one file or topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    rows: u64,
    /// Rows that were durable before.
    before: u64,
    put: Put,
}

impl Count {
    fn add(&mut self, rows: u64, put: Put) {
        self.rows += rows;
        self.put.accepted += put.accepted;
        self.put.quarantined += put.quarantined;
    }
}

fn tell(what: &str, count: &Count) -> Result<()> {
    use std::io::Write as _;
    let Count { rows, before, put: Put { accepted, quarantined } } = count;
    let mut out = output::stdout();
    writeln!(
        out,
        "{}",
        json!({ "taken": what, "rows": rows, "before": before, "touchpoints": accepted, "quarantined": quarantined })
    )?;
    Ok(out.flush()?)
}

/// What rows become, and where that goes.
struct Intake {
    /// A name of where it goes.
    place: String,
    source: Option<Source>,
    outlet: Outlet,
}

impl Intake {
    fn name(&self) -> &str {
        self.source.as_ref().map_or("", |source| &source.settings().name)
    }

    /// What a row of a file becomes.
    fn row(&self, parser: &mut Parser, file: &FileName, line: &Line, received_at: Timestamp) -> Piece {
        let taken = match &self.source {
            Some(source) => source.take_row(&Row { file: &file.name, sha256: &file.sha256, line, received_at }),
            None => of_our_own(parser, line, received_at),
        };
        Piece { taken, file: Some(Arc::clone(&file.name)), row: Some(line.number) }
    }
}

/// A file, and what is in it.
struct FileName {
    name: Arc<str>,
    sha256: String,
}

/// A line in Musubi's own form.
fn of_our_own(parser: &mut Parser, line: &Line, received_at: Timestamp) -> Taken {
    let read = parser.parse_touchpoint(&line.json);
    match read {
        Ok(mut touchpoint) => {
            touchpoint.received_at.get_or_insert(received_at);
            Taken { touchpoints: vec![touchpoint], set_aside: Vec::new() }
        }
        Err(malformed) => Taken {
            touchpoints: Vec::new(),
            set_aside: vec![SetAside {
                source: malformed.source.unwrap_or_default(),
                event_id: malformed.event_id,
                reason: malformed.reason.into(),
                detail: malformed.detail,
                original: line.json.clone(),
                item: None,
                envelope: None,
            }],
        },
    }
}

fn now() -> Result<Timestamp> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Ok(Timestamp::from_micros(i64::try_from(since.as_micros())?))
}
