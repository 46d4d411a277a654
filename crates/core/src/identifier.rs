//! Identifiers: a namespace and a normalised value, with the key and the owner that follow from them.

use std::fmt;
use std::sync::Arc;

use crate::touchpoint::in_one_piece;

/// Names that are hashes themselves. Half of one is as good as all of it in a table; and they are ordered as the numbers
/// that their bytes are, which is the order of the bytes, and quicker than asking for it byte by byte.
macro_rules! hashed {
    ($name:ident) => {
        impl std::hash::Hash for $name {
            #[inline]
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                state.write_u64(self.0.first_chunk().map_or(0, |half| u64::from_ne_bytes(*half)));
            }
        }

        impl Ord for $name {
            #[inline]
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
            }
        }

        impl PartialOrd for $name {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }
    };
}
pub(crate) use hashed;

/// The place of a namespace in the policy: 0 is the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceId(pub u16);

impl NamespaceId {
    /// The place as an index into the policy's namespaces.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The secret of a deployment. Identifier keys and person ids are derived with it, so that neither reveals what it
/// stands for to someone who can guess mail addresses.
#[derive(Clone)]
pub struct DeploymentKey([u8; 32]);

impl DeploymentKey {
    /// A key derived from whatever secret the operator holds, of any length.
    pub fn derive(secret: &[u8]) -> Self {
        Self(blake3::derive_key("musubi deployment key v1", secret))
    }
}

impl fmt::Debug for DeploymentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeploymentKey(…)")
    }
}

/// The keyed BLAKE3 hash (first 128 bits) of `namespace:value`: how state names an identifier, and, as a root, the
/// seniority of a cluster: the smaller key is the senior.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdentifierKey(pub [u8; 16]);

hashed!(IdentifierKey);

impl fmt::Debug for IdentifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// One identifier: a namespace of the policy and a normalised value. Cheap to clone.
///
/// Ordered by its text `namespace:value`, which is also how ties are broken in resolution.
#[derive(Clone)]
pub struct Identifier {
    text: Arc<str>,
    key: IdentifierKey,
    namespace: NamespaceId,
    colon: u16,
}

impl Identifier {
    /// The identifier `name:value`, where `name` is the namespace that stands at `namespace` in the policy.
    ///
    /// # Panics
    /// If `name` is longer than 65,535 bytes; a policy refuses such names.
    pub fn new(namespace: NamespaceId, name: &str, value: &str, deployment: &DeploymentKey) -> Self {
        let (text, hash) = in_one_piece(&[name.as_bytes(), b":", value.as_bytes()], |bytes| {
            let text = std::str::from_utf8(bytes).expect("texts one after another are a text");
            (text.into(), blake3::keyed_hash(&deployment.0, bytes))
        });
        let mut key = [0; 16];
        key.copy_from_slice(&hash.as_bytes()[..16]);
        let colon = u16::try_from(name.len()).expect("the policy bounds the length of a namespace's name");
        Self { text, key: IdentifierKey(key), namespace, colon }
    }

    /// The identifier as it was stored: its text, the length of its namespace's name, and its key.
    pub fn from_parts(namespace: NamespaceId, text: &str, colon: u16, key: IdentifierKey) -> Self {
        Self { text: text.into(), key, namespace, colon }
    }

    /// The key that names this identifier in state.
    #[inline]
    pub const fn key(&self) -> IdentifierKey {
        self.key
    }

    /// The place of its namespace in the policy.
    #[inline]
    pub const fn namespace(&self) -> NamespaceId {
        self.namespace
    }

    /// `namespace:value`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name of its namespace.
    pub fn namespace_name(&self) -> &str {
        &self.text[..usize::from(self.colon)]
    }

    /// The normalised value.
    pub fn value(&self) -> &str {
        &self.text[usize::from(self.colon) + 1..]
    }

    /// The partition that owns this identifier, of `partitions`: Kafka's default partitioner over `namespace:value`,
    /// so that any client's producer sends a record where we expect it.
    pub fn owner(&self, partitions: u32) -> u32 {
        owner(self.text.as_bytes(), partitions)
    }
}

impl PartialEq for Identifier {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Identifier {}

impl PartialOrd for Identifier {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Identifier {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl std::hash::Hash for Identifier {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The partition, of `partitions`, where Kafka's default partitioner puts a record with this key.
pub fn owner(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions
}

/// Kafka's murmur2 (`org.apache.kafka.common.utils.Utils.murmur2`), seed and all.
pub fn murmur2(data: &[u8]) -> u32 {
    const MULTIPLIER: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mix = |k: u32| {
        let k = k.wrapping_mul(MULTIPLIER);
        (k ^ (k >> 24)).wrapping_mul(MULTIPLIER)
    };
    let length = u32::try_from(data.len() & 0xffff_ffff).expect("masked to 32 bits");
    let (words, rest) = data.as_chunks::<4>();
    let mut hash =
        words.iter().fold(SEED ^ length, |hash, word| hash.wrapping_mul(MULTIPLIER) ^ mix(u32::from_le_bytes(*word)));
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from Apache Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_is_kafkas() {
        let known: [(&[u8], i32); 7] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
            (b"", 275_646_681),
        ];
        for (data, hash) in known {
            assert_eq!(murmur2(data).cast_signed(), hash, "{data:?}");
        }
    }

    #[test]
    fn an_identifier_is_ordered_by_its_text() {
        let key = DeploymentKey::derive(b"test");
        let user = Identifier::new(NamespaceId(0), "user", "z", &key);
        let user_id = Identifier::new(NamespaceId(1), "user_id", "a", &key);
        assert!(user < user_id, "`:` sorts before `_`");
        assert_eq!((user_id.namespace_name(), user_id.value()), ("user_id", "a"));
    }
}
