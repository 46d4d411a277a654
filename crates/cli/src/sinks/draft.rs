//! A file that is being written, on a thread of its own, and does not have its name yet.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};

/// Bytes gathered before they are handed to the thread.
const BUFFER: usize = 256 * 1_024;

/// Full buffers that may wait for the disk before the run does.
const WAITING: usize = 4;

/// A file on its way. What is written to it is gathered in a buffer; full buffers go to the thread that writes them, so
/// that a run does not stand still while the system copies its bytes or waits for the disk.
pub(super) struct Draft {
    buffer: Vec<u8>,
    full: SyncSender<Vec<u8>>,
    /// Buffers that were written and can be filled again.
    empty: Receiver<Vec<u8>>,
    /// None once the thread was asked why it ended early.
    thread: Option<JoinHandle<io::Result<File>>>,
    written_as: PathBuf,
    name: PathBuf,
}

impl Draft {
    /// Begins `FOLDER/NAME.EXTENSION` as `FOLDER/NAME.EXTENSION.tmp`; what an earlier run left there is overwritten.
    ///
    /// # Errors
    /// Where the file cannot be made or no thread be started.
    pub(super) fn create(folder: &Path, name: &str, extension: &str) -> Result<Self> {
        let written_as = folder.join(format!("{name}.{extension}.tmp"));
        let begun = File::create(&written_as).and_then(|file| {
            let ((full, to_write), (written, empty)) = (sync_channel(WAITING), sync_channel(WAITING));
            let named = thread::Builder::new().name(format!("write {name}"));
            Ok((full, empty, named.spawn(move || write_all(file, &to_write, &written))?))
        });
        let (full, empty, thread) = begun.with_context(|| format!("cannot write `{}`", written_as.display()))?;
        let name = folder.join(format!("{name}.{extension}"));
        Ok(Self { buffer: Vec::with_capacity(BUFFER), full, empty, thread: Some(thread), written_as, name })
    }

    /// What to say of a failure, with the file's name.
    pub(super) fn place(&self) -> String {
        format!("cannot write `{}`", self.written_as.display())
    }

    /// Brings everything to the disk, and gives the file its name.
    ///
    /// # Errors
    /// Where it cannot be written or renamed.
    pub(super) fn publish(mut self) -> Result<()> {
        self.hand_over().with_context(|| self.place())?;
        let Self { full, thread, written_as, name, .. } = self;
        drop(full);
        let synced = ended(thread).and_then(|file| file.sync_all());
        synced.with_context(|| format!("cannot write `{}`", written_as.display()))?;
        fs::rename(&written_as, &name)
            .with_context(|| format!("cannot rename `{}` to `{}`", written_as.display(), name.display()))
    }

    /// Hands what is in the buffer to the thread.
    fn hand_over(&mut self) -> io::Result<()> {
        let next = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BUFFER));
        let filled = std::mem::replace(&mut self.buffer, next);
        match self.full.send(filled) {
            Ok(()) => Ok(()),
            // Nobody receives only where the thread ended with an error, which is the one to tell.
            Err(_) => ended(self.thread.take()).map(drop),
        }
    }
}

/// Writes buffers as they come and gives them back, until no more can come.
fn write_all(mut file: File, full: &Receiver<Vec<u8>>, empty: &SyncSender<Vec<u8>>) -> io::Result<File> {
    for mut buffer in full {
        file.write_all(&buffer)?;
        buffer.clear();
        // Where enough of them lie there already, or nobody wants one any longer, this one can go.
        drop(empty.try_send(buffer));
    }
    Ok(file)
}

/// What became of the thread that writes.
fn ended(thread: Option<JoinHandle<io::Result<File>>>) -> io::Result<File> {
    let gone = || io::Error::other("the thread that writes the file is gone");
    thread.ok_or_else(gone)?.join().map_err(|_| gone())?
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER { self.hand_over() } else { Ok(()) }
    }

    /// Does nothing: what is written is complete only when it is published.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_pieces_is_published_as_one() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut draft = Draft::create(folder.path(), "a", "txt")?;
        let mut expected = Vec::new();
        for number in 0..100_000_u32 {
            let piece = number.to_string().repeat(3);
            draft.write_all(piece.as_bytes())?;
            expected.extend_from_slice(piece.as_bytes());
        }
        draft.publish()?;
        assert!(fs::read(folder.path().join("a.txt"))? == expected);
        assert!(!folder.path().join("a.txt.tmp").exists());
        Ok(())
    }

    #[test]
    fn a_disk_that_takes_no_more_is_told_of_as_it_says() -> Result<()> {
        let folder = tempfile::tempdir()?;
        if std::os::unix::fs::symlink("/dev/full", folder.path().join("a.txt.tmp")).is_err() {
            return Ok(());
        }
        let mut draft = Draft::create(folder.path(), "a", "txt")?;
        let written = (0..100).try_for_each(|_| draft.write_all(&[b'x'; BUFFER]));
        let told = written.map_err(anyhow::Error::from).and_then(|()| draft.publish());
        assert!(format!("{:#}", told.expect_err("the device is full")).contains("No space left"), "as the system says");
        assert!(!folder.path().join("a.txt").exists());
        Ok(())
    }
}
