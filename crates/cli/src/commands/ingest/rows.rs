//! The rows of a file, whatever it is written in.

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use musubi_channels::files::{Csv, Line, Rows};

use super::{Format, parquet};
use crate::input::{self, Lines, Meter};

/// The rows of one file, in their order, numbered from 1.
pub(super) enum Reader {
    Csv(Box<Rows<Box<dyn std::io::Read + Send>>>),
    Ndjson(Lines),
    Parquet(parquet::Rows),
}

/// What a file is by its name, packed or not.
pub(super) fn format_of(path: &Path) -> Result<Format> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("csv" | "tsv" | "txt") => Ok(Format::Csv),
        Some("ndjson" | "jsonl" | "json") => Ok(Format::Ndjson),
        Some("parquet") => Ok(Format::Parquet),
        _ => bail!("cannot tell what `{}` is by its name: wanted `--format`", path.display()),
    }
}

impl Reader {
    /// Opens a file. What is read of it is counted.
    pub(super) fn open(path: &Path, format: Format, csv: &Csv, meter: &Meter) -> Result<Self> {
        let cannot = || format!("cannot read `{}`", path.display());
        Ok(match format {
            Format::Csv => Self::Csv(Box::new(Rows::new(input::raw(path, meter)?, csv).with_context(cannot)?)),
            Format::Ndjson => Self::Ndjson(input::lines(path, meter)?),
            Format::Parquet => Self::Parquet(parquet::Rows::open(File::open(path).with_context(cannot)?, meter)?),
        })
    }

    /// The next row; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<Line>> {
        match self {
            Self::Csv(rows) => rows.next().transpose().context("cannot read on"),
            Self::Ndjson(lines) => {
                let line = lines.next()?;
                Ok(line.map(|line| Line {
                    fault: line.cut.then(|| ("too-large", "wanted a line of at most 64 MiB".to_owned())),
                    ..Line::ndjson(line.number, line.bytes.to_vec())
                }))
            }
            Self::Parquet(rows) => rows.next().transpose(),
        }
    }
}
