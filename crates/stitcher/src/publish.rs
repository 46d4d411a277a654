//! Publishing: what the policy makes of the clusters that a step touched, against what was published before.

use musubi_core::change::{Kind, Output, ProfileChange, Redirect, Snapshot};
use musubi_core::cluster::{Cluster, Member, Observation, Person, Signature};
use musubi_core::forest::Root;
use musubi_core::identifier::Identifier;
use musubi_core::person::PersonId;
use musubi_core::profile::{self, Profile};
use musubi_core::resolve::{Decision, Resolution, decide, links};
use musubi_store::{self as store, Reader};

use crate::machine::{Alert, Machine};
use crate::message::Message;
use crate::work::Work;

/// How many identifiers an alert names.
const GLUE: usize = 5;

impl<R: Reader> Machine<R> {
    /// Resolves what the step touched and tells the owners of identifiers who became shared or ceased to be, until
    /// nobody has anything more to say.
    pub(crate) fn settle(&mut self) -> Result<(), store::Error> {
        let mut next = 0;
        while next < self.memory.touched() {
            self.settle_cluster(next)?;
            self.drain()?;
            next += 1;
            if next == self.memory.touched() && self.has_unresolved() {
                next = 0;
            }
        }
        Ok(())
    }

    fn has_unresolved(&mut self) -> bool {
        let max_cluster = self.max_cluster();
        (0..self.memory.touched()).any(|number| {
            let (_, cell) = self.memory.touched_cluster(number);
            cell.live().is_ok_and(|(cluster, work)| needs_resolution(cluster, work, max_cluster))
        })
    }

    /// Above how many members resolution is throttled.
    fn max_cluster(&self) -> usize {
        if self.options.throttle { self.policy.limits.max_cluster as usize } else { usize::MAX }
    }

    fn settle_cluster(&mut self, number: usize) -> Result<(), store::Error> {
        let max_cluster = self.max_cluster();
        let (root, cell) = self.memory.touched_cluster(number);
        self.here = root.partition;
        let Ok((cluster, work)) = cell.live() else { return Ok(()) };
        if !needs_resolution(cluster, work, max_cluster) {
            return Ok(());
        }
        let decision = decide(cluster, &self.policy);
        let news = tell(cluster, &decision);
        let strayed = strayed(cluster, &decision);
        work.changed |= !news.is_empty();
        work.resolution = Some(decision);
        for (identifier, shared) in news {
            self.send(identifier.owner(self.partitions), Message::Share { identifier, shared });
        }
        for (place, entry) in strayed {
            self.return_effects(root, place, entry)?;
        }
        Ok(())
    }

    /// Sends the effects of a signature to where its identifier number `entry` lives.
    fn return_effects(&mut self, root: Root, place: usize, entry: usize) -> Result<(), store::Error> {
        let Ok((cluster, work)) = self.memory.cluster(root)?.live() else { return Ok(()) };
        let signature = &cluster.signatures[place];
        let key = signature.key;
        let identifiers: Vec<Identifier> =
            signature.members.iter().map(|member| cluster.member(*member).identifier.clone()).collect();
        let (last, ruled) = (work.last, work.cause.as_ref().map(|cause| cause.position.clone()));
        let observed = last.and_then(|last| self.memory.recorded[last as usize].cause()).map(|cause| cause.position);
        let position = observed.or(ruled);
        let effects = self.memory.take_effects(root.partition, key)?;
        if let Ok((cluster, work)) = self.memory.cluster(root)?.live() {
            cluster.signatures[place].count = 0;
            work.refold = true;
        }
        let nowhere = || musubi_core::change::Position { topic: "mesh".into(), partition: root.partition, offset: 0 };
        let position = position.unwrap_or_else(nowhere);
        for (event, effect) in effects {
            let (identifiers, effect) = (identifiers.clone(), Box::new(effect));
            let entry = u32::try_from(entry).expect("a touchpoint has few identifiers");
            self.send_home(Observation { identifiers, effect, event, position: position.clone() }, entry);
        }
        Ok(())
    }

