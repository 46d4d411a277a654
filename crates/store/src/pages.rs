//! How a cluster is cut into values, so that a touchpoint of a person with 200 identifiers does not rewrite the person.
//!
//! The head holds what changes with every touchpoint (persons with their profiles) and the first page of members and of
//! signatures; a small cluster, which is nearly every one, is its head and nothing else. Further members and signatures
//! stand on pages of their own, in the order in which they came. A page is written only where its bytes changed.

use std::hash::Hasher;

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

/// Cuts a home into values and hands those that changed to `put`, those that are gone to `delete`.
pub(crate) fn write(
    root: Root,
    home: &Home,
    before: &Pages,
    mut put: impl FnMut(&[u8], &[u8]),
    mut delete: impl FnMut(&[u8]),
) -> Pages {
    let mut bytes = Vec::with_capacity(1024);
    let mut after = Pages::default();
    if let Home::Live(cluster) = home {
        let kinds = (further(&cluster.members, MEMBERS), further(&cluster.signatures, SIGNATURES));
        after.members = further_pages(root, Page::Members, kinds.0, &before.members, &mut put);
        after.signatures = further_pages(root, Page::Signatures, kinds.1, &before.signatures, &mut put);
        encode_head(cluster, after.members.len(), after.signatures.len(), &mut bytes);
    } else if let Home::Forward(to) = home {
        bytes.push(FORWARD);
        to.encode(&mut bytes);
    }
    after.head = digest(&bytes);
    if after.head != before.head {
        put(&keys::cluster(root), &bytes);
    }
    for (kind, had, have) in [
        (Page::Members, before.members.len(), after.members.len()),
        (Page::Signatures, before.signatures.len(), after.signatures.len()),
    ] {
        (have..had).for_each(|gone| delete(&keys::page(root, kind, number(gone))));
    }
    after
}

fn further<T>(items: &[T], first: usize) -> std::slice::Chunks<'_, T> {
    items.get(first..).unwrap_or_default().chunks(first)
}

fn further_pages<T: Encode>(
    root: Root,
    kind: Page,
    chunks: std::slice::Chunks<'_, T>,
    before: &[u64],
    put: &mut impl FnMut(&[u8], &[u8]),
) -> Vec<u64> {
    let write = |(place, chunk): (usize, &[T])| {
        let mut bytes = Vec::with_capacity(4096);
        chunk.encode(&mut bytes);
        let digest = digest(&bytes);
        if before.get(place) != Some(&digest) {
            put(&keys::page(root, kind, number(place)), &bytes);
        }
        digest
    };
    chunks.enumerate().map(write).collect()
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
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish() | 1
}

fn number(place: usize) -> u32 {
    u32::try_from(place).expect("a cluster has fewer than four thousand million pages")
}
