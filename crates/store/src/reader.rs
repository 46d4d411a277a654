//! Reading: typed look-ups over tables of bytes, many at a time.

use musubi_core::cluster::SignatureKey;
use musubi_core::forest::{Home, Parent, Root};
use musubi_core::identifier::IdentifierKey;
use musubi_core::touchpoint::{Effect, EventKey, Seen};

use crate::codec::{Decode, Malformed};
use crate::keys::{self, Page};
use crate::pages::{self, Head, Pages};
use crate::{Error, Tables, writer};

/// What a state machine reads. All look-ups take places sorted by partition and key, and answer in their order.
pub trait Reader {
    /// The parents of identifiers at their owners.
    fn parents(&self, places: &[(u32, IdentifierKey)]) -> Result<Vec<Option<Parent>>, Error>;
    /// The clusters at their homes, whole.
    fn clusters(&self, roots: &[Root]) -> Result<Vec<Option<(Home, Pages)>>, Error>;
    /// What is remembered of events.
    fn seen(&self, places: &[(u32, EventKey)]) -> Result<Vec<Option<Seen>>, Error>;
    /// The effects of a signature, in the order of their events' keys.
    fn effects(&self, partition: u32, signature: SignatureKey) -> Result<Vec<(EventKey, Effect)>, Error>;
}

/// The typed view of tables of bytes.
#[derive(Clone, Debug, Default)]
pub struct Stored<T>(pub T);

impl<T: Tables> Stored<T> {
    fn look_up<K: AsRef<[u8]>, V>(
        &self,
        table: &'static str,
        keys: &[K],
        read: impl Fn(&[u8]) -> Result<V, Malformed>,
    ) -> Result<Vec<Option<V>>, Error> {
        let mut values = Vec::with_capacity(keys.len());
        self.0.get_many(table, keys, |place, bytes| {
            let value = bytes.map(&read).transpose();
            values.push(value.map_err(|why| corrupt(table, keys[place].as_ref(), why))?);
            Ok(())
        })?;
        Ok(values)
    }

    /// Reads the further pages of a head.
    fn complete(&self, root: Root, mut head: Head) -> Result<(Home, Pages), Error> {
        for (kind, pages) in [(Page::Members, head.further_members), (Page::Signatures, head.further_signatures)] {
            let keys: Vec<_> = (0..pages).map(|page| keys::page(root, kind, page)).collect();
            self.0.get_many(keys::CLUSTERS, &keys, |place, bytes| {
                let bytes = bytes.ok_or(Malformed::TooShort);
                let added = bytes.and_then(|bytes| match kind {
                    Page::Members => head.add_members(bytes),
                    Page::Signatures => head.add_signatures(bytes),
                });
                added.map_err(|why| corrupt(keys::CLUSTERS, &keys[place], why))
            })?;
        }
        Ok((head.home, head.pages))
    }

    /// Visits every cluster of a partition at its home, in the order of the roots' keys.
    pub fn each_cluster(
        &self,
        partition: u32,
        mut visit: impl FnMut(Root, Home) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut building: Option<(Root, Head)> = None;
        self.0.scan(keys::CLUSTERS, &keys::partition_bytes(partition), |key, bytes| {
            let wrong = |why| corrupt(keys::CLUSTERS, key, why);
            match (key.len(), &mut building) {
                (keys::PREFIX, _) => {
                    if let Some((root, head)) = building.take() {
                        visit(root, head.home)?;
                    }
                    let (_, mut bytes_of_key) = key.split_at(2);
                    let root = Root { key: IdentifierKey::decode(&mut bytes_of_key).map_err(wrong)?, partition };
                    building = Some((root, pages::read_head(bytes).map_err(wrong)?));
                    Ok(())
                }
                (_, Some((_, head))) if key[keys::PREFIX] == b'm' => head.add_members(bytes).map_err(wrong),
                (_, Some((_, head))) => head.add_signatures(bytes).map_err(wrong),
                (_, None) => Err(wrong(Malformed::TooShort)),
            }
        })?;
        building.map_or(Ok(()), |(root, head)| visit(root, head.home))
    }
}

impl<T: Tables> Reader for Stored<T> {
    fn parents(&self, places: &[(u32, IdentifierKey)]) -> Result<Vec<Option<Parent>>, Error> {
        let keys: Vec<_> = places.iter().map(|(partition, key)| keys::parent(*partition, *key)).collect();
        self.look_up(keys::PARENTS, &keys, |mut bytes| Parent::decode(&mut bytes))
    }

    fn clusters(&self, roots: &[Root]) -> Result<Vec<Option<(Home, Pages)>>, Error> {
        let keys: Vec<_> = roots.iter().map(|root| keys::cluster(*root)).collect();
        let heads = self.look_up(keys::CLUSTERS, &keys, pages::read_head)?;
        let complete = |(root, head): (&Root, Option<Head>)| head.map(|head| self.complete(*root, head)).transpose();
        roots.iter().zip(heads).map(complete).collect()
    }

    fn seen(&self, places: &[(u32, EventKey)]) -> Result<Vec<Option<Seen>>, Error> {
        let keys: Vec<_> = places.iter().map(|(partition, key)| keys::seen(*partition, *key)).collect();
        self.look_up(keys::SEEN, &keys, writer::read_seen)
    }

    fn effects(&self, partition: u32, signature: SignatureKey) -> Result<Vec<(EventKey, Effect)>, Error> {
        let mut effects = Vec::new();
        self.0.scan(keys::EFFECTS, &keys::effects(partition, signature), |key, mut bytes| {
            let mut event = &key[keys::PREFIX..];
            let read = EventKey::decode(&mut event).and_then(|event| Ok((event, Effect::decode(&mut bytes)?)));
            effects.push(read.map_err(|why| corrupt(keys::EFFECTS, key, why))?);
            Ok(())
        })?;
        Ok(effects)
    }
}

fn corrupt(table: &'static str, key: &[u8], why: Malformed) -> Error {
    let key = key.iter().map(|byte| format!("{byte:02x}")).collect();
    Error::Corrupt { table, key, why }
}
