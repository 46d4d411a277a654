//! Working memory: what a worker has read, what it has changed and not yet written.

use std::hash::Hash;

use musubi_core::change::{Cause, Position};
use musubi_core::cluster::{Cluster, SignatureKey};
use musubi_core::forest::{Home, Parent, Root};
use musubi_core::identifier::IdentifierKey;
use musubi_core::touchpoint::{Effect, EventKey, Seen};
use musubi_store::{self as store, Pages, Reader, Writer};
use rustc_hash::FxHashMap;

use crate::work::Work;

/// A value and whether it differs from what is stored.
struct Cell<T> {
    value: T,
    dirty: bool,
}

/// A cache that forgets what was not touched for longest, by steps. Which that is decides nothing but speed.
///
/// A value keeps its place until a step has ended, so that what a step touched is looked up once and then found by place.
struct Cache<K, V> {
    places: FxHashMap<K, u32>,
    slots: Vec<Option<Slot<K, V>>>,
    free: Vec<u32>,
    /// What was found last: a touchpoint asks for the same thing several times in a row.
    last: Option<(K, u32)>,
    step: u64,
    capacity: usize,
}

struct Slot<K, V> {
    key: K,
    value: V,
    /// The step that asked for it last.
    touched: u64,
}

/// How many steps an entry is kept at first; halved until the rest fits.
const KEPT_STEPS: u64 = 256;

impl<K: Copy + Eq + Hash, V> Cache<K, V> {
    fn new(capacity: usize) -> Self {
        let (places, slots, free) = Default::default();
        Self { places, slots, free, last: None, step: 0, capacity }
    }

    /// Where the value of a key stands.
    fn find(&mut self, key: K) -> Option<u32> {
        if let Some((last, place)) = self.last
            && last == key
        {
            return Some(place);
        }
        let place = *self.places.get(&key)?;
        self.last = Some((key, place));
        self.slot(place).touched = self.step;
        Some(place)
    }

    /// The value at a place that was found in this step.
    fn at(&mut self, place: u32) -> &mut V {
        &mut self.slot(place).value
    }

    fn slot(&mut self, place: u32) -> &mut Slot<K, V> {
        let step = self.step;
        let slot = self.slots[place as usize].as_mut().expect("a place that was found is not empty");
        slot.touched = step;
        slot
    }

    fn insert(&mut self, key: K, value: V) -> u32 {
        let slot = Some(Slot { key, value, touched: self.step });
        let place = match self.free.pop() {
            Some(place) => {
                self.slots[place as usize] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).expect("fewer than four thousand million values are in memory")
            }
        };
        self.places.insert(key, place);
        self.last = Some((key, place));
        place
    }

    /// Ends a step, and forgets the older entries where there are more than fit. Only safe while nothing is dirty.
    fn age(&mut self) {
        self.step += 1;
        self.last = None;
        let mut kept = KEPT_STEPS;
        while self.places.len() > self.capacity && kept > 0 {
            kept /= 2;
            self.forget_before(self.step.saturating_sub(kept));
        }
    }

    fn forget_before(&mut self, oldest: u64) {
        for (place, slot) in (0..).zip(&mut self.slots) {
            if slot.as_ref().is_some_and(|slot| slot.touched < oldest)
                && let Some(forgotten) = slot.take()
            {
                self.places.remove(&forgotten.key);
                self.free.push(place);
            }
        }
    }

    fn clear(&mut self) {
        self.places.clear();
        self.slots.clear();
        self.free.clear();
        self.last = None;
    }
}

/// A cluster in memory with what the current step has done to it.
pub(crate) struct ClusterCell {
    pub(crate) home: Home,
    pages: Pages,
    pub(crate) work: Option<Box<Work>>,
}

