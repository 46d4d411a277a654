//! Keys of the log's two column families. Each kind has a letter that is never used again for another.

use crate::{Offset, Partition};

/// The format of everything the log keeps. A change of layout raises it.
pub(crate) const FORMAT: u32 = 1;

/// Chunks of records.
pub(crate) const RECORDS: &str = "log_records";
/// What the log knows about itself: format, topics, bounds, positions.
pub(crate) const BOOK: &str = "log_book";

/// The book's entry for the format.
pub(crate) const FORMAT_KEY: &[u8] = b"f";
/// The first letter of topics' entries.
pub(crate) const TOPIC_KIND: u8 = b't';
/// The first letter of bounds' entries.
const BOUNDS_KIND: u8 = b'b';
/// The first letter of positions' entries.
pub(crate) const POSITION_KIND: u8 = b'p';

/// A topic's partition on disk: the topic's number and the partition, big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lane {
    /// The topic's number, given when the log first saw it.
    pub(crate) topic: u16,
    /// The partition.
    pub(crate) partition: Partition,
}

impl Lane {
    /// The key of the chunk whose last offset is `last`: chunks sort by lane, then offset.
    pub(crate) fn chunk(self, last: Offset) -> [u8; 14] {
        let mut key = [0; 14];
        key[..6].copy_from_slice(&self.bytes());
        key[6..].copy_from_slice(&last.to_be_bytes());
        key
    }

    /// The book's key of the lane's bounds.
    pub(crate) fn bounds(self) -> Vec<u8> {
        [&[BOUNDS_KIND], self.bytes().as_slice()].concat()
    }

    /// The book's key of a group's position.
    pub(crate) fn position(self, group: &str) -> Vec<u8> {
        [&[POSITION_KIND], group.as_bytes(), &[0], self.bytes().as_slice()].concat()
    }

    /// The group and lane of a position's key.
    pub(crate) fn parse_position(key: &[u8]) -> Option<(&str, Lane)> {
        let (rest, lane) = key.split_last_chunk::<6>()?;
        let group = rest.strip_prefix(&[POSITION_KIND])?.strip_suffix(&[0])?;
        Some((std::str::from_utf8(group).ok()?, Self::parse(*lane)))
    }

    fn bytes(self) -> [u8; 6] {
        let ([a, b], [c, d, e, f]) = (self.topic.to_be_bytes(), self.partition.to_be_bytes());
        [a, b, c, d, e, f]
    }

    fn parse([a, b, c, d, e, f]: [u8; 6]) -> Self {
        Self { topic: u16::from_be_bytes([a, b]), partition: u32::from_be_bytes([c, d, e, f]) }
    }
}

/// The book's key of a topic.
pub(crate) fn topic(name: &str) -> Vec<u8> {
    [&[TOPIC_KIND], name.as_bytes()].concat()
}

/// The offset at the end of a chunk's key.
pub(crate) fn offset(key: &[u8]) -> Option<Offset> {
    key.last_chunk().map(|offset| u64::from_be_bytes(*offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_kinds_are_pinned() {
        let lane = Lane { topic: 1, partition: 2 };
        assert_eq!((RECORDS, BOOK, FORMAT), ("log_records", "log_book", 1));
        assert_eq!(lane.chunk(3), *b"\0\x01\0\0\0\x02\0\0\0\0\0\0\0\x03");
        assert_eq!(lane.bounds(), b"b\0\x01\0\0\0\x02");
        assert_eq!(lane.position("stitch"), b"pstitch\0\0\x01\0\0\0\x02");
        assert_eq!(topic("mesh"), b"tmesh");
        assert_eq!(FORMAT_KEY, b"f");
    }

    #[test]
    fn a_position_key_is_read_back() {
        let lane = Lane { topic: 0, partition: 0 };
        assert_eq!(Lane::parse_position(&lane.position("serve")), Some(("serve", lane)));
        assert_eq!(Lane::parse_position(b"p"), None);
    }

    #[test]
    fn chunks_sort_by_lane_then_offset() {
        let key = |topic, partition, offset| Lane { topic, partition }.chunk(offset);
        let sorted = [key(0, 0, 9), key(0, 1, 0), key(0, 1, 256), key(0, 256, 1), key(1, 0, 0)];
        assert!(sorted.is_sorted());
    }
}