    /// Publishes every cluster that the step touched.
    pub(crate) fn publish_all(&mut self) -> Result<(), store::Error> {
        for number in 0..self.memory.touched() {
            self.publish_cluster(number)?;
        }
        self.drain()
    }

    fn publish_cluster(&mut self, number: usize) -> Result<(), store::Error> {
        let max_cluster = self.max_cluster();
        let (root, cell, recorded) = self.memory.touched_with_records(number);
        self.here = root.partition;
        let Ok((cluster, work)) = cell.live() else { return Ok(()) };
        if !work.changed {
            return Ok(());
        }
        let unborn = cluster.persons.is_empty() && !cluster.held.is_empty();
        let throttled = cluster.members.len() > max_cluster && !work.due;
        let news = work.moved || work.refold || !work.fresh.is_empty();
        if unborn || throttled || !cluster.arriving.is_empty() {
            cluster.stale |= news;
            if throttled && news && !cluster.queued {
                cluster.queued = true;
                self.effects.messages.push((root.partition, Message::Resolve { root }));
            }
            return Ok(());
        }
        if !news && !cluster.stale && !work.due {
            return Ok(());
        }
        if let Some(last) = work.last {
            work.cause = recorded[last as usize].cause();
        }
        match still_plain(cluster, work) {
            Some(anchor) => self.publish_plain(number, anchor),
            None => self.publish_persons(root)?,
        }
        let (_, cell) = self.memory.touched_cluster(number);
        if let Ok((cluster, work)) = cell.live() {
            if cluster.members.len() > self.policy.limits.max_cluster as usize {
                self.effects.alerts.push(alert(root, cluster));
            }
            cluster.drop_unseen();
            work.clear();
            work.changed = true;
        }
        Ok(())
    }

    /// Publishes a cluster in which everybody is one person, and was before: nearly every one. It comes to what
    /// [`Self::publish_persons`] comes to.
    fn publish_plain(&mut self, number: usize, anchor: u32) {
        let (_, cell, recorded) = self.memory.touched_with_records(number);
        let Ok((cluster, work)) = cell.live() else { return };
        let born = cluster.persons.is_empty();
        if born {
            cluster.persons = vec![Person { anchor, profile: Profile::default() }];
        }
        let effects = work.fresh.iter().filter_map(|(_, place)| recorded[*place as usize].effect());
        let fields = cluster.persons[0].profile.take_in(effects, &self.policy);
        let reshaped = born || work.moved;
        let joined = if reshaped { nobodys(cluster) } else { Vec::new() };
        if born || !fields.is_empty() || !joined.is_empty() {
            let anchor = &mut cluster.members[anchor as usize];
            anchor.version += 1;
            self.effects.outputs.push(Output::Change(ProfileChange {
                person_id: anchor.person_id(),
                version: anchor.version,
                kind: if born { Kind::Created } else { Kind::Updated },
                fields,
                joined,
                left: Vec::new(),
                from: Vec::new(),
                into: None,
                cause: work.cause.take(),
            }));
            if self.options.snapshots {
                let snapshot = snapshot_of_all(cluster);
                self.effects.outputs.push(Output::Profile(Box::new(snapshot)));
            }
        }
        if reshaped {
            say_members(cluster, anchor, work, &mut self.effects.outputs);
        }
        cluster.plain = true;
        cluster.stale = false;
    }

    /// Publishes whoever the policy makes of a cluster.
    fn publish_persons(&mut self, root: Root) -> Result<(), store::Error> {
        let Ok((cluster, work)) = self.memory.cluster(root)?.live() else { return Ok(()) };
        // Taken out while it is worked on, so that effects can be read beside it.
        let mut cluster = std::mem::take(cluster);
        let work = std::mem::take(work);
        let decided = work.resolution.as_ref().map(|decision| decision.resolution(&cluster));
        let resolution = decided.unwrap_or_else(|| standing_resolution(&cluster));
        self.announce(root, &mut cluster, &work, &resolution)?;
        if let Ok((place, _)) = self.memory.cluster(root)?.live() {
            *place = cluster;
        }
        Ok(())
    }

