//! How far a file was taken in, kept beside it: by its digest, so that another file under the same name begins anew.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// How far a file was taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done {
    /// The digest of the file.
    pub(super) sha256: String,
    /// Where its rows went.
    pub(super) to: String,
    /// The source that read it.
    pub(super) source: String,
    /// How many of its rows are durable.
    pub(super) rows: u64,
    /// Whether those are all.
    pub(super) whole: bool,
}

/// Where it is kept: beside the file, hidden.
fn beside(file: &Path) -> Result<PathBuf> {
    let name = file.file_name().with_context(|| format!("wanted a file, found `{}`", file.display()))?;
    Ok(file.with_file_name(format!(".{}.musubi", name.to_string_lossy())))
}

/// How far this file was taken in before: none of its rows where that was another file, or went elsewhere.
pub(super) fn read(file: &Path, fresh: Done) -> Result<Done> {
    let path = beside(file)?;
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(fresh),
        Err(why) => return Err(why).with_context(|| format!("cannot read `{}`", path.display())),
    };
    let same = |done: &Done| done.sha256 == fresh.sha256 && done.to == fresh.to && done.source == fresh.source;
    // What cannot be read, as after a crash of the machine, is no progress: the rows are taken in again, as copies.
    Ok(serde_json::from_str::<Done>(&text).ok().filter(same).unwrap_or(fresh))
}

/// Keeps it, whole or not at all.
pub(super) fn write(file: &Path, done: &Done) -> Result<()> {
    replace(&beside(file)?, &serde_json::to_vec(done)?)
}

/// Replaces a file, so that whoever reads it finds the old one or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_data()?;
        file.persist(path).map_err(|why| why.error)?;
        Ok(())
    };
    written().with_context(|| format!("cannot keep how far it is in `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_or_another_place_begins_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("till.csv");
        let fresh = Done { sha256: "a".into(), to: "x".into(), source: "till".into(), rows: 0, whole: false };
        assert_eq!(read(&file, fresh.clone()).expect("read"), fresh);
        let done = Done { rows: 7, whole: true, ..fresh.clone() };
        write(&file, &done).expect("written");
        assert_eq!(read(&file, fresh.clone()).expect("read"), done);
        let others = [
            Done { sha256: "b".into(), ..fresh.clone() },
            Done { to: "y".into(), ..fresh.clone() },
            Done { source: "other".into(), ..fresh.clone() },
        ];
        for other in others {
            assert_eq!(read(&file, other.clone()).expect("read"), other);
        }
        fs::write(beside(&file).expect("a name"), "{\"sha2").expect("written");
        assert_eq!(read(&file, fresh.clone()).expect("read"), fresh);
    }
}
