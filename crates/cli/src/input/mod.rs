//! NDJSON inputs: files, `-` for stdin, compressed with gzip or zstd or not at all, as lines.
//!
//! Compression is told by the first bytes and not by the name, so that stdin may be compressed as well.

mod lines;

use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use self::lines::Lines;
use anyhow::{Context as _, Result, bail};
use flate2::bufread::MultiGzDecoder;

/// What a gzip stream begins with (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// What a zstd frame begins with (RFC 8878, section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Compressed bytes read at a time.
const BUFFER: usize = 256 * 1_024;

/// Files to be read one after the other.
pub(crate) struct Inputs {
    paths: std::vec::IntoIter<PathBuf>,
    meter: Meter,
    total: Option<u64>,
}

impl Inputs {
    /// The inputs at these paths, `-` being stdin. Each is looked at now, so that a name with a typing error in it does
    /// not end a run after an hour.
    ///
    /// # Errors
    /// Where one does not exist or is a folder, or where stdin is named twice.
    pub(crate) fn new(paths: Vec<PathBuf>) -> Result<Self> {
        if paths.iter().filter(|path| is_stdin(path)).count() > 1 {
            bail!("wanted `-` at most once, since stdin can be read only once");
        }
        let sizes: Vec<Option<u64>> = paths.iter().map(|path| size(path)).collect::<Result<_>>()?;
        Ok(Self { paths: paths.into_iter(), meter: Meter::default(), total: sizes.into_iter().sum() })
    }

    /// The lines of the next input; none after the last.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub(crate) fn next(&mut self) -> Result<Option<Lines>> {
        self.paths.next().map(|path| lines(&path, &self.meter)).transpose()
    }

    /// Bytes of all inputs as they are stored, compressed or not; none where one of them has no size, as stdin.
    pub(crate) const fn total_bytes(&self) -> Option<u64> {
        self.total
    }

    /// Counts the bytes read so far of all inputs, as they are stored. It may be read on another thread.
    pub(crate) fn meter(&self) -> Meter {
        self.meter.clone()
    }
}

/// A count of bytes read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<AtomicU64>);

impl Meter {
    /// Bytes read so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts bytes that were read otherwise.
    pub(crate) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// How many bytes a file has; none of what is no regular file.
fn size(path: &Path) -> Result<Option<u64>> {
    if is_stdin(path) {
        return Ok(None);
    }
    let metadata = fs::metadata(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    if metadata.is_dir() {
        bail!("cannot read `{}`: wanted a file, found a folder", path.display());
    }
    Ok(metadata.is_file().then_some(metadata.len()))
}

/// The lines of one file; what is read of it is counted.
///
/// # Errors
/// Where it cannot be opened.
pub(crate) fn lines(path: &Path, meter: &Meter) -> Result<Lines> {
    Ok(Lines::new(path.display().to_string().into(), raw(path, meter)?))
}

/// The bytes of one file, decompressed; what is read of it, as it is stored, is counted.
///
/// # Errors
/// Where it cannot be opened.
pub(crate) fn raw(path: &Path, meter: &Meter) -> Result<Box<dyn Read + Send>> {
    let cannot = || format!("cannot read `{}`", path.display());
    let raw: Box<dyn Read + Send> =
        if is_stdin(path) { Box::new(io::stdin()) } else { Box::new(File::open(path).with_context(cannot)?) };
    decompress(Counted { raw, meter: meter.clone() }).with_context(cannot)
}

/// What the bytes are once decompressed.
fn decompress(mut raw: Counted) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(ZSTD.len());
    raw.by_ref().take(ZSTD.len() as u64).read_to_end(&mut head)?;
    let (gzip, zstd) = (head.starts_with(&GZIP), head == ZSTD);
    let whole = Cursor::new(head).chain(raw);
    Ok(if gzip {
        Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, whole)))
    } else if zstd {
        Box::new(zstd::Decoder::with_buffer(BufReader::with_capacity(BUFFER, whole))?)
    } else {
        Box::new(whole)
    })
}

/// A reader whose bytes are counted.
struct Counted {
    raw: Box<dyn Read + Send>,
    meter: Meter,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.raw.read(into)?;
        self.meter.add(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
