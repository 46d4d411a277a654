//! What one step has done to one cluster, before its persons are published anew.

use musubi_core::change::Cause;
use musubi_core::resolve::Decision;

/// The work of a step on a cluster.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Whether anything of the cluster differs from what is stored.
    pub(crate) changed: bool,
    /// Whether its shape moved: members, signatures, decrees, or who was seen first.
    pub(crate) moved: bool,
    /// Whether evidence was taken away or given to somebody else, so that profiles are folded anew.
    pub(crate) refold: bool,
    /// Whether its turn to be resolved has come although it is too large to be resolved at every step.
    pub(crate) due: bool,
    /// The effects recorded in this step: the place of each one's signature, and its place among the recorded.
    pub(crate) fresh: Vec<(u32, u32)>,
    /// The last touchpoint or directive that had a part in it.
    pub(crate) cause: Option<Cause>,
    /// What the policy makes of it, while nothing has moved since.
    pub(crate) resolution: Option<Decision>,
}

impl Work {
    /// Nothing done yet; what was allocated is kept.
    pub(crate) fn clear(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.clear();
        *self = Self { fresh, ..Self::default() };
    }
}
