//! `musubi generate`: a believable stream of touchpoints, with the truth about whose they are if wanted.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use musubi_generator::{Generator, Line, Options, Shape};

use crate::output::Output;

/// Write a believable stream of touchpoints, one JSON object a line.
///
/// Equal options give equal bytes. Copies of touchpoints and malformed lines come on top of the touchpoints asked for.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many real persons there are.
    #[arg(long, value_name = "N")]
    persons: u64,
    /// How many distinct touchpoints they leave.
    #[arg(long, value_name = "M")]
    touchpoints: u64,
    /// Which of the possible streams.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// What kind of business: `retail`, `b2b` or `hostile`, which is retail on its worst day.
    #[arg(long, default_value_t)]
    shape: Shape,
    /// Malformed lines for each touchpoint, from 0 to 1; else the shape's own rate.
    #[arg(long, value_name = "RATE")]
    malformed: Option<f64>,
    /// Where to write the real person of each touchpoint, for `musubi score`.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Where to write the touchpoints; `.gz` and `.zst` are compressed.
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
}

/// Writes the stream.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let truth = args.truth.as_deref();
    if truth == Some(&args.out) {
        bail!("wanted two files, found `{}` for both the touchpoints and the truth", args.out.display());
    }
    let generator = Generator::new(options(&args)?);
    let out = Sheet::create(&args.out)?;
    write(generator, out, truth.map(Sheet::create).transpose()?)?;
    Ok(ExitCode::SUCCESS)
}

fn options(args: &Args) -> Result<Options> {
    let options = Options::new(args.persons, args.touchpoints, args.seed, args.shape);
    let malformed = args.malformed.unwrap_or(options.malformed);
    if !(0.0..=1.0).contains(&malformed) {
        bail!("wanted a rate from 0 to 1 for `--malformed`, found `{malformed}`");
    }
    Ok(Options { malformed, ..options })
}

fn write(mut generator: Generator, mut out: Sheet, mut truth: Option<Sheet>) -> Result<()> {
    let (mut line, mut row) = (Vec::new(), Vec::new());
    while let Some(kind) = generator.write_next(&mut line) {
        out.write_line(&mut line)?;
        if let (Line::Touchpoint(told), Some(truth)) = (kind, &mut truth) {
            row.clear();
            told.write_json(&mut row);
            truth.write_line(&mut row)?;
        }
    }
    out.finish()?;
    truth.map_or(Ok(()), Sheet::finish)
}

/// An output with its name.
struct Sheet {
    name: String,
    out: Output,
}

impl Sheet {
    fn create(path: &Path) -> Result<Self> {
        Ok(Self { name: path.display().to_string(), out: Output::create(path)? })
    }

    /// Writes a line with its end, which is added to it here so that it goes out in one piece.
    fn write_line(&mut self, line: &mut Vec<u8>) -> Result<()> {
        line.push(b'\n');
        self.out.write_all(line).with_context(|| format!("cannot write `{}`", self.name))
    }

    fn finish(self) -> Result<()> {
        self.out.finish().with_context(|| format!("cannot write `{}`", self.name))
    }
}