    /// Says what became of each person, and keeps it as what is published now.
    fn announce(
        &mut self,
        root: Root,
        cluster: &mut Cluster,
        work: &Work,
        resolution: &Resolution,
    ) -> Result<(), store::Error> {
        let fate = Fate::of(cluster, work, resolution);
        let persons = self.fold(root, cluster, work, resolution, &fate)?;
        let before = std::mem::replace(&mut cluster.persons, persons);
        let reshaped = work.moved || work.refold || cluster.stale || !cluster.plain || before.is_empty();
        let census = if reshaped { Census::take(cluster, &before, resolution) } else { Census::unmoved(cluster) };
        self.say_changes(cluster, work, resolution, &before, &census);
        if reshaped {
            self.say_identities(cluster, resolution, &before);
            self.say_redirects(cluster, work, resolution, &before, &census);
            self.say_ends(cluster, work, resolution, &before, &census);
        }
        for (member, (person, shared)) in
            cluster.members.iter_mut().zip(resolution.person.iter().zip(&resolution.shared))
        {
            member.person = *person;
            member.shared = *shared;
        }
        cluster.plain = resolution.plain;
        cluster.stale = false;
        Ok(())
    }

    /// The persons with their profiles: what was folded before where it holds, else folded anew from the effects.
    fn fold(
        &mut self,
        root: Root,
        cluster: &Cluster,
        work: &Work,
        resolution: &Resolution,
        fate: &Fate,
    ) -> Result<Vec<Person>, store::Error> {
        let policy = std::sync::Arc::clone(&self.policy);
        let mut persons: Vec<Person> =
            resolution.anchors.iter().map(|anchor| Person { anchor: *anchor, profile: Profile::default() }).collect();
        for (old, whole) in fate.becomes.iter().enumerate() {
            if let Some(new) = whole.filter(|new| !fate.refold[*new as usize]) {
                let profile = &mut persons[new as usize].profile;
                if profile.is_empty() {
                    profile.clone_from(&cluster.persons[old].profile);
                } else {
                    profile.merge(&cluster.persons[old].profile, &policy);
                }
            }
        }
        for (signature, recorded) in &work.fresh {
            let signature = &cluster.signatures[*signature as usize];
            let Some(new) = person_of(cluster, resolution, signature).filter(|new| !fate.refold[*new as usize]) else {
                continue;
            };
            if let Some(effect) = self.memory.recorded[*recorded as usize].effect() {
                persons[new as usize].profile.observe(effect, &policy);
            }
        }
        if fate.refold.contains(&true) {
            for signature in &cluster.signatures {
                let new = person_of(cluster, resolution, signature).filter(|new| fate.refold[*new as usize]);
                let Some(new) = new else { continue };
                if signature.count == 0 {
                    continue;
                }
                for (_, effect) in self.memory.effects(root.partition, signature.key)? {
                    persons[new as usize].profile.observe(&effect, &policy);
                }
            }
        }
        Ok(persons)
    }

    /// What is said of each person that is: whether it is new, and what of it.
    fn say_changes(
        &mut self,
        cluster: &mut Cluster,
        work: &Work,
        resolution: &Resolution,
        before: &[Person],
        census: &Census,
    ) {
        let nothing = Profile::default();
        for (place, life) in census.lives.iter().enumerate() {
            let now = &cluster.persons[place];
            let was = life.was.map_or(&nothing, |old| &before[old as usize].profile);
            let fields = profile::diff(was, &now.profile);
            let anchor = now.anchor as usize;
            let same = fields.is_empty()
                && life.joined.is_empty()
                && life.left.is_empty()
                && cluster.members[anchor].shared == resolution.shared[anchor];
            if same && life.was.is_some() {
                continue;
            }
            let person_id = cluster.members[anchor].person_id();
            let identify = |members: &[u32]| sorted(members.iter().map(|member| &cluster.member(*member).identifier));
            let (joined, left) = (identify(&life.joined), identify(&life.left));
            cluster.members[anchor].version += 1;
            let version = cluster.members[anchor].version;
            self.effects.outputs.push(Output::Change(ProfileChange {
                person_id,
                version,
                kind: life.kind,
                fields,
                joined,
                left,
                from: life.from.clone(),
                into: None,
                cause: work.cause.clone(),
            }));
            if self.options.snapshots {
                let place = u32::try_from(place).expect("there are no more persons than members");
                let snapshot = snapshot(cluster, resolution, place);
                self.effects.outputs.push(Output::Profile(Box::new(snapshot)));
            }
        }
    }

