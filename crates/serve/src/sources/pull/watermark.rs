//! How far an API was swept: one instant in a file, replaced whole.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// How far an API was swept, as the disk has it.
pub(super) struct Watermark {
    path: PathBuf,
    at: Timestamp,
}

impl Watermark {
    /// The watermark of a file; where there is none, it is made and says `begin`.
    pub(super) fn open(path: &Path, begin: Timestamp) -> io::Result<Self> {
        let mut watermark = Self { path: path.to_owned(), at: begin };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let wanted = |_| io::Error::other(format!("wanted an instant, found `{}`", text.trim_end()));
                watermark.at = text.trim_end().parse().map_err(wanted)?;
            }
            Err(why) if why.kind() == io::ErrorKind::NotFound => watermark.advance(begin)?,
            Err(why) => return Err(why),
        }
        Ok(watermark)
    }

    /// How far it was swept.
    pub(super) const fn at(&self) -> Timestamp {
        self.at
    }

    /// Moves it, on disk first.
    pub(super) fn advance(&mut self, to: Timestamp) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let new = PathBuf::from(name);
        let mut file = File::create(&new)?;
        writeln!(file, "{to}")?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        self.at = to;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_is_kept_and_one_that_is_none_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("watermark");
        let at = |seconds| Timestamp::from_second(seconds).expect("an instant");
        let mut fresh = Watermark::open(&path, at(1)).expect("made");
        fresh.advance(at(7)).expect("moved");
        assert_eq!(Watermark::open(&path, at(1)).expect("there").at(), at(7));
        std::fs::write(&path, "yesterday\n").expect("written");
        let why = Watermark::open(&path, at(1)).err().expect("refused").to_string();
        assert!(why.contains("`yesterday`"), "{why}");
    }
}
