//! The tables that a run ends with: who is who, as the state says.

use anyhow::Result;
use musubi_core::cluster::Cluster;
use musubi_core::fingerprint::Fingerprint;
use musubi_core::forest::Home;
use musubi_core::policy::Policy;
use musubi_core::resolve::{Decision, decide};
use musubi_stitcher::{last_snapshot, standing_resolution};
use musubi_store::{Rocks, Stored};

use crate::sinks::Sinks;

/// What stands in the state.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    pub(crate) identifiers: u64,
    pub(crate) persons: u64,
    pub(crate) refused_links: u64,
    pub(crate) shared_identifiers: u64,
    pub(crate) fingerprint: Fingerprint,
}

/// Writes the identity map, the profiles and the redirects, and counts what is in them.
pub(crate) fn write(state: &Stored<Rocks>, partitions: u32, policy: &Policy, sinks: &mut Sinks) -> Result<Standing> {
    let mut standing = Standing::default();
    let mut failed = None;
    for partition in 0..partitions {
        state.each_cluster(partition, |_, home| {
            if let (Home::Live(cluster), None) = (home, &failed) {
                failed = write_cluster(*cluster, policy, sinks, &mut standing).err();
            }
            Ok(())
        })?;
    }
    failed.map_or(Ok(standing), Err)
}

fn write_cluster(mut cluster: Cluster, policy: &Policy, sinks: &mut Sinks, standing: &mut Standing) -> Result<()> {
    let published = standing_resolution(&cluster);
    for person in (0..).take(published.anchors.len()) {
        let snapshot = last_snapshot(&mut cluster, &published, person);
        for identifier in &snapshot.identifiers {
            standing.identifiers += 1;
            standing.fingerprint.add_identity(identifier, snapshot.person_id);
            sinks.identity(identifier, snapshot.person_id)?;
        }
        standing.persons += 1;
        standing.shared_identifiers += u64::from(snapshot.shared);
        standing.fingerprint.add_profile(snapshot.person_id, snapshot.shared, &snapshot.profile);
        sinks.profile(&snapshot)?;
    }
    for member in &cluster.members {
        if let Some(to) = member.redirect {
            sinks.redirect(member.person_id(), to)?;
        }
    }
    if !cluster.plain
        && let Decision::Full(resolution) = decide(&cluster, policy)
    {
        standing.refused_links += resolution.refusals.len() as u64;
    }
    Ok(())
}