    /// What is said of each person that is no more, after the redirect that tells where it went.
    fn say_ends(
        &mut self,
        cluster: &mut Cluster,
        work: &Work,
        resolution: &Resolution,
        before: &[Person],
        census: &Census,
    ) {
        for (old, end) in &census.ends {
            let person = &before[*old as usize];
            let anchor = person.anchor as usize;
            let person_id = cluster.members[anchor].person_id();
            let into = end.into.map(|new| id_at(cluster, resolution, new));
            cluster.members[anchor].version += 1;
            let version = cluster.members[anchor].version;
            self.effects.outputs.push(Output::Change(ProfileChange {
                person_id,
                version,
                kind: end.kind,
                fields: profile::diff(&person.profile, &Profile::default()),
                joined: Vec::new(),
                left: sorted(end.left.iter().map(|member| &cluster.member(*member).identifier)),
                from: Vec::new(),
                into,
                cause: work.cause.clone(),
            }));
            self.effects.outputs.push(Output::Gone(person_id));
        }
    }

    /// Where each identifier belongs now.
    fn say_identities(&mut self, cluster: &Cluster, resolution: &Resolution, before: &[Person]) {
        for (member, person) in cluster.members.iter().zip(&resolution.person) {
            let was = member.person.map(|old| cluster.member(before[old as usize].anchor).person_id());
            let is = person.map(|new| id_at(cluster, resolution, new));
            if was != is && !member.foreign {
                self.effects.outputs.push(Output::Identity(member.identifier.clone(), is));
            }
        }
    }

    /// Where each id that is no longer live leads: always straight to a live one. A forgotten identifier's leads nowhere.
    fn say_redirects(
        &mut self,
        cluster: &mut Cluster,
        work: &Work,
        resolution: &Resolution,
        before: &[Person],
        census: &Census,
    ) {
        let id = |new: u32| id_at(cluster, resolution, new);
        let ends: Vec<(PersonId, Option<PersonId>)> = census
            .ends
            .iter()
            .map(|(old, end)| (cluster.member(before[*old as usize].anchor).person_id(), end.into.map(id)))
            .collect();
        let after_end = |person: PersonId| ends.iter().find(|(ended, _)| *ended == person).map(|(_, into)| *into);
        let leads = |member: &Member, person: Option<u32>| {
            let own = member.person_id();
            let is = person.map(id);
            if is == Some(own) || member.seen.is_none() || member.version == 0 {
                return None;
            }
            is.or_else(|| after_end(own).or_else(|| member.redirect.map(|to| after_end(to).unwrap_or(Some(to))))?)
        };
        let redirects: Vec<Option<PersonId>> =
            cluster.members.iter().zip(&resolution.person).map(|(member, person)| leads(member, *person)).collect();
        for (member, redirect) in cluster.members.iter_mut().zip(redirects) {
            lead(member, redirect, work, &mut self.effects.outputs);
        }
    }
}

/// The state of a person, as it is about to be published or as it stands.
pub fn snapshot(cluster: &Cluster, resolution: &Resolution, person: u32) -> Snapshot {
    snapshot_with(cluster, resolution, person, cluster.persons[person as usize].profile.clone())
}

/// As [`snapshot`], of a cluster that nobody needs any more: the profile is taken from it.
pub fn last_snapshot(cluster: &mut Cluster, resolution: &Resolution, person: u32) -> Snapshot {
    let profile = std::mem::take(&mut cluster.persons[person as usize].profile);
    snapshot_with(cluster, resolution, person, profile)
}

