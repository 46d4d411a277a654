//! How a cluster is cut into values, so that a touchpoint of a person with 200 identifiers does not rewrite the person.
//!
//! The head holds what changes with every touchpoint (persons with their profiles) and the first page of members and of
//! signatures; a small cluster, which is nearly every one, is its head and nothing else. Further members and signatures
//! stand on pages of their own, in the order in which they came. A page is written only where its bytes changed.

use musubi_core::cluster::Cluster;
use musubi_core::forest::{Home, Root};

use crate::codec::{Decode, Encode, Malformed, take_byte};
use crate::keys::{self, Page};

/// Members on a page: at about 60 bytes each a page stays within a block of 4 KiB.
pub const MEMBERS: usize = 48;
/// Signatures on a page: at about 120 bytes each, likewise.
pub const SIGNATURES: usize = 24;

const FORWARD: u8 = 1;
const LIVE: u8 = 2;

/// What is known of the stored pages of a cluster: a digest of each, so that only what changed is written.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    head: u64,
    members: Vec<u64>,
    signatures: Vec<u64>,
}

/// The head of a home as read: the home with its first pages, and how many further pages there are.
pub(crate) struct Head {
    pub(crate) home: Home,
    pub(crate) pages: Pages,
    pub(crate) further_members: u32,
    pub(crate) further_signatures: u32,
}

/// Cuts a home into values and hands those that changed to `put`, those that are gone to `delete`. What is stored then
/// is noted in `pages`; `bytes` is room to write in.
pub(crate) fn write(
    root: Root,
    home: &Home,
    pages: &mut Pages,
    bytes: &mut Vec<u8>,
    put: &mut impl FnMut(&[u8], &[u8]),
    mut delete: impl FnMut(&[u8]),
) {
    let had = (pages.members.len(), pages.signatures.len());
    let mut have = (0, 0);
    if let Home::Live(cluster) = home {
        let (members, signatures) = (further(&cluster.members, MEMBERS), further(&cluster.signatures, SIGNATURES));
        have = (members.len(), signatures.len());
        further_pages(root, Page::Members, members, &mut pages.members, bytes, put);
        further_pages(root, Page::Signatures, signatures, &mut pages.signatures, bytes, put);
    }
    bytes.clear();
    match home {
        Home::Live(cluster) => encode_head(cluster, have.0, have.1, bytes),
        Home::Forward(to) => {
            bytes.push(FORWARD);
            to.encode(bytes);
        }
    }
    let head = digest(bytes);
    if head != pages.head {
        put(&keys::cluster(root), bytes);
        pages.head = head;
    }
    for (kind, had, have) in [(Page::Members, had.0, have.0), (Page::Signatures, had.1, have.1)] {
        (have..had).for_each(|gone| delete(&keys::page(root, kind, number(gone))));
    }
    pages.members.truncate(have.0);
    pages.signatures.truncate(have.1);
}

fn further<T>(items: &[T], first: usize) -> std::slice::Chunks<'_, T> {
    items.get(first..).unwrap_or_default().chunks(first)
}

fn further_pages<T: Encode>(
    root: Root,
    kind: Page,
    chunks: std::slice::Chunks<'_, T>,
    digests: &mut Vec<u64>,
    bytes: &mut Vec<u8>,
    put: &mut impl FnMut(&[u8], &[u8]),
) {
    for (place, chunk) in chunks.enumerate() {
        bytes.clear();
        chunk.encode(bytes);
        let digest = digest(bytes);
        if digests.get(place) != Some(&digest) {
            put(&keys::page(root, kind, number(place)), bytes);
        }
        match digests.get_mut(place) {
            Some(stored) => *stored = digest,
            None => digests.push(digest),
        }
    }
}

fn encode_head(cluster: &Cluster, further_members: usize, further_signatures: usize, out: &mut Vec<u8>) {
    out.push(LIVE);
    number(further_members).encode(out);
    number(further_signatures).encode(out);
    cluster.members[..cluster.members.len().min(MEMBERS)].encode(out);
    cluster.signatures[..cluster.signatures.len().min(SIGNATURES)].encode(out);
    encode_rest(cluster, out);
}

fn encode_rest(cluster: &Cluster, out: &mut Vec<u8>) {
    cluster.decrees.encode(out);
    cluster.persons.encode(out);
    cluster.retired.encode(out);
    cluster.held.encode(out);
    cluster.arriving.encode(out);
    out.push(u8::from(cluster.plain) | u8::from(cluster.stale) << 1 | u8::from(cluster.queued) << 2);
}

/// A whole cluster in one value: how it travels between homes.
impl Encode for Cluster {
    fn encode(&self, out: &mut Vec<u8>) {
        self.members.encode(out);
        self.signatures.encode(out);
        encode_rest(self, out);
    }
}

impl Decode for Cluster {
    fn decode(input: &mut &[u8]) -> Result<Self, Malformed> {
        let mut cluster = Self {
            members: Decode::decode(input)?,
            signatures: Decode::decode(input)?,
            decrees: Decode::decode(input)?,
            persons: Decode::decode(input)?,
            retired: Decode::decode(input)?,
            held: Decode::decode(input)?,
            arriving: Decode::decode(input)?,
            ..Self::default()
        };
        let flags = take_byte(input)?;
        cluster.plain = flags & 1 != 0;
        cluster.stale = flags & 2 != 0;
        cluster.queued = flags & 4 != 0;
        Ok(cluster)
    }
}

/// Reads a head.
pub(crate) fn read_head(mut bytes: &[u8]) -> Result<Head, Malformed> {
    let head = digest(bytes);
    let input = &mut bytes;
    let (home, further_members, further_signatures) = match take_byte(input)? {
        FORWARD => (Home::Forward(Root::decode(input)?), 0, 0),
        LIVE => {
            let (members, signatures) = (u32::decode(input)?, u32::decode(input)?);
            (Home::Live(Box::new(Cluster::decode(input)?)), members, signatures)
        }
        tag => return Err(Malformed::UnknownTag(tag)),
    };
    let pages = Pages { head, ..Pages::default() };
    Ok(Head { home, pages, further_members, further_signatures })
}

impl Head {
    /// Adds a further page of members.
    pub(crate) fn add_members(&mut self, mut bytes: &[u8]) -> Result<(), Malformed> {
        self.pages.members.push(digest(bytes));
        if let Home::Live(cluster) = &mut self.home {
            cluster.members.extend(Vec::decode(&mut bytes)?);
        }
        Ok(())
    }

    /// Adds a further page of signatures.
    pub(crate) fn add_signatures(&mut self, mut bytes: &[u8]) -> Result<(), Malformed> {
        self.pages.signatures.push(digest(bytes));
        if let Home::Live(cluster) = &mut self.home {
            cluster.signatures.extend(Vec::decode(&mut bytes)?);
        }
        Ok(())
    }
}

/// Not zero, so that a page which was never written differs from every page that was.
fn digest(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes) | 1
}

fn number(place: usize) -> u32 {
    u32::try_from(place).expect("a cluster has fewer than four thousand million pages")
}
