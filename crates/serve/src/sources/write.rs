//! From what a source took to records of the log: touchpoints to their owners, the rest to the quarantine.

use std::borrow::Cow;

use musubi_channels::{SetAside, Taken};
use musubi_core::time::Timestamp;
use musubi_log::Append;
use musubi_schema::{Quarantined, avro, render_touchpoint};
use musubi_stitcher::topics::{QUARANTINE, partition_of};

use crate::collect::{self, Refusal};
use crate::entrance::Entrance;
use crate::problem::Problem;

/// The most that is kept of an original, in bytes: a record of a cluster has 8 MiB at most.
const LONGEST_ORIGINAL: usize = 7 * 1_024 * 1_024;

/// Where something stood that came in a file; nowhere for what came over HTTP.
#[derive(Clone, Copy, Default)]
pub(crate) struct Origin<'a> {
    pub(crate) file: Option<&'a str>,
    pub(crate) line: Option<u64>,
}

/// The records of what was taken. Touchpoints that mean nothing under the policy are moved to what was set aside, as
/// lines of canonical JSON.
pub(crate) fn appends(
    entrance: &Entrance,
    taken: &mut Taken,
    origin: Origin<'_>,
    now: Timestamp,
) -> Result<Vec<Append>, Problem> {
    let mut appends = Vec::with_capacity(taken.touchpoints.len() + taken.set_aside.len());
    let mut kept = Vec::with_capacity(taken.touchpoints.len());
    for touchpoint in taken.touchpoints.drain(..) {
        match collect::append(entrance, &touchpoint, now) {
            Ok(append) => {
                appends.push(append);
                kept.push(touchpoint);
            }
            Err(Refusal::Failed(problem)) => return Err(problem),
            Err(Refusal::Aside(aside)) => {
                let mut original = Vec::with_capacity(512);
                render_touchpoint(&touchpoint, &mut original);
                taken.set_aside.push(SetAside {
                    source: touchpoint.source.as_ref().to_owned(),
                    event_id: aside.event_id,
                    reason: aside.reason.into(),
                    detail: aside.detail,
                    original,
                    item: None,
                    envelope: None,
                });
            }
        }
    }
    taken.touchpoints = kept;
    for aside in &taken.set_aside {
        appends.push(quarantine(entrance, aside, origin, now)?);
    }
    Ok(appends)
}

fn quarantine(
    entrance: &Entrance,
    aside: &SetAside,
    Origin { file, line }: Origin<'_>,
    now: Timestamp,
) -> Result<Append, Problem> {
    let (original, detail) = shortened(&aside.original, &aside.detail);
    let quarantined = Quarantined {
        source: Some(&aside.source),
        event_id: aside.event_id.as_deref(),
        reason: &aside.reason,
        detail: &detail,
        file,
        line,
        original,
        envelope: aside.envelope.as_deref(),
    };
    let record = entrance.record(&aside.source, &avro::Record::Quarantined(&quarantined), now)?;
    Ok(Append { topic: QUARANTINE, partition: partition_of(&aside.source, entrance.partitions), record })
}

fn shortened<'a>(original: &'a [u8], detail: &'a str) -> (&'a [u8], Cow<'a, str>) {
    if original.len() <= LONGEST_ORIGINAL {
        return (original, detail.into());
    }
    let told = format!("{detail} (of {} bytes the first {LONGEST_ORIGINAL} are kept)", original.len());
    (&original[..LONGEST_ORIGINAL], told.into())
}
