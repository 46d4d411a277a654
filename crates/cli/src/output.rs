//! Where answers go: stdout, or a file that is compressed as its name says.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::write::GzEncoder;

/// Bytes gathered before they are handed to the system: few calls, and still in the processor's cache.
const BUFFER: usize = 256 * 1_024;

/// The level of zstd: the fastest that still halves JSON several times over.
const ZSTD_LEVEL: i32 = 1;

/// That whoever read our stdout went away, as `head` does. It is no failure.
#[derive(Debug)]
struct ReaderLeft;

impl fmt::Display for ReaderLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads the standard output any longer")
    }
}

impl std::error::Error for ReaderLeft {}

/// Whether an error is only that nobody reads our stdout any longer.
pub(crate) fn reader_left(error: &anyhow::Error) -> bool {
    let of_io = |cause: &(dyn std::error::Error + 'static)| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.is_some_and(|inner| inner.is::<ReaderLeft>())
    };
    error.chain().any(of_io)
}

/// The standard output, without a buffer of its own. Its errors tell [`reader_left`] when to end quietly.
pub(crate) struct Stdout(io::StdoutLock<'static>);

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(told)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(told)
    }
}

fn told(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::BrokenPipe { io::Error::new(error.kind(), ReaderLeft) } else { error }
}

/// The standard output with a buffer. Whoever writes to it flushes it at the end, or the last errors are lost.
pub(crate) fn stdout() -> BufWriter<Stdout> {
    BufWriter::with_capacity(BUFFER, Stdout(io::stdout().lock()))
}

/// A file being written, or stdout.
pub(crate) enum Output {
    /// Stdout for `-`.
    Stdout(BufWriter<Stdout>),
    /// A file as it is.
    Plain(BufWriter<File>),
    /// A file named `.gz`.
    Gzip(BufWriter<GzEncoder<File>>),
    /// A file named `.zst`.
    Zstd(BufWriter<zstd::Encoder<'static, File>>),
}

impl Output {
    /// A writer to this path, or to stdout for `-`.
    ///
    /// # Errors
    /// Where the file cannot be made, with its name.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout(stdout()));
        }
        let named = || format!("cannot write `{}`", path.display());
        let file = File::create(path).with_context(named)?;
        Ok(match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Self::Gzip(buffered(GzEncoder::new(file, flate2::Compression::fast()))),
            Some("zst") => Self::Zstd(buffered(zstd::Encoder::new(file, ZSTD_LEVEL).with_context(named)?)),
            _ => Self::Plain(buffered(file)),
        })
    }

    /// Writes what is left in buffers and the end of the compressed stream.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self {
            Self::Stdout(mut stdout) => stdout.flush(),
            Self::Plain(mut file) => file.flush(),
            Self::Gzip(file) => file.into_inner()?.finish().map(drop),
            Self::Zstd(file) => file.into_inner()?.finish().map(drop),
        }
    }
}

fn buffered<W: Write>(writer: W) -> BufWriter<W> {
    BufWriter::with_capacity(BUFFER, writer)
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(out) => out.write(bytes),
            Self::Zstd(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.flush(),
            Self::Zstd(out) => out.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_left_is_told_from_any_other_broken_pipe() {
        let ours: anyhow::Error = told(io::ErrorKind::BrokenPipe.into()).into();
        assert!(reader_left(&ours.context("cannot write")));
        let socket: anyhow::Error = io::Error::from(io::ErrorKind::BrokenPipe).into();
        assert!(!reader_left(&socket));
    }

    #[test]
    fn a_file_is_compressed_as_its_name_says() -> Result<()> {
        let folder = tempfile::tempdir()?;
        for (name, magic) in [("a.ndjson", b"{}".as_slice()), ("a.gz", &[0x1f, 0x8b]), ("a.zst", &[0x28, 0xb5])] {
            let path = folder.path().join(name);
            let mut out = Output::create(&path)?;
            out.write_all(b"{}\n")?;
            out.finish()?;
            assert!(std::fs::read(&path)?.starts_with(magic), "{name}");
        }
        Ok(())
    }
}