fn snapshot_with(cluster: &Cluster, resolution: &Resolution, person: u32, profile: Profile) -> Snapshot {
    let members = (0..).zip(&resolution.person).filter(|(_, of)| **of == Some(person)).map(|(member, _)| member);
    let anchor = resolution.anchors[person as usize];
    Snapshot {
        person_id: cluster.member(anchor).person_id(),
        version: cluster.member(anchor).version,
        shared: resolution.shared[anchor as usize],
        identifiers: sorted(members.map(|member: u32| &cluster.member(member).identifier)),
        profile,
    }
}

/// The state of the one person that a cluster is.
fn snapshot_of_all(cluster: &Cluster) -> Snapshot {
    let person = &cluster.persons[0];
    let anchor = cluster.member(person.anchor);
    Snapshot {
        person_id: anchor.person_id(),
        version: anchor.version,
        shared: false,
        identifiers: sorted(cluster.members.iter().map(|member| &member.identifier)),
        profile: person.profile.clone(),
    }
}

/// The resolution that the published persons of a cluster show.
pub fn standing_resolution(cluster: &Cluster) -> Resolution {
    Resolution {
        anchors: cluster.persons.iter().map(|person| person.anchor).collect(),
        person: cluster.members.iter().map(|member| member.person).collect(),
        shared: cluster.members.iter().map(|member| member.shared).collect(),
        refusals: Vec::new(),
        plain: cluster.plain,
    }
}

/// In a plain cluster that has not moved, what was published holds.
fn needs_resolution(cluster: &Cluster, work: &Work, max_cluster: usize) -> bool {
    let news = work.moved || work.refold || work.due || !work.fresh.is_empty();
    let holds = cluster.plain && !cluster.stale && !work.moved && !work.refold;
    let throttled = cluster.members.len() > max_cluster && !work.due;
    news && !holds && !throttled && work.resolution.is_none() && cluster.arriving.is_empty()
}

/// The anchor of a cluster that is one person, and was that person or nobody before, and of whose evidence nothing was
/// taken away.
fn still_plain(cluster: &Cluster, work: &Work) -> Option<u32> {
    if cluster.stale || work.refold {
        return None;
    }
    match (&work.resolution, cluster.persons.as_slice()) {
        (Some(Decision::Plain(anchor)), []) => Some(*anchor),
        (Some(Decision::Plain(anchor)), [person]) if cluster.plain && person.anchor == *anchor => Some(*anchor),
        (None, [person]) if cluster.plain && !work.moved => Some(person.anchor),
        (_, _) => None,
    }
}

/// The members that belonged to nobody so far, sorted.
fn nobodys(cluster: &Cluster) -> Vec<Identifier> {
    sorted(cluster.members.iter().filter(|member| member.person.is_none()).map(|member| &member.identifier))
}

/// Where each identifier of a cluster that is one person belongs now, and where its own id leads.
fn say_members(cluster: &mut Cluster, anchor: u32, work: &Work, outputs: &mut Vec<Output>) {
    let person = cluster.member(anchor).person_id();
    for member in &mut cluster.members {
        if member.person.is_none() {
            outputs.push(Output::Identity(member.identifier.clone(), Some(person)));
        }
        (member.person, member.shared) = (Some(0), false);
    }
    for member in &mut cluster.members {
        let own = member.person_id();
        let redirect = (own != person && member.version > 0).then_some(person);
        lead(member, redirect, work, outputs);
    }
}

/// Notes where the id of a member leads, and says it where that is news.
fn lead(member: &mut Member, to: Option<PersonId>, work: &Work, outputs: &mut Vec<Output>) {
    if member.redirect != to {
        member.redirect = to;
        let (from, version, cause) = (member.person_id(), member.version, work.cause.clone());
        outputs.push(Output::Redirect(Redirect { from, to, version, cause }));
    }
}

/// Notes who is shared, and returns those of whom that is news to their owners.
fn tell(cluster: &mut Cluster, decision: &Decision) -> Vec<(Identifier, bool)> {
    let mut news = Vec::new();
    for (place, member) in cluster.members.iter_mut().enumerate() {
        let shared = match decision {
            Decision::Plain(_) => false,
            Decision::Full(resolution) => resolution.shared[place],
        };
        if !member.foreign && member.told != shared {
            member.told = shared;
            news.push((member.identifier.clone(), shared));
        }
    }
    news
}

