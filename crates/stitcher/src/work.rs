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
    /// The last directive that had a part in it; once it is published, the last touchpoint or directive.
    pub(crate) cause: Option<Cause>,
    /// The place among the recorded of the last touchpoint that had a part in it, where no directive had one since.
    pub(crate) last: Option<u32>,
    /// What the policy makes of it, while nothing has moved since.
    pub(crate) resolution: Option<Decision>,
}

impl Work {
    /// A directive had a part in it.
    pub(crate) fn ruled(&mut self, cause: Cause) {
        (self.cause, self.last) = (Some(cause), None);
    }

    /// Another cluster's work had a part in it.
    pub(crate) fn follow(&mut self, other: &mut Self) {
        if other.cause.is_some() || other.last.is_some() {
            (self.cause, self.last) = (other.cause.take(), other.last);
        }
    }

    /// Nothing done yet; what was allocated is kept.
    pub(crate) fn clear(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.clear();
        *self = Self { fresh, ..Self::default() };
    }
}