/// An effect recorded since the store was last written.
pub(crate) struct Recorded {
    partition: u32,
    signature: SignatureKey,
    event: EventKey,
    effect: Box<Effect>,
    /// Where its touchpoint stood; none where it came with a cluster.
    position: Option<Position>,
    /// Whether it was moved away or forgotten again.
    gone: bool,
    /// Whether a writer has its row.
    written: bool,
    /// The place of the one recorded before it for the same signature.
    before: Option<u32>,
}

impl Recorded {
    /// The effect, unless it is gone again.
    pub(crate) fn effect(&self) -> Option<&Effect> {
        (!self.gone).then_some(&self.effect)
    }

    /// Its touchpoint as the cause of a change.
    pub(crate) fn cause(&self) -> Option<Cause> {
        let position = self.position.clone()?;
        Some(Cause { directive: false, event: self.effect.event(), position })
    }
}

/// The events of the touchpoints that arrive in a step: whether each was seen before. A touchpoint finds its event by
/// its number, so nothing is looked up twice.
#[derive(Default)]
struct Arrivals {
    /// The events, sorted, each once.
    asked: Vec<(u32, EventKey)>,
    /// What is remembered of each.
    answers: Vec<Option<Seen>>,
    /// For each touchpoint, in order, the place of its event among those asked for.
    places: Vec<u32>,
    /// How many touchpoints have arrived.
    arrived: usize,
    /// What was seen and no writer has yet.
    news: Vec<((u32, EventKey), Seen)>,
    /// What a writer has, and not yet the store.
    earlier: FxHashMap<(u32, EventKey), Seen>,
}

impl Arrivals {
    /// Notes the events of touchpoints about to arrive, in order; the answers are still to be read.
    fn await_all(&mut self, events: Vec<(u32, EventKey)>) {
        // By what fits into a register, which hardly ever ties.
        let beginning = |(partition, event): &(u32, EventKey)| {
            let key = event.0.first_chunk().map_or(0, |half| u64::from_be_bytes(*half));
            u64::from(*partition) << 48 | key >> 16
        };
        let mut numbered: Vec<_> = (0_u32..).zip(&events).map(|(number, event)| (beginning(event), number)).collect();
        let event = |number: u32| events[number as usize];
        numbered.sort_unstable_by(|(a, one), (b, other)| a.cmp(b).then_with(|| event(*one).cmp(&event(*other))));
        (self.arrived, self.asked) = (0, Vec::with_capacity(numbered.len()));
        self.places.clear();
        self.places.resize(numbered.len(), 0);
        for (_, number) in numbered {
            let event = event(number);
            if self.asked.last() != Some(&event) {
                self.asked.push(event);
            }
            let place = self.asked.len() - 1;
            self.places[number as usize] = u32::try_from(place).expect("a step has fewer than four thousand million");
        }
    }

    /// What was read, and over it what the store does not have yet.
    fn answer(&mut self, stored: Vec<Option<Seen>>) {
        self.answers = stored;
        if !self.earlier.is_empty() {
            for (event, answer) in self.asked.iter().zip(&mut self.answers) {
                *answer = self.earlier.get(event).copied().or(*answer);
            }
        }
        for (event, seen) in &self.news {
            if let Ok(place) = self.asked.binary_search(event) {
                self.answers[place] = Some(*seen);
            }
        }
    }
}

/// How much is remembered between steps.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Clusters kept decoded.
    pub clusters: usize,
    /// Parents kept decoded.
    pub parents: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { clusters: 200_000, parents: 500_000 }
    }
}

