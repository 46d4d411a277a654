//! The union-find forest: who is whose parent, and which cluster lives where.

use crate::cluster::{Cluster, Standing};
use crate::identifier::IdentifierKey;

/// The name of a cluster: its root identifier, and the partition that owns it, which is the cluster's home.
///
/// Ordered by seniority: the smaller key is the senior. The key is a keyed hash, so seniority is random, total, and
/// the same for everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Root {
    /// The root identifier's key.
    pub key: IdentifierKey,
    /// Its owner.
    pub partition: u32,
}

/// What the owner of an identifier keeps of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parent {
    /// The cluster it was last known to belong to; none before anyone claimed it.
    pub root: Option<Root>,
    /// Its erasure, its block, and its person's version while no cluster keeps them.
    pub standing: Standing,
    /// Whether it is shared: it unites nobody.
    pub shared: bool,
    /// Who claimed it while it was shared, sorted: they are united through it should it cease to be.
    pub askers: Vec<Root>,
}

/// What stands at a cluster's home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// The cluster.
    Live(Box<Cluster>),
    /// It was absorbed: this is where it went.
    Forward(Root),
}
