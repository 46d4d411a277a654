//! What a bounded run writes: one file for each kind of record, as NDJSON, Avro or Parquet.
//!
//! A file is written under its name with `.tmp` behind it and gets its name when it is whole, so that what stands under
//! the real name can be trusted: a run that crashed leaves no half of a file there.

mod avro;
mod draft;
mod ndjson;
mod parquet;

use std::path::Path;

use anyhow::{Context as _, Result};
use musubi_core::change::{ProfileChange, Snapshot};
use musubi_core::identifier::Identifier;
use musubi_core::person::PersonId;
use musubi_schema::Quarantined;
use musubi_schema::avro::{Record, Topic};

use draft::Draft;

/// How a run writes its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line.
    #[default]
    Ndjson,
    /// Avro object container files, by the schemas of the topics. Not compressed.
    Avro,
    /// Parquet, compressed with zstd. What is of any shape is JSON text in a column.
    Parquet,
}

impl Format {
    /// The end of a file's name.
    const fn extension(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Avro => "avro",
            Self::Parquet => "parquet",
        }
    }
}

/// Writes records of one kind.
trait Sink: Send {
    /// Writes a record. It may wait in a buffer until [`Self::finish`].
    fn write(&mut self, record: &Record<'_>) -> Result<()>;

    /// Writes what is left, and gives the file back.
    fn finish(self: Box<Self>) -> Result<Draft>;
}

/// The files of a run.
pub(crate) struct Sinks {
    policy_version: String,
    identities: Box<dyn Sink>,
    profiles: Box<dyn Sink>,
    changes: Box<dyn Sink>,
    redirects: Box<dyn Sink>,
    quarantine: Box<dyn Sink>,
}

impl Sinks {
    /// Begins the files in this folder, which is made where it is not there. Files of an earlier run stay as they are
    /// until [`Self::finish`].
    ///
    /// # Errors
    /// Where the folder or a file cannot be made.
    pub(crate) fn create(folder: &Path, format: Format, policy_version: &str) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
        let sink = |topic: Topic| {
            let draft = Draft::create(folder, topic.name(), format.extension())?;
            match format {
                Format::Ndjson => Ok(ndjson::sink(draft)),
                Format::Avro => avro::sink(draft, topic),
                Format::Parquet => parquet::sink(draft, topic),
            }
        };
        Ok(Self {
            policy_version: policy_version.to_owned(),
            identities: sink(Topic::IdentityMap)?,
            profiles: sink(Topic::Profiles)?,
            changes: sink(Topic::ProfileChanges)?,
            redirects: sink(Topic::Redirects)?,
            quarantine: sink(Topic::Quarantine)?,
        })
    }

    /// Writes whose an identifier is.
    ///
    /// # Errors
    /// Here and below, where the file cannot be written.
    pub(crate) fn identity(&mut self, identifier: &Identifier, person: PersonId) -> Result<()> {
        self.identities.write(&Record::Identity(identifier, Some(person)))
    }

    /// Writes a person's state.
    pub(crate) fn profile(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.profiles.write(&Record::Profile(snapshot))
    }

    /// Writes a change of a person.
    pub(crate) fn change(&mut self, change: &ProfileChange) -> Result<()> {
        self.changes.write(&Record::Change(change, &self.policy_version))
    }

    /// Writes the person that an old id stands for.
    pub(crate) fn redirect(&mut self, from: PersonId, to: PersonId) -> Result<()> {
        self.redirects.write(&Record::Redirect(from, Some(to)))
    }

    /// Writes what was set aside.
    pub(crate) fn quarantine(&mut self, quarantined: &Quarantined<'_>) -> Result<()> {
        self.quarantine.write(&Record::Quarantined(quarantined))
    }

    /// Completes every file, and only when all are whole gives them their names.
    ///
    /// # Errors
    /// Where one cannot be completed: none of them has its name then, unless it was the renaming that failed.
    pub(crate) fn finish(self) -> Result<()> {
        let sinks = [self.identities, self.profiles, self.changes, self.redirects, self.quarantine];
        let drafts: Vec<Draft> = sinks.into_iter().map(Sink::finish).collect::<Result<_>>()?;
        drafts.into_iter().try_for_each(Draft::publish)
    }
}

#[cfg(test)]
mod tests;