/// Working memory over a store. Nothing reaches the store before [`Memory::write`].
pub(crate) struct Memory<R> {
    reader: R,
    parents: Cache<(u32, IdentifierKey), Cell<Parent>>,
    clusters: Cache<Root, ClusterCell>,
    seen: Arrivals,
    pub(crate) recorded: Vec<Recorded>,
    /// How many of them [`Self::last_recorded`] knows.
    indexed: usize,
    /// How many of them a writer has.
    written: usize,
    /// For each signature, the place of the last effect recorded.
    last_recorded: FxHashMap<(u32, SignatureKey), u32>,
    /// For each signature, the effects that are dropped although the store has them.
    dropped: FxHashMap<(u32, SignatureKey), Vec<EventKey>>,
    /// Those of them that no writer knows of yet.
    drops: Vec<(u32, SignatureKey, EventKey)>,
    dirty_parents: Vec<u32>,
    dirty_clusters: Vec<(Root, u32)>,
    /// Works of earlier steps, to be used again.
    #[expect(clippy::vec_box, reason = "the boxes are what is used again: a cell has room for one and not for a work")]
    spare: Vec<Box<Work>>,
}

impl<R: Reader> Memory<R> {
    pub(crate) fn new(reader: R, capacity: Capacity) -> Self {
        Self {
            reader,
            parents: Cache::new(capacity.parents),
            clusters: Cache::new(capacity.clusters),
            seen: Arrivals::default(),
            recorded: Vec::new(),
            indexed: 0,
            written: 0,
            last_recorded: FxHashMap::default(),
            dropped: FxHashMap::default(),
            drops: Vec::new(),
            dirty_parents: Vec::new(),
            dirty_clusters: Vec::new(),
            spare: Vec::new(),
        }
    }

    pub(crate) fn reader_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// Reads what a step will ask for, all at once.
    pub(crate) fn prefetch(
        &mut self,
        events: Vec<(u32, EventKey)>,
        mut identifiers: Vec<(u32, IdentifierKey)>,
        mut roots: Vec<Root>,
    ) -> Result<(), store::Error> {
        self.seen.await_all(events);
        self.seen.answer(self.reader.seen(&self.seen.asked)?);
        identifiers.retain(|place| match self.parents.find(*place) {
            Some(at) => {
                roots.extend(self.parents.at(at).value.root.filter(|root| root.partition == place.0));
                false
            }
            None => true,
        });
        sort(&mut identifiers);
        let parents = self.reader.parents(&identifiers)?;
        for (place, parent) in identifiers.into_iter().zip(parents) {
            let value = parent.unwrap_or_default();
            roots.extend(value.root.filter(|root| root.partition == place.0));
            self.parents.insert(place, Cell { value, dirty: false });
        }
        roots.retain(|root| self.clusters.find(*root).is_none());
        roots.sort_unstable_by_key(|root| (root.partition, root.key));
        roots.dedup();
        let homes = self.reader.clusters(&roots)?;
        for (root, read) in roots.into_iter().zip(homes) {
            self.clusters.insert(root, ClusterCell::read(read));
        }
        Ok(())
    }

    pub(crate) fn parent(&mut self, partition: u32, key: IdentifierKey) -> Result<&Parent, store::Error> {
        let at = self.parent_at((partition, key))?;
        Ok(&self.parents.at(at).value)
    }

    pub(crate) fn parent_mut(&mut self, partition: u32, key: IdentifierKey) -> Result<&mut Parent, store::Error> {
        let at = self.parent_at((partition, key))?;
        let cell = self.parents.at(at);
        if !std::mem::replace(&mut cell.dirty, true) {
            self.dirty_parents.push(at);
        }
        Ok(&mut self.parents.at(at).value)
    }

    fn parent_at(&mut self, place: (u32, IdentifierKey)) -> Result<u32, store::Error> {
        if let Some(at) = self.parents.find(place) {
            return Ok(at);
        }
        let value = self.reader.parents(&[place])?.pop().flatten().unwrap_or_default();
        Ok(self.parents.insert(place, Cell { value, dirty: false }))
    }

