//! Stitchers on a cluster: whatever happens to them, the persons are those of the evidence.

use anyhow::{Result, ensure};
use musubi_serve::cluster;
use musubi_tests::cluster::{Fixture, touchpoints};
use musubi_tests::processes::Stitcher;

/// Whether the live state, a rebuilt one and the batch algorithm agree.
fn agree(fixture: &Fixture) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let live = cluster::live(&fixture.cluster, &directory.path().join("live"))?;
    let rebuilt = cluster::rebuild(&fixture.cluster, &directory.path().join("rebuilt"), &mut |_, _| ())?;
    let recomputed = cluster::verify(&fixture.cluster, &mut |_, _| ())?;
    ensure!(live.persons > 0, "nobody is known");
    ensure!(live.settled, "the state is not settled");
    ensure!(live.by_person == rebuilt.by_person, "the live state is not the rebuilt one");
    ensure!(live.by_person == recomputed, "the live state is not what the evidence comes to");
    Ok(())
}

#[test]
fn what_a_process_stitches_is_what_the_evidence_comes_to() -> Result<()> {
    let fixture = Fixture::start(4)?;
    fixture.feed(&touchpoints(3_000, 1))?;
    let state = tempfile::tempdir()?;
    let stitcher = Stitcher::start(&fixture, "a", state.path(), &[])?;
    fixture.settle()?;
    agree(&fixture)?;
    ensure!(stitcher.stop()? == Some(0), "it did not end well");
    Ok(())
}
