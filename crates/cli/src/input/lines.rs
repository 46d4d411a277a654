//! Lines of one input, cut out of a buffer that is used again and again: no line costs an allocation.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context as _, Result};

/// Room for many lines at once. It grows for a longer line and then stays.
const BUFFER: usize = 1 << 20;

/// The most bytes of one line that are given back: 64 MiB. What is longer is some other file.
pub(super) const LONGEST: usize = 64 << 20;

/// U+FEFF as UTF-8, which Windows programs put in front of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Its number in the file, counted from 1. Empty lines count and are not given back.
    pub(crate) number: u64,
    /// Its bytes, without the line's end.
    pub(crate) bytes: &'a [u8],
    /// Whether it was longer than 64 MiB; `bytes` are then the first of it.
    pub(crate) cut: bool,
}

/// The lines of one input.
pub(crate) struct Lines {
    name: Arc<str>,
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// What of the buffer was read and not yet given back.
    full: Range<usize>,
    /// Up to where in `full` no line's end was found.
    searched: usize,
    number: u64,
    ended: bool,
    longest: usize,
}

/// What of the buffer a line is, and how it ended.
struct Found {
    line: Range<usize>,
    cut: bool,
}

impl Lines {
    pub(super) fn new(name: Arc<str>, reader: Box<dyn Read + Send>) -> Self {
        Self::with_sizes(name, reader, BUFFER, LONGEST)
    }

    pub(super) fn with_sizes(name: Arc<str>, reader: Box<dyn Read + Send>, buffer: usize, longest: usize) -> Self {
        let buffer = vec![0; buffer.max(1)];
        Self { name, reader, buffer, full: 0..0, searched: 0, number: 0, ended: false, longest }
    }

    /// The input's name: its path, or `-`.
    pub(crate) const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The next line that is not empty; none at the end. A carriage return before the line's end is no part of it, and
    /// the last line needs no end.
    ///
    /// # Errors
    /// Where the input cannot be read or decompressed, with its name and the line.
    pub(crate) fn next(&mut self) -> Result<Option<Line<'_>>> {
        loop {
            let found =
                self.find().with_context(|| format!("cannot read `{}`, line {}", self.name, self.number + 1))?;
            let Some(Found { line, cut }) = found else { return Ok(None) };
            self.number += 1;
            let line = self.trim(line);
            if !line.is_empty() {
                return Ok(Some(Line { number: self.number, bytes: &self.buffer[line], cut }));
            }
        }
    }

    /// The next line, empty or not.
    fn find(&mut self) -> io::Result<Option<Found>> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.searched..self.full.end]) {
                return Ok(Some(self.take(self.searched + at, 1)));
            }
            self.searched = self.full.end;
            if self.full.len() > self.longest {
                return self.cut().map(Some);
            }
            if self.ended {
                return Ok((!self.full.is_empty()).then(|| self.take(self.full.end, 0)));
            }
            self.fill()?;
        }
    }

    /// The line that ends before `end`; what ends it is passed over.
    fn take(&mut self, end: usize, ending: usize) -> Found {
        let line = self.full.start..end;
        self.full.start = end + ending;
        self.searched = self.full.start;
        let cut = line.len() > self.longest;
        Found { line: line.start..line.end.min(line.start + self.longest), cut }
    }

    /// The beginning of a line that is too long. The rest is read and forgotten.
    fn cut(&mut self) -> io::Result<Found> {
        let line = self.full.start..self.full.start + self.longest;
        let room = line.end..self.buffer.len();
        loop {
            let count = read(&mut self.reader, &mut self.buffer[room.clone()])?;
            let read = room.start..room.start + count;
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[read.clone()]) {
                self.full = read.start + at + 1..read.end;
                break;
            }
            if count == 0 {
                (self.ended, self.full) = (true, room.start..room.start);
                break;
            }
        }
        self.searched = self.full.start;
        Ok(Found { line, cut: true })
    }

    /// Reads more, at the end of what is there.
    fn fill(&mut self) -> io::Result<()> {
        if self.full.end == self.buffer.len() {
            self.make_room();
        }
        let count = read(&mut self.reader, &mut self.buffer[self.full.end..])?;
        self.full.end += count;
        self.ended = count == 0;
        Ok(())
    }

    /// Moves what is left of the buffer to its front or, where that is all of it, doubles it.
    fn make_room(&mut self) {
        if self.full.start == 0 {
            self.buffer.resize(2 * self.buffer.len(), 0);
            return;
        }
        self.buffer.copy_within(self.full.clone(), 0);
        self.full = 0..self.full.len();
        self.searched = self.full.end;
    }

    fn trim(&self, mut line: Range<usize>) -> Range<usize> {
        if self.number == 1 && self.buffer[line.clone()].starts_with(BYTE_ORDER_MARK) {
            line.start += BYTE_ORDER_MARK.len();
        }
        if self.buffer[line.clone()].ends_with(b"\r") {
            line.end -= 1;
        }
        line
    }
}

/// Reads some bytes; a signal is no reason to give up.
fn read(reader: &mut dyn Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