    /// The cluster at a root, to be read or changed. Counts as touched by this step.
    pub(crate) fn cluster(&mut self, root: Root) -> Result<&mut ClusterCell, store::Error> {
        let place = match self.clusters.find(root) {
            Some(place) => place,
            None => {
                let read = self.reader.clusters(&[root])?.pop().flatten();
                self.clusters.insert(root, ClusterCell::read(read))
            }
        };
        let cell = self.clusters.at(place);
        if cell.work.is_none() {
            cell.work = Some(self.spare.pop().unwrap_or_default());
            self.dirty_clusters.push((root, place));
        }
        Ok(cell)
    }

    /// How many clusters this step has touched.
    pub(crate) fn touched(&self) -> usize {
        self.dirty_clusters.len()
    }

    /// One of the clusters touched by this step, in the order in which they were.
    pub(crate) fn touched_cluster(&mut self, number: usize) -> (Root, &mut ClusterCell) {
        let (root, place) = self.dirty_clusters[number];
        (root, self.clusters.at(place))
    }

    /// As [`Self::touched_cluster`], with the effects recorded in this step.
    pub(crate) fn touched_with_records(&mut self, number: usize) -> (Root, &mut ClusterCell, &[Recorded]) {
        let (root, place) = self.dirty_clusters[number];
        (root, self.clusters.at(place), &self.recorded)
    }

    /// The number of the next touchpoint that arrives, of those that were prefetched, in their order.
    pub(crate) fn next_arrival(&mut self) -> usize {
        self.seen.arrived += 1;
        self.seen.arrived - 1
    }

    /// What is remembered of the event that a touchpoint is.
    pub(crate) fn seen(&self, arrival: usize) -> Option<Seen> {
        self.seen.answers[self.seen.places[arrival] as usize]
    }

    /// Remembers the event that a touchpoint is.
    pub(crate) fn see(&mut self, arrival: usize, seen: Seen) {
        let place = self.seen.places[arrival] as usize;
        self.seen.answers[place] = Some(seen);
        self.seen.news.push((self.seen.asked[place], seen));
    }

    /// The place that the next recorded effect will have among those of this step.
    pub(crate) fn next_record(&self) -> u32 {
        u32::try_from(self.recorded.len()).expect("a step records fewer than four thousand million effects")
    }

    /// Records an effect.
    pub(crate) fn record(
        &mut self,
        partition: u32,
        signature: SignatureKey,
        event: EventKey,
        effect: Box<Effect>,
        position: Option<Position>,
    ) {
        let (gone, written, before) = (false, false, None);
        self.recorded.push(Recorded { partition, signature, event, effect, position, gone, written, before });
    }

    /// Notes the effects recorded since the last time this was asked for under their signatures. Few steps ask at all.
    fn index_recorded(&mut self) {
        let new = self.indexed..self.recorded.len();
        self.indexed = new.end;
        for (place, recorded) in new.clone().zip(&mut self.recorded[new]) {
            let place = u32::try_from(place).expect("a step records fewer than four thousand million effects");
            recorded.before = self.last_recorded.insert((recorded.partition, recorded.signature), place);
        }
    }

    /// Visits the effects of a signature that were recorded, the last one first.
    fn each_recorded(&mut self, partition: u32, signature: SignatureKey, mut visit: impl FnMut(&mut Recorded)) {
        self.index_recorded();
        let mut place = self.last_recorded.get(&(partition, signature)).copied();
        while let Some(at) = place {
            let recorded = &mut self.recorded[at as usize];
            visit(recorded);
            place = recorded.before;
        }
    }

    /// All effects of a signature, stored or recorded, in the order of their events' keys.
    pub(crate) fn effects(
        &mut self,
        partition: u32,
        signature: SignatureKey,
    ) -> Result<Vec<(EventKey, Effect)>, store::Error> {
        let mut effects = self.reader.effects(partition, signature)?;
        if let Some(dropped) = self.dropped.get(&(partition, signature)) {
            effects.retain(|(event, _)| !dropped.contains(event));
        }
        self.each_recorded(partition, signature, |recorded| {
            effects.extend(recorded.effect().map(|effect| (recorded.event, effect.clone())));
        });
        effects.sort_unstable_by_key(|(event, _)| *event);
        effects.dedup_by_key(|(event, _)| *event);
        Ok(effects)
    }

