//! The reading half of a run, on a thread of its own: files to batches of inputs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use musubi_core::change::Position;
use musubi_schema::{Line, Malformed};
use musubi_stitcher::{Input, Intake, Reading, Refused};

use crate::input::{Inputs, Meter};

/// Lines in a batch: enough that a person who comes again is written once, few enough that two batches fit into the
/// processor's cache beside the state.
const BATCH: usize = 10_000;
/// Batches read ahead.
const AHEAD: usize = 2;

/// Some lines of one file, read.
pub(crate) struct Batch {
    /// The file's name.
    pub(crate) file: Arc<str>,
    /// Inputs, each with the partition that owns it, and the place of its line among the originals.
    pub(crate) inputs: Vec<(u32, Input)>,
    /// For each touchpoint among the inputs, in order, the place of its line.
    pub(crate) touchpoints: Vec<usize>,
    /// Lines that are set aside, each with the place of its line.
    pub(crate) refused: Vec<(usize, Refused)>,
    originals: Vec<u8>,
    lines: Vec<(u64, usize)>,
}

impl Batch {
    fn new(file: &Arc<str>) -> Self {
        Self {
            file: Arc::clone(file),
            inputs: Vec::with_capacity(BATCH),
            touchpoints: Vec::with_capacity(BATCH),
            refused: Vec::new(),
            originals: Vec::with_capacity(BATCH * 400),
            lines: Vec::with_capacity(BATCH),
        }
    }

    /// The number of a line in its file and its bytes as they came.
    pub(crate) fn original(&self, place: usize) -> (u64, &[u8]) {
        let (number, end) = self.lines[place];
        let start = place.checked_sub(1).map_or(0, |before| self.lines[before].1);
        (number, &self.originals[start..end])
    }

    fn take(&mut self, reading: &mut Reading, number: u64, bytes: &[u8]) {
        let place = self.lines.len();
        self.originals.extend_from_slice(bytes);
        self.lines.push((number, self.originals.len()));
        let position = Position { topic: Arc::clone(&self.file), partition: 0, offset: number };
        let intake = match reading.parser().parse_line(bytes) {
            Ok(Line::Touchpoint(touchpoint)) => reading.touchpoint(touchpoint, position),
            Ok(Line::Directive(directive)) => reading.directive(&directive, position),
            Err(malformed) => Intake::Refused(refused(malformed)),
        };
        match intake {
            Intake::Refused(refused) => self.refused.push((place, refused)),
            Intake::Input(partition, input) => {
                if matches!(input, Input::Touchpoint { .. }) {
                    self.touchpoints.push(place);
                }
                self.inputs.push((partition, input));
            }
        }
    }
}

fn refused(malformed: Malformed) -> Refused {
    Refused {
        source: malformed.source.map(Into::into),
        event_id: malformed.event_id.map(Into::into),
        reason: malformed.reason,
        detail: malformed.detail,
    }
}

/// Batches as they come, and the thread that reads them.
pub(crate) struct Feed {
    batches: Option<Receiver<Batch>>,
    thread: JoinHandle<Result<u64>>,
    /// Bytes read so far.
    pub(crate) meter: Meter,
    /// Bytes of all inputs, where that is known.
    pub(crate) total: Option<u64>,
}

impl Feed {
    /// Starts to read the files, one after the other.
    pub(crate) fn start(files: Vec<PathBuf>, reading: Reading) -> Result<Self> {
        let inputs = Inputs::new(files)?;
        let (meter, total) = (inputs.meter(), inputs.total_bytes());
        let (sender, batches) = sync_channel(AHEAD);
        let thread = std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || read(inputs, reading, &sender))
            .context("cannot start the reading thread")?;
        Ok(Self { batches: Some(batches), thread, meter, total })
    }

    /// The next batch; none at the end.
    pub(crate) fn next(&self) -> Option<Batch> {
        self.batches.as_ref()?.recv().ok()
    }

    /// How the reading ended: the number of identifiers in namespaces that the policy does not name.
    pub(crate) fn finish(mut self) -> Result<u64> {
        self.batches = None;
        self.thread.join().map_err(|_| anyhow::anyhow!("the reading thread panicked"))?
    }
}

fn read(mut inputs: Inputs, mut reading: Reading, sender: &SyncSender<Batch>) -> Result<u64> {
    while let Some(mut lines) = inputs.next()? {
        let file = Arc::clone(lines.name());
        let mut batch = Batch::new(&file);
        while let Some(line) = lines.next()? {
            batch.take(&mut reading, line.number, line.bytes);
            if batch.lines.len() == BATCH {
                let full = std::mem::replace(&mut batch, Batch::new(&file));
                if sender.send(full).is_err() {
                    return Ok(reading.unknown_namespaces());
                }
            }
        }
        if !batch.lines.is_empty() && sender.send(batch).is_err() {
            break;
        }
    }
    Ok(reading.unknown_namespaces())
}
