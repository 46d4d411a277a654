//! A file that is being written and does not have its name yet.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Bytes gathered before they are handed to the system.
const BUFFER: usize = 256 * 1_024;

/// A file on its way, with a buffer.
pub(super) struct Draft {
    file: BufWriter<File>,
    written_as: PathBuf,
    name: PathBuf,
}

impl Draft {
    /// Begins `FOLDER/NAME.EXTENSION` as `FOLDER/NAME.EXTENSION.tmp`; what an earlier run left there is overwritten.
    pub(super) fn create(folder: &Path, name: &str, extension: &str) -> Result<Self> {
        let written_as = folder.join(format!("{name}.{extension}.tmp"));
        let file = File::create(&written_as).with_context(|| format!("cannot write `{}`", written_as.display()))?;
        let file = BufWriter::with_capacity(BUFFER, file);
        Ok(Self { file, written_as, name: folder.join(format!("{name}.{extension}")) })
    }

    /// The place of a failure, for its message.
    pub(super) fn place(&self) -> String {
        format!("cannot write `{}`", self.written_as.display())
    }

    /// Brings everything to the disk, and gives the file its name.
    pub(super) fn publish(mut self) -> Result<()> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.with_context(|| self.place())?;
        fs::rename(&self.written_as, &self.name)
            .with_context(|| format!("cannot rename `{}` to `{}`", self.written_as.display(), self.name.display()))
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
