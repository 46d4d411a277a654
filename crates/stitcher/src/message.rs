//! What partitions say to each other: the messages of the mesh topic.

use musubi_core::change::Cause;
use musubi_core::cluster::{Cluster, Decree, Observation, SignatureKey, Standing};
use musubi_core::forest::Root;
use musubi_core::identifier::{Identifier, IdentifierKey};
use musubi_core::touchpoint::{Effect, EventKey};

/// A message to the partition that owns what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// To the owner of the touchpoint's identifier number `entry`: enter it there, because every stronger one is shared.
    Enter {
        /// The touchpoint.
        observation: Observation,
        /// Which of its identifiers the receiver owns.
        entry: u32,
        /// Whether all of them are shared, and this is the strongest: the touchpoint stays with it.
        finally: bool,
    },
    /// To the home of a root: this touchpoint is yours.
    Observe {
        /// The cluster that the touchpoint's key identifier belongs to.
        root: Root,
        /// Which of its identifiers that is.
        entry: u32,
        /// The touchpoint.
        observation: Observation,
    },
    /// To the owner of an identifier: this cluster saw it.
    Claim {
        /// The identifier.
        identifier: Identifier,
        /// The cluster that saw it.
        root: Root,
    },
    /// To the home of a root: the identifier is yours.
    Claimed {
        /// The cluster that claimed it.
        root: Root,
        /// The identifier.
        identifier: Identifier,
        /// What its owner knows of it.
        standing: Standing,
    },
    /// To the home of a root: the identifier is shared; it lives elsewhere and joins nobody.
    Shared {
        /// The cluster that claimed it.
        root: Root,
        /// The identifier.
        identifier: Identifier,
        /// What its owner knows of it.
        standing: Standing,
    },
    /// To the home of the junior: these two clusters are one.
    Union {
        /// The senior root.
        senior: Root,
        /// The junior root.
        junior: Root,
        /// The claim that led to it, to be answered if the two turn out to be one already.
        claim: Option<(Root, Identifier, Standing)>,
    },
    /// To the home of the senior: one piece of the junior's whole cluster.
    Absorb {
        /// The senior.
        root: Root,
        /// The junior.
        from: IdentifierKey,
        /// What this piece adds to the number of pieces still to come: their number less one on the first, −1 on others.
        pieces: i64,
        /// The piece.
        piece: Box<Piece>,
    },
    /// To the owner of an identifier: it is found faster at this root.
    Reparent {
        /// The identifier.
        identifier: IdentifierKey,
        /// The root.
        root: Root,
    },
    /// To the owner of an identifier: its home found it to be shared (or no longer).
    Share {
        /// The identifier.
        identifier: Identifier,
        /// Whether it is.
        shared: bool,
    },
    /// To the home of a root: the owner of a member learnt something of it.
    Stand {
        /// The cluster.
        root: Root,
        /// The member.
        identifier: Identifier,
        /// All that its owner knows of it.
        standing: Standing,
        /// The directive that taught it.
        cause: Cause,
    },
    /// To the home of a root: an operator's word on a member and another identifier.
    Decree {
        /// The cluster of the first identifier of the pair.
        root: Root,
        /// The decree.
        decree: Decree,
    },
    /// To the home of a root: it grew too large to be resolved at every step; do it now.
    Resolve {
        /// The cluster.
        root: Root,
    },
}

/// The record of one effect: under which signature and event it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The signature.
    pub signature: SignatureKey,
    /// The event.
    pub event: EventKey,
    /// The effect.
    pub effect: Effect,
}

/// A part of a cluster on its way to another home, with the effects behind its evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Members and evidence, and on the last piece the persons.
    pub cluster: Cluster,
    /// The effects.
    pub entries: Vec<Entry>,
}
