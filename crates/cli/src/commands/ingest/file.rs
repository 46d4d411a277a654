//! One file, from the first row that is not yet durable to its last.

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result};
use musubi_channels::files::{self, Csv};
use musubi_schema::Parser;
use musubi_serve::{Piece, Put};

use super::progress::{self, Done};
use super::rows::{Reader, format_of};
use super::{Args, Count, FileName, Intake, now};
use crate::input::Meter;
use crate::progress::Progress;

/// Rows that are put in at once, and after which it is kept how far the file is.
const ROWS: usize = 1_000;
/// And how many bytes of them, well within what a door takes.
const BYTES: usize = 4 << 20;

/// Takes a file in.
pub(super) fn take(args: &Args, intake: &Intake, path: &Path) -> Result<Count> {
    let format = args.format.map_or_else(|| format_of(path), Ok)?;
    let file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let size = file.metadata()?.len();
    let sha256 = files::digest(file).with_context(|| format!("cannot read `{}`", path.display()))?;
    let fresh = Done {
        sha256: sha256.clone(),
        to: intake.place.clone(),
        source: intake.name().to_owned(),
        rows: 0,
        whole: false,
    };
    let done = if args.again { fresh } else { progress::read(path, fresh)? };
    if done.whole {
        return Ok(Count { before: done.rows, ..Count::default() });
    }
    let csv = intake.source.as_ref().map_or_else(Csv::default, |source| source.settings().csv.clone());
    let meter = Meter::default();
    let reader = Reader::open(path, format, &csv, &meter)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let shown = Progress::start("rows", Some(size), args.quiet);
    Taking { intake, path, file: FileName { name: name.into(), sha256 }, done, meter, shown }.all(reader)
}

/// A file that is being taken in.
struct Taking<'a> {
    intake: &'a Intake,
    path: &'a Path,
    file: FileName,
    done: Done,
    meter: Meter,
    shown: Progress,
}

impl Taking<'_> {
    fn all(mut self, mut reader: Reader) -> Result<Count> {
        let mut count = Count { before: self.done.rows, ..Count::default() };
        let mut parser = Parser::new();
        let (mut pieces, mut bytes, mut received_at) = (Vec::with_capacity(ROWS), 0, now()?);
        let mut last = self.done.rows;
        while let Some(line) = reader.next().with_context(|| format!("`{}`, after row {last}", self.path.display()))? {
            if line.number <= self.done.rows {
                continue;
            }
            last = line.number;
            bytes += line.json.len();
            pieces.push(self.intake.row(&mut parser, &self.file, &line, received_at));
            if pieces.len() == ROWS || bytes > BYTES {
                let rows = pieces.len() as u64;
                count.add(rows, self.put(std::mem::take(&mut pieces), last, false)?);
                self.shown.tell(count.rows, self.meter.bytes());
                (bytes, received_at) = (0, now()?);
            }
        }
        count.add(pieces.len() as u64, self.put(pieces, last, true)?);
        self.shown.finish();
        Ok(count)
    }

    /// Puts pieces in, and when they are durable keeps that they are.
    fn put(&mut self, pieces: Vec<Piece>, last: u64, whole: bool) -> Result<Put> {
        let put = if pieces.is_empty() { Put::default() } else { self.intake.outlet.put(pieces)? };
        (self.done.rows, self.done.whole) = (last, whole);
        progress::write(self.path, &self.done)?;
        Ok(put)
    }
}
