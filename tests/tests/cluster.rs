//! Stitchers on a cluster: whatever happens to them, the persons are those of the evidence.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use musubi_serve::cluster;
use musubi_tests::cluster::{Fixture, touchpoints};
use musubi_tests::processes::{Stitcher, binary};

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

#[test]
fn topics_that_were_made_are_there_when_the_command_returns() -> Result<()> {
    let fixture = Fixture::start(1)?;
    // A real cluster shows a topic in its own time, a little after it was made; ours shows it at once if not told otherwise.
    if let Some(faults) = fixture.faults() {
        faults.show_topics_late(Duration::from_millis(400));
    }
    let settings = [
        format!("kafka.bootstrap={}", fixture.bootstrap()),
        format!("kafka.prefix={}fresh.", fixture.cluster.settings.prefix),
        "kafka.partitions=3".to_owned(),
        "kafka.replication=1".to_owned(),
    ];
    let mut command = Command::new(binary()?);
    command.args(["topics", "apply"]).args(settings.iter().flat_map(|setting| ["--set", setting]));
    let done = command.output()?;
    let said = String::from_utf8_lossy(&done.stdout);
    ensure!(done.status.success(), "`musubi topics apply` ended with {} and said\n{said}", done.status);
    let made = said.lines().filter(|line| line.starts_with("made ")).count();
    ensure!(made == fixture.cluster.plan().len(), "{made} topics were made:\n{said}");
    Ok(())
}
