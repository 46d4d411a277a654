//! Setting a database aside that is not what was written: kept for whoever wants to know what happened, out of the way of
//! the next one. Where a log has the state, too, nothing is lost by it but time.

use std::io;
use std::path::{Path, PathBuf};

use crate::Error;

/// The name of the file by which a process that found its database damaged tells the next one.
const DAMAGED: &str = "DAMAGED";

impl Error {
    /// Whether it says that what is on disk is not what was written: trying again will not help.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Rocks(why) => why.kind() == rocksdb::ErrorKind::Corruption,
            Self::Corrupt { .. } => true,
            Self::Mismatch { .. } => false,
        }
    }
}

/// Notes that the database in a directory is damaged, for whoever opens it next.
///
/// # Errors
/// Where the note cannot be written.
pub fn note_damage(directory: &Path, what: &str) -> io::Result<()> {
    std::fs::write(directory.join(DAMAGED), what)
}

/// Whether somebody noted that the database in a directory is damaged.
pub fn is_noted_damaged(directory: &Path) -> bool {
    directory.join(DAMAGED).exists()
}

/// Renames a directory, so that another can take its place, and returns its new name: the old one with `damaged` and a
/// number behind it.
///
/// # Errors
/// Where it cannot be renamed.
pub fn set_aside(directory: &Path) -> io::Result<PathBuf> {
    let mut name = directory.file_name().unwrap_or_default().to_owned();
    name.push("-damaged-");
    let free = (1_u32..).map(|number| {
        let mut name = name.clone();
        name.push(number.to_string());
        directory.with_file_name(name)
    });
    let aside = free.into_iter().find(|path| !path.exists()).ok_or_else(|| io::Error::other("no free name"))?;
    std::fs::rename(directory, &aside)?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_set_aside_keeps_what_was_in_it_and_leaves_its_name_free() {
        let parent = tempfile::tempdir().expect("a directory");
        let directory = parent.path().join("state");
        for number in 1..=2 {
            std::fs::create_dir(&directory).expect("its name is free");
            note_damage(&directory, "a block is torn").expect("it is noted");
            assert!(is_noted_damaged(&directory));
            let aside = set_aside(&directory).expect("it is set aside");
            assert_eq!(aside, parent.path().join(format!("state-damaged-{number}")));
            assert!(is_noted_damaged(&aside));
            assert!(!is_noted_damaged(&directory));
        }
    }
}
