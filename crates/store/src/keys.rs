//! The kinds of keys, pinned: a name or a layout here is never used for anything else.
//!
//! Every key starts with its partition (two bytes, big-endian), so that one database can hold many partitions and one
//! partition is one range.
//!
//! | column family | key after the partition | value |
//! |---|---|---|
//! | `parents` | identifier key (16) | who the identifier belongs to, and what its owner knows of it |
//! | `clusters` | root key (16) | a cluster: its head with the first page of members and of signatures |
//! | `clusters` | root key (16), `m` or `s`, page number (4, big-endian) | the further pages of a cluster |
//! | `effects` | signature key (16), event key (16) | one touchpoint's effect on the profile |
//! | `seen` | event key (16) | that the event was seen, and a digest of its content |
//! | `meta` | `changelog` | where the partition's changelog is to be read next |
//! | `meta` | `accounts` | what became of all that the partition ever read, in numbers |
//! | `meta` | (no partition) a name | the state's own facts |

use musubi_core::cluster::SignatureKey;
use musubi_core::forest::Root;
use musubi_core::identifier::IdentifierKey;
use musubi_core::touchpoint::EventKey;

/// Who an identifier belongs to.
pub const PARENTS: &str = "parents";
/// Clusters at their homes.
pub const CLUSTERS: &str = "clusters";
/// Effects of touchpoints, by signature.
pub const EFFECTS: &str = "effects";
/// Events that were seen.
pub const SEEN: &str = "seen";
/// The state's own facts.
pub const META: &str = "meta";

/// Bytes of a partition and one 16-byte key: the prefix that a cluster's pages, or a signature's effects, share.
pub const PREFIX: usize = 18;

/// The pages of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Members.
    Members,
    /// Signatures.
    Signatures,
}

impl Page {
    const fn letter(self) -> u8 {
        match self {
            Self::Members => b'm',
            Self::Signatures => b's',
        }
    }
}

/// The two bytes of a partition.
///
/// # Panics
/// If the partition is above 65,535, more than any topic of ours may have.
pub fn partition_bytes(partition: u32) -> [u8; 2] {
    u16::try_from(partition).expect("a topic has at most 65,536 partitions").to_be_bytes()
}

fn prefixed(partition: u32, key: [u8; 16]) -> [u8; PREFIX] {
    let mut bytes = [0; PREFIX];
    bytes[..2].copy_from_slice(&partition_bytes(partition));
    bytes[2..].copy_from_slice(&key);
    bytes
}

/// The key of an identifier's parent at its owner.
pub fn parent(partition: u32, identifier: IdentifierKey) -> [u8; PREFIX] {
    prefixed(partition, identifier.0)
}

/// The key of a cluster at its home.
pub fn cluster(root: Root) -> [u8; PREFIX] {
    prefixed(root.partition, root.key.0)
}

/// The key of a further page of a cluster.
pub fn page(root: Root, kind: Page, number: u32) -> [u8; PREFIX + 5] {
    let mut bytes = [kind.letter(); PREFIX + 5];
    bytes[..PREFIX].copy_from_slice(&cluster(root));
    bytes[PREFIX + 1..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// The key of an effect.
pub fn effect(partition: u32, signature: SignatureKey, event: EventKey) -> [u8; PREFIX + 16] {
    let mut bytes = [0; PREFIX + 16];
    bytes[..PREFIX].copy_from_slice(&effects(partition, signature));
    bytes[PREFIX..].copy_from_slice(&event.0);
    bytes
}

/// What the keys of a signature's effects start with.
pub fn effects(partition: u32, signature: SignatureKey) -> [u8; PREFIX] {
    prefixed(partition, signature.0)
}

/// The key of an event that was seen.
pub fn seen(partition: u32, event: EventKey) -> [u8; PREFIX] {
    prefixed(partition, event.0)
}

/// The key in `meta` of where a partition's changelog is to be read next.
pub fn changelog(partition: u32) -> [u8; 11] {
    let mut bytes = *b"..changelog";
    bytes[..2].copy_from_slice(&partition_bytes(partition));
    bytes
}

/// The key in `meta` of what became of all that a partition ever read, in numbers.
pub fn accounts(partition: u32) -> [u8; 10] {
    let mut bytes = *b"..accounts";
    bytes[..2].copy_from_slice(&partition_bytes(partition));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_families_keep_their_names() {
        assert_eq!([PARENTS, CLUSTERS, EFFECTS, SEEN, META], ["parents", "clusters", "effects", "seen", "meta"]);
    }

    #[test]
    fn keys_sort_by_partition_then_cluster_then_page() {
        let root = |partition, byte| Root { key: IdentifierKey([byte; 16]), partition };
        let mut keys = vec![
            cluster(root(2, 0)).to_vec(),
            page(root(1, 7), Page::Signatures, 1).to_vec(),
            page(root(1, 7), Page::Members, 256).to_vec(),
            page(root(1, 7), Page::Members, 2).to_vec(),
            cluster(root(1, 8)).to_vec(),
            cluster(root(1, 7)).to_vec(),
        ];
        let wanted = [5, 3, 2, 1, 4, 0].map(|place: usize| keys[place].clone());
        keys.sort();
        assert_eq!(keys, wanted);
    }

    #[test]
    fn a_key_is_laid_out_as_pinned() {
        let root = Root { key: IdentifierKey([0xab; 16]), partition: 0x0102 };
        let mut wanted = vec![1, 2];
        wanted.extend([0xab; 16]);
        wanted.extend([b's', 0, 0, 1, 0]);
        assert_eq!(page(root, Page::Signatures, 256).to_vec(), wanted);
    }
}