/// The signatures whose effects belong to a shared identifier that lives elsewhere, each with that one's place in it.
fn strayed(cluster: &Cluster, decision: &Decision) -> Vec<(usize, usize)> {
    let resolution = match decision {
        Decision::Full(resolution) if cluster.members.iter().any(|member| member.foreign) => resolution,
        Decision::Full(_) | Decision::Plain(_) => return Vec::new(),
    };
    let stray = |signature: &Signature| cluster.stray(signature, |member| resolution.shared[member as usize]);
    let counted = cluster.signatures.iter().enumerate().filter(|(_, signature)| signature.count > 0);
    counted.filter_map(|(place, signature)| Some((place, stray(signature)?))).collect()
}

/// The person that the effects of a signature go to.
fn person_of(cluster: &Cluster, resolution: &Resolution, signature: &Signature) -> Option<u32> {
    let shared = |member: u32| resolution.shared[member as usize];
    if cluster.stray(signature, shared).is_some() {
        return None;
    }
    resolution.person[cluster.beneficiary(signature, shared)? as usize]
}

fn id_at(cluster: &Cluster, resolution: &Resolution, person: u32) -> PersonId {
    cluster.member(resolution.anchors[person as usize]).person_id()
}

fn sorted<'a>(identifiers: impl Iterator<Item = &'a Identifier>) -> Vec<Identifier> {
    let mut identifiers: Vec<Identifier> = identifiers.cloned().collect();
    if !identifiers.is_sorted() {
        identifiers.sort_unstable();
    }
    identifiers
}

fn alert(root: Root, cluster: &Cluster) -> Alert {
    let mut neighbours = vec![0_u32; cluster.members.len()];
    for link in links(cluster) {
        neighbours[link.stronger as usize] += 1;
        neighbours[link.weaker as usize] += 1;
    }
    let mut members: Vec<usize> = (0..neighbours.len()).collect();
    members.sort_by(|a, b| {
        let text = |member: usize| &cluster.members[member].identifier;
        neighbours[*b].cmp(&neighbours[*a]).then_with(|| text(*a).cmp(text(*b)))
    });
    let glue = members.iter().take(GLUE).map(|member| cluster.members[*member].identifier.clone()).collect();
    Alert { root, members: cluster.members.len(), glue }
}

/// What becomes of the profiles that were folded before.
struct Fate {
    /// For each published person the one that all of its effects go to now; none where they scatter.
    becomes: Vec<Option<u32>>,
    /// For each person now, whether its profile must be folded anew from the effects.
    refold: Vec<bool>,
}

impl Fate {
    fn of(cluster: &Cluster, work: &Work, resolution: &Resolution) -> Self {
        let persons = resolution.anchors.len();
        let before = cluster.persons.len();
        if cluster.stale || work.refold {
            return Self { becomes: vec![None; before], refold: vec![true; persons] };
        }
        if resolution.plain {
            return Self { becomes: vec![Some(0); before], refold: vec![false; persons] };
        }
        let mut heirs: Vec<Vec<Option<u32>>> = vec![Vec::new(); before];
        for signature in &cluster.signatures {
            let was = cluster.beneficiary(signature, |member| cluster.member(member).shared);
            if let Some(old) = was.and_then(|member| cluster.member(member).person) {
                let heir = person_of(cluster, resolution, signature);
                if !heirs[old as usize].contains(&heir) {
                    heirs[old as usize].push(heir);
                }
            }
        }
        let mut refold = vec![false; persons];
        let becomes = heirs
            .iter()
            .map(|heirs| match heirs.as_slice() {
                [Some(heir)] => Some(*heir),
                scattered => {
                    scattered.iter().flatten().for_each(|heir| refold[*heir as usize] = true);
                    None
                }
            })
            .collect();
        Self { becomes, refold }
    }
}

/// The life of a person that is now.
struct Life {
    /// The person published under the same id.
    was: Option<u32>,
    kind: Kind,
    joined: Vec<u32>,
    left: Vec<u32>,
    from: Vec<PersonId>,
}

