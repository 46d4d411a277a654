//! Lookup: from an identifier to the person it belongs to, as last published.

use musubi_core::change::Snapshot;
use musubi_core::cluster::Cluster;
use musubi_core::forest::{Home, Root};
use musubi_core::identifier::{Identifier, IdentifierKey};
use musubi_core::person::PersonId;
use musubi_stitcher::{snapshot, standing_resolution};
use musubi_store::{self as store, Frozen, Reader, Stored};

use crate::explain::{Explanation, explain};
use crate::{Deployment, Disk, Error};

/// Every forward leads to a more senior root, so a chain ends by itself; this many steps mean that the state is not what
/// we wrote.
const MOST_FORWARDS: usize = 10_000;

/// The bits of an identifier's key that a person id does not keep: the version in byte 6 and the variant in byte 8.
const LOST_VARIANTS: u8 = 64;

/// An identifier where it lives.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its cluster.
    pub cluster: Box<Cluster>,
    /// Its place among the members.
    pub member: u32,
}

impl Found {
    /// The person that it belongs to, as last published; none where it is blocked, or not published yet.
    pub fn person(&self) -> Option<Snapshot> {
        let person = self.cluster.member(self.member).person?;
        Some(snapshot(&self.cluster, &standing_resolution(&self.cluster), person))
    }
}

impl Deployment {
    /// Why two identifiers, each written `namespace:value`, are one person or are not.
    ///
    /// # Errors
    /// [`Error::NoIdentifier`], [`Error::Nobody`] where one of them was never seen, and [`Error::Store`].
    pub fn explain(&self, a: &str, b: &str) -> Result<Explanation, Error> {
        let read = |text: &str| {
            let no = |why: String| Error::NoIdentifier { text: text.to_owned(), why };
            let (namespace, value) = text.split_once(':').ok_or_else(|| no("wanted `namespace:value`".into()))?;
            self.policy.identifier(namespace, value, &self.key).map_err(|why| no(why.to_string()))
        };
        self.explain_identifiers(&read(a)?, &read(b)?)
    }

    /// As [`Self::explain`].
    pub(crate) fn explain_identifiers(&self, a: &Identifier, b: &Identifier) -> Result<Explanation, Error> {
        let lookup = Lookup::of(&self.disk);
        let find = |identifier: &Identifier| {
            lookup.find(identifier)?.ok_or_else(|| Error::Nobody(identifier.text().to_owned()))
        };
        let (with_a, with_b) = (find(a)?, find(b)?);
        let at_home = |member: u32| !with_a.cluster.member(member).foreign;
        let same = with_a.cluster.find(b.key()).is_some_and(at_home);
        let both = [&*with_a.cluster, &*with_b.cluster];
        Ok(explain(if same { &both[..1] } else { &both }, &self.policy, a, b))
    }
}

/// What an old person id leads to.
#[derive(Clone, Debug)]
pub(crate) enum Led {
    /// It is a person's.
    Live(Box<Snapshot>),
    /// It was: this one's now.
    Redirected(PersonId),
}

/// A look at the state as of one moment.
pub(crate) struct Lookup<'a> {
    state: Stored<Frozen<'a>>,
    partitions: u32,
}

impl<'a> Lookup<'a> {
    /// A look at the state as it is now.
    pub(crate) fn of(disk: &'a Disk) -> Self {
        Self { state: Stored(disk.rocks.freeze()), partitions: disk.partitions }
    }

    /// Where an identifier lives; none where nothing was ever seen of it.
    pub(crate) fn find(&self, identifier: &Identifier) -> Result<Option<Found>, store::Error> {
        let place = (identifier.owner(self.partitions), identifier.key());
        let parent = self.state.parents(&[place])?.pop().flatten();
        let Some(root) = parent.and_then(|parent| parent.root) else { return Ok(None) };
        let Some(cluster) = self.follow(root)? else { return Ok(None) };
        let member = cluster.find(identifier.key());
        Ok(member.map(|member| Found { cluster, member }))
    }

    /// The live cluster that a root leads to. Between the commit that sends a cluster away and the one that takes it in
    /// there is none.
    fn follow(&self, mut root: Root) -> Result<Option<Box<Cluster>>, store::Error> {
        for _ in 0..MOST_FORWARDS {
            match self.state.clusters(&[root])?.pop().flatten() {
                Some((Home::Live(cluster), _)) => return Ok(Some(cluster)),
                Some((Home::Forward(senior), _)) => root = senior,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The person that has, or had, this id: its anchor's key is tried with every value of the bits that the id does not
    /// keep, at every owner it may have.
    pub(crate) fn person(&self, person: PersonId) -> Result<Option<Led>, store::Error> {
        let keys = (0..LOST_VARIANTS).map(|variant| {
            let mut key = person.0;
            key[6] = (key[6] & 0x0f) | (variant & 0x0f) << 4;
            key[8] = (key[8] & 0x3f) | (variant >> 4) << 6;
            IdentifierKey(key)
        });
        let keys = Vec::from_iter(keys);
        let mut places: Vec<_> =
            (0..self.partitions).flat_map(|partition| keys.iter().map(move |key| (partition, *key))).collect();
        places.sort_unstable();
        let parents = self.state.parents(&places)?;
        for ((_, key), parent) in places.into_iter().zip(parents) {
            let Some(root) = parent.and_then(|parent| parent.root) else { continue };
            let Some(cluster) = self.follow(root)? else { continue };
            if let Some(led) = cluster.find(key).and_then(|member| led_by(&cluster, member)) {
                return Ok(Some(led));
            }
        }
        Ok(None)
    }
}

/// What the id that derives from a member leads to.
fn led_by(cluster: &Cluster, member: u32) -> Option<Led> {
    let own = (0..).zip(&cluster.persons).find(|(_, person)| person.anchor == member);
    match own {
        Some((person, _)) => Some(Led::Live(Box::new(snapshot(cluster, &standing_resolution(cluster), person)))),
        None => cluster.member(member).redirect.map(Led::Redirected),
    }
}
