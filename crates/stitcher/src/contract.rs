//! What a deployment promises downstream beside the content: how values are framed, and what stands in the headers.

use bytes::Bytes;
use musubi_core::change::Kind;
use musubi_log::{Header, Topic};
use musubi_schema::Framing;

use crate::occasion::Occasion;
use crate::topics;

/// How what is said downstream is written. None of it changes what is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// How values are written.
    pub framing: Framing,
    /// Who says it: `ce_source` is this, a slash, and the topic.
    pub source: String,
    /// Whether identifiers and traits are also told as flat rows, for sinks that want a table.
    pub rows: bool,
}

impl Default for Contract {
    fn default() -> Self {
        Self { framing: Framing::default(), source: "musubi".to_owned(), rows: true }
    }
}

/// What happened, as `ce_type` has it. The words are part of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Changed(Kind),
    State,
    Gone,
    Assigned,
    Forgotten,
    Redirected,
    Revived,
    Joined,
    Left,
    TraitSet,
    TraitRemoved,
    Quarantined,
}

impl Event {
    /// Where it is told.
    pub(crate) const fn topic(self) -> Topic {
        match self {
            Self::Changed(_) => topics::PROFILE_CHANGES,
            Self::State | Self::Gone => topics::PROFILES,
            Self::Assigned | Self::Forgotten => topics::IDENTITY_MAP,
            Self::Redirected | Self::Revived => topics::REDIRECTS,
            Self::Joined | Self::Left => topics::PROFILE_IDENTIFIERS,
            Self::TraitSet | Self::TraitRemoved => topics::PROFILE_TRAITS,
            Self::Quarantined => topics::QUARANTINE,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Changed(Kind::Created) => "musubi.profile.created",
            Self::Changed(Kind::Updated) => "musubi.profile.updated",
            Self::Changed(Kind::Merged) => "musubi.profile.merged",
            Self::Changed(Kind::Split) => "musubi.profile.split",
            Self::Changed(Kind::Renamed) => "musubi.profile.renamed",
            Self::Changed(Kind::Erased) => "musubi.profile.erased",
            Self::State => "musubi.profile.state",
            Self::Gone => "musubi.profile.gone",
            Self::Assigned => "musubi.identity.assigned",
            Self::Forgotten => "musubi.identity.forgotten",
            Self::Redirected => "musubi.redirect.set",
            Self::Revived => "musubi.redirect.cleared",
            Self::Joined => "musubi.profile-identifier.joined",
            Self::Left => "musubi.profile-identifier.left",
            Self::TraitSet => "musubi.profile-trait.set",
            Self::TraitRemoved => "musubi.profile-trait.removed",
            Self::Quarantined => "musubi.quarantined",
        }
    }
}

/// A contract made ready: what is the same on every record is there once, and shared by counting.
#[derive(Clone, Debug)]
pub(crate) struct Letterhead {
    pub(crate) contract: Contract,
    content_type: Bytes,
    sources: Sources,
}

/// `ce_source` of each topic that anything is told on.
#[derive(Clone, Debug)]
struct Sources {
    changes: Bytes,
    profiles: Bytes,
    identities: Bytes,
    redirects: Bytes,
    identifiers: Bytes,
    traits: Bytes,
    quarantine: Bytes,
}

impl Sources {
    fn new(source: &str) -> Self {
        let of = |topic: Topic| Bytes::from(format!("{source}/{topic}"));
        Self {
            changes: of(topics::PROFILE_CHANGES),
            profiles: of(topics::PROFILES),
            identities: of(topics::IDENTITY_MAP),
            redirects: of(topics::REDIRECTS),
            identifiers: of(topics::PROFILE_IDENTIFIERS),
            traits: of(topics::PROFILE_TRAITS),
            quarantine: of(topics::QUARANTINE),
        }
    }

    const fn of(&self, event: Event) -> &Bytes {
        match event {
            Event::Changed(_) => &self.changes,
            Event::State | Event::Gone => &self.profiles,
            Event::Assigned | Event::Forgotten => &self.identities,
            Event::Redirected | Event::Revived => &self.redirects,
            Event::Joined | Event::Left => &self.identifiers,
            Event::TraitSet | Event::TraitRemoved => &self.traits,
            Event::Quarantined => &self.quarantine,
        }
    }
}

impl Letterhead {
    pub(crate) fn new(contract: Contract) -> Self {
        let content_type = Bytes::from_static(contract.framing.content_type().as_bytes());
        let sources = Sources::new(&contract.source);
        Self { contract, content_type, sources }
    }

    /// The headers of a record: CloudEvents 1.0 in Kafka's binary mode, the person's version, and where the cause stands.
    /// Nothing in them comes from a clock or from chance: the same record said again has the same headers.
    pub(crate) fn headers(&self, event: Event, id: Bytes, subject: Bytes, told: Told<'_>) -> Vec<Header> {
        /// Eight that can be on every record, and the type of its content.
        const MOST: usize = 9;
        let mut headers = Vec::with_capacity(MOST);
        let mut add = |name: &'static str, value: Bytes| headers.push((name.into(), value));
        add("ce_specversion", Bytes::from_static(b"1.0"));
        add("ce_id", id);
        add("ce_source", self.sources.of(event).clone());
        add("ce_type", Bytes::from_static(event.name().as_bytes()));
        add("ce_subject", subject);
        if let Some(time) = &told.occasion.time {
            add("ce_time", time.clone());
        }
        if told.has_value {
            add("content-type", self.content_type.clone());
        }
        if let Some(version) = &told.occasion.version {
            add("profile_version", version.clone());
        }
        if let Some(src) = &told.occasion.src {
            add("src", src.clone());
        }
        headers
    }
}

/// What a record's headers tell of it beside its name.
#[derive(Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) occasion: &'a Occasion,
    /// Whether it is not a tombstone.
    pub(crate) has_value: bool,
}
