//! `musubi map`: look at the mappings of payloads to touchpoints, and try them on a payload.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, ensure};
use musubi_channels::files::{Line, Rows, digest};
use musubi_channels::{Outcome, PRESETS, Record, Request, Row, Settings, Source, Taken, preset};
use musubi_core::time::Timestamp;
use musubi_schema::render_touchpoint;
use serde_json::{Value, json};

use crate::configuration::Flags;
use crate::output;

/// Look at the mappings of payloads to touchpoints, and try them.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the presets: the senders that Musubi knows.
    List,
    /// Print the mapping of a preset, in jq: copy it, change it, and name the copy as `mapping` of a source.
    Show {
        /// The preset.
        preset: String,
    },
    /// Show the touchpoints that a payload becomes, or what is wrong with it and where: the item of the payload, and line
    /// and column of the mapping. Exit with 1 where anything is set aside. No key and no signature is asked for, and
    /// nothing is kept.
    Try(Box<Try>),
}

#[derive(clap::Args)]
struct Try {
    /// The source in the configuration to try.
    #[arg(long, value_name = "NAME", required_unless_present = "preset")]
    source: Option<String>,
    /// Or a preset, by itself.
    #[arg(long, value_name = "PRESET", conflicts_with = "source")]
    preset: Option<String>,
    /// A mapping in place of the source's or the preset's.
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// The payload: the body of a request, a file of CSV or NDJSON, or the value of a record; `-` reads it from stdin.
    #[arg(value_name = "FILE")]
    payload: PathBuf,
    /// How the payload comes; else by the file's name: rows for `.csv` and `.tsv`, lines for `.ndjson`, a request for
    /// anything else.
    #[arg(long, value_enum, value_name = "HOW")]
    r#as: Option<Shape>,
    /// The path behind the source's address.
    #[arg(long, value_name = "PATH", default_value = "")]
    path: String,
    /// The query, without its question mark.
    #[arg(long, value_name = "QUERY", default_value = "")]
    query: String,
    /// A header of the request or of the record.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// When it was received, as RFC 3339; else now.
    #[arg(long, value_name = "TIME")]
    received_at: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

/// How a payload comes.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shape {
    /// The body of a request.
    Request,
    /// Rows of CSV.
    Rows,
    /// Lines of JSON.
    Lines,
    /// The value of a record of a topic.
    Record,
}

/// Does what is wanted of the mappings.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let (answer, code) = match args.command {
        Command::List => (list(), ExitCode::SUCCESS),
        Command::Show { preset } => (known(&preset)?.mapping.to_owned(), ExitCode::SUCCESS),
        Command::Try(wanted) => {
            let taken = wanted.take()?;
            let code = if taken.set_aside.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) };
            (told(&taken)?, code)
        }
    };
    let mut out = output::stdout();
    out.write_all(answer.as_bytes()).and_then(|()| out.flush()).context("cannot write the answer")?;
    Ok(code)
}

/// The presets with the first line of their mappings, which says what they are, and whether they run natively.
fn list() -> String {
    let about = |mapping: &str| {
        let first = mapping.lines().next().unwrap_or_default();
        first.trim_start_matches(['#', ' ']).to_owned()
    };
    PRESETS
        .iter()
        .map(|preset| {
            let runs = if preset.is_native() { "native" } else { "jq" };
            format!("{:<15} {:<8} {runs:<7} {}\n", preset.name, preset.channel, about(preset.mapping))
        })
        .collect()
}

fn known(name: &str) -> Result<&'static musubi_channels::Preset> {
    preset(name).ok_or_else(|| {
        let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        anyhow!("wanted one of {}, found `{name}`", names.join(", "))
    })
}

