//! What is said downstream: the difference between what was published of a cluster and what it is now.

use crate::identifier::Identifier;
use crate::person::PersonId;
use crate::profile::Profile;
use crate::touchpoint::EventRef;

/// What happened to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Nobody knew this person before.
    Created,
    /// The same person, with something new.
    Updated,
    /// It took over other persons, or was taken over by one.
    Merged,
    /// It lost identifiers to another person, or was born of ones that another lost.
    Split,
    /// The same person under another id, because a more senior identifier became known.
    Renamed,
    /// Nothing is left of it.
    Erased,
}

impl Kind {
    /// The word on the topic.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Merged => "merged",
            Self::Split => "split",
            Self::Renamed => "renamed",
            Self::Erased => "erased",
        }
    }
}

/// A place in the log: where the touchpoint or directive stood that caused a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The topic (or the file, in a bounded run).
    pub topic: std::sync::Arc<str>,
    /// The partition.
    pub partition: u32,
    /// The offset (or the line, counted from 1).
    pub offset: u64,
}

/// Why a change happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Whether an operator's directive caused it, and not a touchpoint.
    pub directive: bool,
    /// The name of the touchpoint or directive.
    pub event: EventRef,
    /// Where it stood.
    pub position: Position,
}

/// A change of one person's profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileChange {
    /// Who.
    pub person_id: PersonId,
    /// The person's version after it. It only rises, whatever the person goes through.
    pub version: u64,
    /// What happened.
    pub kind: Kind,
    /// The visible fields that changed, by name.
    pub fields: Vec<crate::profile::Change>,
    /// The identifiers that joined, sorted.
    pub joined: Vec<Identifier>,
    /// The identifiers that left, sorted.
    pub left: Vec<Identifier>,
    /// The persons from which identifiers came, sorted.
    pub from: Vec<PersonId>,
    /// The person that this one is now part of, where it ended.
    pub into: Option<PersonId>,
    /// The last touchpoint or directive that had a part in it.
    pub cause: Option<Cause>,
}

/// The whole of a person, as of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Who.
    pub person_id: PersonId,
    /// The version.
    pub version: u64,
    /// Whether this is a shared identifier and not somebody.
    pub shared: bool,
    /// The identifiers, sorted.
    pub identifiers: Vec<Identifier>,
    /// The profile.
    pub profile: Profile,
}

/// One thing said downstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A change of a profile.
    Change(ProfileChange),
    /// The newest state of a person.
    Profile(Box<Snapshot>),
    /// A person that is no more: its state is to be dropped.
    Gone(PersonId),
    /// The person that an identifier belongs to; none where it is forgotten.
    Identity(Identifier, Option<PersonId>),
    /// Where an id that is no longer live leads.
    Redirect(Redirect),
}

/// Where an id that is no longer live leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The id.
    pub from: PersonId,
    /// The person that it stands for; none where the id is live again or forgotten.
    pub to: Option<PersonId>,
    /// The version that the id has come to.
    pub version: u64,
    /// What caused it; none where no single record did.
    pub cause: Option<Cause>,
}