    /// Drops one effect.
    pub(crate) fn drop_effect(&mut self, partition: u32, signature: SignatureKey, event: EventKey) {
        let mut is_stored = true;
        self.each_recorded(partition, signature, |recorded| {
            if recorded.event == event {
                recorded.gone = true;
                is_stored = recorded.written;
            }
        });
        if is_stored {
            self.dropped.entry((partition, signature)).or_default().push(event);
            self.drops.push((partition, signature, event));
        }
    }

    /// All effects of a signature, which then has none.
    pub(crate) fn take_effects(
        &mut self,
        partition: u32,
        signature: SignatureKey,
    ) -> Result<Vec<(EventKey, Effect)>, store::Error> {
        let effects = self.effects(partition, signature)?;
        for (event, _) in &effects {
            self.drop_effect(partition, signature, *event);
        }
        Ok(effects)
    }

    /// Hands everything that changed since the last time to the writer, in the order in which it was first touched. The
    /// drops come before the records: an effect that was dropped and recorded again stands. Until the store has it,
    /// which [`Self::stored`] tells, nothing of it is forgotten.
    pub(crate) fn write(&mut self, writer: &mut impl Writer) {
        for (partition, signature, event) in self.drops.drain(..) {
            store::drop_effect(writer, partition, signature, event);
        }
        for recorded in &mut self.recorded[self.written..] {
            recorded.written = true;
            if let Some(effect) = recorded.effect() {
                store::put_effect(writer, recorded.partition, recorded.signature, recorded.event, effect);
            }
        }
        self.written = self.recorded.len();
        for place in self.dirty_parents.drain(..) {
            let Slot { key: (partition, key), value: cell, .. } = self.parents.slot(place);
            cell.dirty = false;
            store::put_parent(writer, *partition, *key, &cell.value);
        }
        for (root, place) in self.dirty_clusters.drain(..) {
            let cell = self.clusters.at(place);
            let Some(mut work) = cell.work.take() else { continue };
            if work.changed {
                store::put_home(writer, root, &cell.home, &mut cell.pages);
            }
            work.clear();
            self.spare.push(work);
        }
        for (place, seen) in self.seen.news.drain(..) {
            store::put_seen(writer, place.0, place.1, seen);
            self.seen.earlier.insert(place, seen);
        }
    }

    /// The store has all that was handed to writers.
    pub(crate) fn stored(&mut self) {
        self.forget_recorded();
        self.seen.earlier.clear();
        self.parents.age();
        self.clusters.age();
    }

    fn forget_recorded(&mut self) {
        self.recorded.clear();
        (self.indexed, self.written) = (0, 0);
        self.last_recorded.clear();
        self.dropped.clear();
        self.drops.clear();
    }

    /// Forgets everything: what is stored may be ahead of it or behind it.
    pub(crate) fn forget(&mut self) {
        self.parents.clear();
        self.clusters.clear();
        self.seen = Arrivals::default();
        self.forget_recorded();
        self.dirty_parents.clear();
        self.dirty_clusters.clear();
    }
}

impl ClusterCell {
    fn read(read: Option<(Home, Pages)>) -> Self {
        let (home, pages) = read.unwrap_or_else(|| (Home::Live(Box::default()), Pages::default()));
        Self { home, pages, work: None }
    }

    /// The live cluster with the step's work on it, or where it went.
    pub(crate) fn live(&mut self) -> Result<(&mut Cluster, &mut Work), Root> {
        match &mut self.home {
            Home::Live(cluster) => Ok((cluster, self.work.get_or_insert_default())),
            Home::Forward(root) => Err(*root),
        }
    }
}

fn sort<T: Ord>(places: &mut Vec<T>) {
    places.sort_unstable();
    places.dedup();
}
