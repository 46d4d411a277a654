//! The third oracle: the versions of every person.

use std::collections::BTreeMap;

/// What a record of `profile-changes` says of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The person's id.
    pub person: String,
    /// The version in its headers.
    pub version: u64,
    /// The place of the record that caused it, and the person: `touchpoints/3/17 <person>`.
    pub cause: String,
}

/// The third oracle: each person's versions, in order of offset, are 1, 2, 3 … without a gap and without a repeat, also
/// beyond her end, where her id may come to life again.
pub fn versions<'a>(said: impl IntoIterator<Item = &'a Said>) -> Vec<String> {
    let mut last = BTreeMap::<&str, u64>::new();
    let mut wrong = Vec::new();
    for Said { person, version, cause } in said {
        let before = last.insert(person, *version).unwrap_or_default();
        if *version != before + 1 {
            wrong.push(format!("{person}: version {version} follows on version {before}, by {cause}"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(said: &[(&str, u64)]) -> Vec<String> {
        let said = said.iter().map(|(person, version)| Said {
            person: (*person).to_owned(),
            version: *version,
            cause: String::new(),
        });
        versions(&said.collect::<Vec<_>>())
    }

    #[test]
    fn chains_that_rise_by_one_are_believed() {
        assert_eq!(story(&[("a", 1), ("b", 1), ("a", 2), ("b", 2), ("b", 3), ("a", 3)]), Vec::<String>::new());
    }

    #[test]
    fn gaps_repeats_and_late_beginnings_are_objected_to() {
        assert!(story(&[("a", 1), ("a", 3)])[0].contains("version 3 follows on version 1"));
        assert!(story(&[("a", 1), ("a", 1)])[0].contains("version 1 follows on version 1"));
        assert!(story(&[("a", 2)])[0].contains("version 2 follows on version 0"));
        assert_eq!(story(&[("a", 1), ("a", 2), ("a", 1)]).len(), 1);
    }
}