impl Try {
    fn take(&self) -> Result<Taken> {
        let source = self.source()?;
        let payload = read(&self.payload)?;
        let received_at = match &self.received_at {
            Some(text) => musubi_schema::parse_time(text).with_context(|| format!("wanted a time, found `{text}`"))?,
            None => now()?,
        };
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|header| split(header)).collect::<Result<_>>()?;
        match self.shape() {
            Shape::Rows => {
                let rows = Rows::new(payload.as_slice(), &source.settings().csv)?;
                rows_of(&source, &self.payload, &payload, rows, received_at)
            }
            Shape::Lines => {
                let lines =
                    payload.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
                let lines = (1..).zip(lines).map(|(number, line)| Ok(Line::ndjson(number, line.to_vec())));
                rows_of(&source, &self.payload, &payload, lines, received_at)
            }
            Shape::Record => {
                let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
                let position = ("sample", 0, 0);
                let value = Some(payload.as_slice());
                Ok(source.take_record(&Record { position, key: None, value, headers: &headers, received_at }))
            }
            Shape::Request => {
                let (path, query) = (self.path.as_str(), self.query.as_str());
                let request = Request { method: "POST", path, query, headers: &headers, body: &payload, received_at };
                let Outcome { taken, .. } = source.take(&request);
                Ok(taken)
            }
        }
    }

    /// The source without its door: whoever has the configuration needs no key.
    fn source(&self) -> Result<Source> {
        let settings = match (&self.source, &self.preset) {
            (Some(name), _) => self.configured(name)?,
            (None, Some(name)) => musubi_serve::open_settings(known(name)?.name),
            (None, None) => return Err(anyhow!("wanted `--source` or `--preset`")),
        };
        let mapping = self.mapping.clone().or_else(|| settings.mapping.clone());
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read the mapping `{}`", path.display()))
        };
        let text = mapping.as_ref().map(read).transpose()?;
        Ok(Source::to_try(Settings { mapping, ..settings }, text.as_deref())?)
    }

    fn configured(&self, name: &str) -> Result<Settings> {
        let settings = self.flags.read()?.source_settings()?;
        let names: Vec<&str> = settings.iter().map(|settings| settings.name.as_str()).collect();
        let unknown = format!("wanted one of the sources [{}], found `{name}`", names.join(", "));
        settings.into_iter().find(|settings| settings.name == name).context(unknown)
    }

    fn shape(&self) -> Shape {
        self.r#as.unwrap_or_else(|| match self.payload.extension().and_then(|extension| extension.to_str()) {
            Some("csv" | "tsv") => Shape::Rows,
            Some("ndjson" | "jsonl") => Shape::Lines,
            _ => Shape::Request,
        })
    }
}

fn rows_of(
    source: &Source,
    path: &Path,
    payload: &[u8],
    lines: impl Iterator<Item = std::io::Result<Line>>,
    received_at: Timestamp,
) -> Result<Taken> {
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let sha256 = digest(payload)?;
    let mut all = Taken::default();
    for line in lines {
        let line = line.with_context(|| format!("`{}`", path.display()))?;
        let taken = source.take_row(&Row { file: &file, sha256: &sha256, line: &line, received_at });
        all.touchpoints.extend(taken.touchpoints);
        let place = usize::try_from(line.number).ok();
        all.set_aside.extend(taken.set_aside.into_iter().map(|mut aside| {
            aside.item = place;
            aside
        }));
    }
    Ok(all)
}

fn split(header: &str) -> Result<(&str, &str)> {
    let (name, value) = header.split_once(':').with_context(|| format!("wanted `name: value`, found `{header}`"))?;
    Ok((name.trim(), value.trim()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut payload = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut payload).context("cannot read stdin")?;
        return Ok(payload);
    }
    std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

fn now() -> Result<Timestamp> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let micros = i64::try_from(since.as_micros())?;
    ensure!(micros > 0, "the clock stands before 1970");
    Ok(Timestamp::from_micros(micros))
}

/// A line of canonical JSON for each touchpoint, and one with `set_aside` for each thing that is none.
fn told(taken: &Taken) -> Result<String> {
    let mut out = Vec::new();
    for touchpoint in &taken.touchpoints {
        render_touchpoint(touchpoint, &mut out);
        out.push(b'\n');
    }
    for aside in &taken.set_aside {
        let original = serde_json::from_slice::<Value>(&aside.original)
            .unwrap_or_else(|_| String::from_utf8_lossy(&aside.original).into());
        let line = json!({ "set_aside": aside.reason, "detail": aside.detail, "item": aside.item,
            "event_id": aside.event_id, "original": original });
        out.extend_from_slice(line.to_string().as_bytes());
        out.push(b'\n');
    }
    Ok(String::from_utf8(out)?)
}
