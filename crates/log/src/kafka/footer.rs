//! The footer that ends each batch in a changelog: what the batch read, and what it must hold to be whole.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3Default;

use crate::{Offset, Position, Record, Topic};

/// How many footers of a partition the compacted changelog keeps: their keys go round.
const SLOTS: u64 = 4096;
const KEY: &[u8; 8] = b"\0footer/";

/// A stretch of an input that a batch consumed: from `from` to before `next`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    /// The topic, without the deployment's prefix.
    pub topic: String,
    /// The first offset.
    pub from: Offset,
    /// The offset to be read next.
    pub next: Offset,
}

/// The end of a batch in one partition's changelog.
///
/// It is JSON, so that an operator sees with any client how far a partition has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    /// The batch's number in its partition, from 1, one after another.
    pub batch: u64,
    /// How many records of the changelog belong to it.
    pub count: u64,
    /// XXH3 of their keys and values in order, in hexadecimal.
    pub hash: String,
    /// How far every input is consumed after it; those the batch did not read among them, as empty stretches.
    pub inputs: Vec<Covered>,
}

impl Footer {
    /// Where its record stands under the rules of compaction.
    pub(super) fn key(&self) -> Vec<u8> {
        [KEY.as_slice(), &(self.batch % SLOTS).to_be_bytes()].concat()
    }

    /// Whether a record of the changelog with this key is a footer.
    pub(super) fn is_key(key: &[u8]) -> bool {
        key.starts_with(KEY)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and names always have a form in JSON")
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The footer that a record of a changelog is; None for one of the state.
    pub fn of(record: &Record) -> Option<Self> {
        let is_footer = record.key.as_deref().is_some_and(Self::is_key);
        is_footer.then(|| Self::decode(record.value.as_deref()?)).flatten()
    }

    /// Where a topic is to be read next.
    pub fn next(&self, topic: &Topic) -> Option<Offset> {
        self.inputs.iter().find(|covered| covered.topic == topic.as_str()).map(|covered| covered.next)
    }

    /// The footer of the batch that follows: it consumed up to `positions`, and begins where this one ended.
    pub(super) fn follow(&self, positions: &[&Position], sum: Sum) -> Self {
        let mut inputs = self.inputs.clone();
        for covered in &mut inputs {
            covered.from = covered.next;
            if let Some(position) = positions.iter().find(|position| position.topic.as_str() == covered.topic) {
                covered.next = position.next;
            }
        }
        Self { batch: self.batch + 1, count: sum.count, hash: sum.finish(), inputs }
    }
}

/// The running sum over a batch's records.
#[derive(Default)]
pub(super) struct Sum {
    pub(super) count: u64,
    state: Xxh3Default,
}

impl Sum {
    /// Takes in a record of the changelog. Lengths go in too, so that no two sequences run together.
    pub(super) fn add(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.count += 1;
        self.state.update(&(key.len() as u64).to_le_bytes());
        self.state.update(key);
        self.state.update(&value.map_or(u64::MAX, |value| value.len() as u64).to_le_bytes());
        self.state.update(value.unwrap_or_default());
    }

    pub(super) fn finish(&self) -> String {
        format!("{:016x}", self.state.digest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(topic: &str, from: Offset, next: Offset) -> Covered {
        Covered { topic: topic.to_owned(), from, next }
    }

    #[test]
    fn a_footer_begins_where_the_one_before_ended() {
        let first =
            Footer { batch: 7, inputs: vec![covered("mesh", 0, 4), covered("touchpoints", 3, 9)], ..Footer::default() };
        let read = Position { topic: Topic::new("touchpoints"), partition: 0, next: 12 };
        let second = first.follow(&[&read], Sum::default());
        assert_eq!(second.batch, 8);
        assert_eq!(second.inputs, [covered("mesh", 4, 4), covered("touchpoints", 9, 12)]);
        assert_eq!(Footer::decode(&second.encode()), Some(second));
    }

    #[test]
    fn what_is_missing_changed_or_moved_changes_the_sum() {
        let sum = |records: &[(&[u8], Option<&[u8]>)]| {
            let mut sum = Sum::default();
            records.iter().for_each(|(key, value)| sum.add(key, *value));
            sum.finish()
        };
        let whole = sum(&[(b"ab", Some(b"c")), (b"d", None)]);
        assert_ne!(whole, sum(&[(b"ab", Some(b"c"))]));
        assert_ne!(whole, sum(&[(b"a", Some(b"bc")), (b"d", None)]));
        assert_ne!(whole, sum(&[(b"d", None), (b"ab", Some(b"c"))]));
        assert_ne!(whole, sum(&[(b"ab", Some(b"c")), (b"d", Some(b""))]));
    }

    #[test]
    fn no_key_of_the_state_is_taken_for_a_footer() {
        assert!(Footer::is_key(&Footer { batch: 5_000, ..Footer::default() }.key()));
        assert!(!Footer::is_key(b"meta\0footer/"));
    }
}
