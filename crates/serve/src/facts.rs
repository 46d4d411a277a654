//! What a directory says of itself, so that nothing else is ever written into it: the format of the state, the policy
//! that decided it, the number of partitions, and which deployment's key it was made with.

use std::path::Path;

use musubi_store::keys::META;
use musubi_store::{Rocks, Tables, Writer};

use crate::Error;

/// The format of the state. Raised when a program can no longer read what an earlier one wrote.
const FORMAT: &str = "1";

const NAMES: [&str; 4] = ["fact/format", "fact/policy", "fact/partitions", "fact/deployment"];

/// What a directory says, or what is wanted of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) policy: String,
    pub(crate) partitions: u32,
    pub(crate) deployment: String,
}

/// Reads the facts of a directory; none where it is fresh.
pub(crate) fn read(rocks: &Rocks, directory: &Path) -> Result<Option<Facts>, Error> {
    let mut values: [Option<String>; 4] = Default::default();
    // Keys are to be sorted; these are few enough to be asked for one by one.
    for (value, name) in values.iter_mut().zip(NAMES) {
        rocks.get_many(META, &[name], |_, bytes| {
            *value = bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            Ok(())
        })?;
    }
    let [format, policy, partitions, deployment] = values;
    let Some(format) = format else { return Ok(None) };
    if format != FORMAT {
        let advice = "use the version of Musubi that wrote it, or another directory";
        return Err(mismatch(directory, "format", FORMAT, &format, advice));
    }
    let partitions = partitions.and_then(|text| text.parse().ok());
    match (policy, partitions, deployment) {
        (Some(policy), Some(partitions), Some(deployment)) => Ok(Some(Facts { policy, partitions, deployment })),
        (..) => Err(mismatch(directory, "facts", "all of them", "some missing", "restore it from a backup")),
    }
}

/// Writes the facts of a fresh directory.
pub(crate) fn write(rocks: &Rocks, facts: &Facts) -> Result<(), Error> {
    let partitions = facts.partitions.to_string();
    let values = [FORMAT, &facts.policy, &partitions, &facts.deployment];
    Ok(rocks.write(|batch| {
        NAMES.iter().zip(values).for_each(|(name, value)| batch.put(META, name.as_bytes(), value.as_bytes()));
    })?)
}

impl Facts {
    /// Refuses a directory that says otherwise.
    pub(crate) fn agree(&self, found: &Self, directory: &Path) -> Result<(), Error> {
        if self.deployment != found.deployment {
            let advice = "give the key that it was made with (`MUSUBI_KEY` or `--key-file`), or use another directory";
            return Err(mismatch(
                directory,
                "the deployment key of digest",
                &self.deployment,
                &found.deployment,
                advice,
            ));
        }
        if self.partitions != found.partitions {
            let (wanted, found) = (self.partitions.to_string(), found.partitions.to_string());
            let advice = "the number of partitions is for life: leave `--partitions` out, or use another directory";
            return Err(mismatch(directory, "a number of partitions of", &wanted, &found, advice));
        }
        if self.policy != found.policy {
            let advice = "who is who was decided under another policy: give that one, or send the touchpoints to a fresh directory";
            return Err(mismatch(directory, "the policy of version", &self.policy, &found.policy, advice));
        }
        Ok(())
    }
}

fn mismatch(directory: &Path, what: &'static str, wanted: &str, found: &str, advice: &'static str) -> Error {
    Error::Mismatch {
        directory: directory.to_owned(),
        what,
        wanted: wanted.to_owned(),
        found: found.to_owned(),
        advice,
    }
}