/// The end of a person that was.
struct End {
    kind: Kind,
    into: Option<u32>,
    left: Vec<u32>,
}

/// Who is, who was, and how they hang together.
struct Census {
    lives: Vec<Life>,
    ends: Vec<(u32, End)>,
}

impl Census {
    /// Nobody came and nobody went.
    fn unmoved(cluster: &Cluster) -> Self {
        let lives = (0..).take(cluster.persons.len()).map(|person| Life {
            was: Some(person),
            kind: Kind::Updated,
            joined: Vec::new(),
            left: Vec::new(),
            from: Vec::new(),
        });
        Self { lives: lives.collect(), ends: Vec::new() }
    }

    fn take(cluster: &Cluster, before: &[Person], resolution: &Resolution) -> Self {
        let successor: Vec<Option<u32>> = before
            .iter()
            .map(|old| resolution.anchors.iter().position(|anchor| *anchor == old.anchor))
            .map(|place| place.map(|place| u32::try_from(place).expect("there are no more persons than members")))
            .collect();
        let ends: Vec<(u32, Option<u32>)> = (0..)
            .zip(before)
            .filter(|(old, _)| successor[*old as usize].is_none())
            .map(|(old, person)| (old, heir(cluster, resolution, old, person.anchor)))
            .collect();
        let lives: Vec<Life> = (0..)
            .take(resolution.anchors.len())
            .map(|new| life(cluster, before, resolution, &successor, &ends, new))
            .collect();
        let ends = ends
            .into_iter()
            .map(|(old, into)| {
                let kind = match into {
                    None => Kind::Erased,
                    Some(new) if lives[new as usize].kind == Kind::Renamed => Kind::Renamed,
                    Some(_) => Kind::Merged,
                };
                (old, End { kind, into, left: members_of(cluster, old) })
            })
            .collect();
        Self { lives, ends }
    }
}

/// The person that one who is no more is now part of: her anchor's, or that of another identifier of hers.
fn heir(cluster: &Cluster, resolution: &Resolution, old: u32, anchor: u32) -> Option<u32> {
    let person = |member: u32| resolution.person[member as usize];
    person(anchor).or_else(|| {
        let mut members = members_of(cluster, old);
        members.sort_by(|a, b| cluster.member(*a).identifier.cmp(&cluster.member(*b).identifier));
        members.into_iter().find_map(person)
    })
}

fn members_of(cluster: &Cluster, old: u32) -> Vec<u32> {
    (0..).zip(&cluster.members).filter(|(_, member)| member.person == Some(old)).map(|(index, _)| index).collect()
}

fn life(
    cluster: &Cluster,
    before: &[Person],
    resolution: &Resolution,
    successor: &[Option<u32>],
    ends: &[(u32, Option<u32>)],
    new: u32,
) -> Life {
    let was = (0..).zip(successor).find(|(_, successor)| **successor == Some(new)).map(|(old, _): (u32, _)| old);
    let (mut joined, mut left, mut sources) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (member, person)) in (0..).zip(cluster.members.iter().zip(&resolution.person)) {
        if *person == Some(new) && (member.person.is_none() || member.person != was) {
            joined.push(index);
            sources.extend(member.person);
        }
        if was.is_some() && member.person == was && *person != Some(new) {
            left.push(index);
        }
    }
    sources.sort_unstable();
    sources.dedup();
    let taken_over = ends.iter().filter(|(old, into)| *into == Some(new) && sources.contains(old)).count();
    let gave_away = left.iter().any(|member| resolution.person[*member as usize].is_some());
    let kind = match (was, taken_over) {
        (Some(_), 1..) | (None, 2..) => Kind::Merged,
        (None, 1) => Kind::Renamed,
        (Some(_), 0) if gave_away => Kind::Split,
        (Some(_), 0) => Kind::Updated,
        (None, 0) if sources.is_empty() => Kind::Created,
        (None, 0) => Kind::Split,
    };
    let mut from: Vec<PersonId> =
        sources.iter().map(|old| cluster.member(before[*old as usize].anchor).person_id()).collect();
    from.sort_unstable();
    Life { was, kind, joined, left, from }
}
