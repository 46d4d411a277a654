//! Moving clusters between homes in pieces of bounded size, and taking evidence out of them.

use musubi_core::cluster::{Cluster, Member, Signature, SignatureKey};
use musubi_core::touchpoint::{Effect, EventKey};

use crate::message::{Entry, Piece};
use crate::work::Work;

/// How many effects travel in one piece. With effects of some 200 bytes a piece stays well below the 1 MiB at which
/// Kafka refuses a record by default.
const EFFECTS_PER_PIECE: usize = 1_000;

/// Cuts a cluster and the effects of each of its signatures into pieces that can be absorbed in any order. What is not
/// evidence (persons, decrees, what is held) travels on the last.
pub(crate) fn pieces(mut cluster: Cluster, effects: Vec<Vec<(EventKey, Effect)>>) -> Vec<Piece> {
    let signatures = std::mem::take(&mut cluster.signatures);
    let mut pieces = Vec::new();
    let mut entries = Vec::new();
    let mut batch = Vec::new();
    for (mut signature, effects) in signatures.into_iter().zip(effects) {
        for (event, effect) in effects {
            if entries.len() == EFFECTS_PER_PIECE {
                batch.push(signature.clone());
                signature.count = 0;
                pieces.push(evidence(&cluster, std::mem::take(&mut batch), std::mem::take(&mut entries)));
            }
            entries.push(Entry { signature: signature.key, event, effect });
        }
        batch.push(signature);
        if batch.len() >= EFFECTS_PER_PIECE {
            pieces.push(evidence(&cluster, std::mem::take(&mut batch), std::mem::take(&mut entries)));
        }
    }
    cluster.signatures = batch;
    pieces.push(Piece { cluster, entries });
    pieces
}

/// A piece with these signatures, the members that they name, and these effects.
fn evidence(whole: &Cluster, mut signatures: Vec<Signature>, entries: Vec<Entry>) -> Piece {
    let mut named: Vec<u32> = signatures.iter().flat_map(|signature| signature.members.iter().copied()).collect();
    named.sort_unstable();
    named.dedup();
    for member in signatures.iter_mut().flat_map(|signature| signature.members.iter_mut()) {
        let place = named.binary_search(member).expect("every member named is in the list");
        *member = u32::try_from(place).expect("a cluster has fewer than four thousand million members");
    }
    let members = named.iter().map(|member| Member { person: None, ..whole.member(*member).clone() }).collect();
    Piece { cluster: Cluster { members, signatures, ..Cluster::default() }, entries }
}

/// Makes a signature say what the effects that are left of it say; nothing left is no signature.
pub(crate) fn rebuild_signature(
    cluster: &mut Cluster,
    work: &mut Work,
    key: SignatureKey,
    effects: &[(EventKey, Effect)],
) {
    let Some(place) = cluster.find_signature(key) else { return };
    let old = cluster.signatures.remove(place);
    let mut effects = effects.iter().map(|(_, effect)| effect);
    if let Some(first) = effects.next() {
        let mut signature = Signature::new(key, old.members, first);
        effects.for_each(|effect| signature.observe(effect));
        cluster.signatures.push(signature);
    }
    // Places have moved, and the profiles are folded anew from what is left.
    work.fresh.clear();
    work.refold = true;
}
