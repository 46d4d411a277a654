//! A state and a changelog that do not belong together: it is refused in words that say what is wrong, or made right.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use musubi_log::Topic;
use musubi_stitcher::topics::{MESH, TOUCHPOINTS};
use musubi_tests::chance::tell;
use musubi_tests::cluster::{Fixture, PATIENCE, touchpoints_with_copies};
use musubi_tests::crew::Crew;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

type Admin = AdminClient<DefaultClientContext>;

fn admin(fixture: &Fixture) -> Result<Admin> {
    Ok(ClientConfig::new().set("bootstrap.servers", fixture.bootstrap()).create()?)
}

/// The topic as it was on its first day: nothing in it.
fn make_anew(fixture: &Fixture, topic: &Topic) -> Result<()> {
    let settings = &fixture.cluster.settings;
    let (admin, name) = (admin(fixture)?, settings.name(topic));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(admin.delete_topics(&[&name], &AdminOptions::new()))?;
    // A cluster deletes in its own time, and refuses the name until then.
    let deadline = Instant::now() + PATIENCE;
    while !musubi_log::kafka::apply(settings, &fixture.cluster.plan()).is_ok_and(|made| made.contains(&name)) {
        ensure!(Instant::now() < deadline, "`{name}` does not come back");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// How a process ends that finds what it cannot go on with, in its words.
fn refusal(crew: &mut Crew<'_>, member: usize) -> Result<String> {
    let begun = crew.begin(member);
    if let Err(why) = begun {
        return Ok(format!("{why:#}"));
    }
    let deadline = Instant::now() + PATIENCE;
    let mut stitcher = crew.take(member)?;
    while stitcher.lives()? {
        ensure!(Instant::now() < deadline, "it works on");
        std::thread::sleep(Duration::from_millis(50));
    }
    ensure!(stitcher.ended()?.is_some_and(|how| !how.success()), "it says that all is well");
    Ok(stitcher.last_words())
}

#[test]
fn a_changelog_made_anew_is_refused_with_a_state_and_without_one() -> Result<()> {
    let fixture = Fixture::start(2)?;
    let lines = touchpoints_with_copies(400, 19);
    let mut crew = Crew::start(&fixture, 1, &[])?;
    fixture.feed(&lines)?;
    crew.settle()?;
    ensure!(crew.take(0)?.stop()? == Some(0), "it did not end well");
    make_anew(&fixture, &fixture.cluster.settings.changelog)?;
    let words = refusal(&mut crew, 0)?;
    ensure!(words.contains("which the state has read further than it goes"), "{words}");
    std::fs::remove_dir_all(crew.state(0))?;
    let words = refusal(&mut crew, 0)?;
    ensure!(words.contains("which the group has read further than the changelog"), "{words}");
    Ok(())
}

#[test]
fn another_number_of_partitions_is_refused() -> Result<()> {
    let fixture = Fixture::start(2)?;
    let mut crew = Crew::start(&fixture, 1, &[])?;
    crew.take(0)?.kill()?;
    let name = fixture.cluster.settings.name(&TOUCHPOINTS);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let more = [NewPartitions::new(&name, 3)];
    let made = runtime.block_on(admin(&fixture)?.create_partitions(&more, &AdminOptions::new()))?;
    ensure!(made.into_iter().all(|one| one.is_ok()), "no partition more");
    let deadline = Instant::now() + PATIENCE;
    while fixture.cluster.check().is_ok() {
        ensure!(Instant::now() < deadline, "nobody sees the third partition");
        std::thread::sleep(Duration::from_millis(50));
    }
    let words = refusal(&mut crew, 0)?;
    ensure!(words.contains(&format!("`partitions` of topic `{name}`: wanted 2, found 3")), "{words}");
    Ok(())
}

#[test]
fn a_state_older_than_the_deletes_that_the_changelog_keeps_is_restored_from_nothing() -> Result<()> {
    let keep = |settings: &mut musubi_log::kafka::Settings| {
        (settings.uncompacted, settings.tombstones) = (Duration::ZERO, Duration::ZERO);
    };
    let fixture = Fixture::shaped(2, keep)?;
    let lines = touchpoints_with_copies(1_500, 20);
    let mut crew = Crew::start(&fixture, 1, &["stitch.batch=100"])?;
    fixture.feed(&lines[..500])?;
    crew.settle()?;
    // It sleeps while another works, and what that one deletes is compacted away.
    ensure!(crew.take(0)?.stop()? == Some(0), "it did not end well");
    crew.join()?;
    fixture.feed(&lines[500..1_000])?;
    crew.settle()?;
    if let Some(faults) = fixture.faults() {
        let changelog = fixture.cluster.settings.name(&fixture.cluster.settings.changelog);
        ensure!(faults.compact(&changelog) && faults.compact(&changelog), "no changelog to be compacted");
    }
    ensure!(crew.take(1)?.stop()? == Some(0), "it did not end well");
    crew.begin(0)?;
    fixture.feed(&lines[1_000..])?;
    crew.settle()?;
    let words = crew.member(0)?.last_words();
    ensure!(words.contains("it is restored anew"), "it goes on with what is too old:\n{words}");
    let story = crew.story(&lines)?;
    // Compaction takes footers with it, so only what is whole can be asked.
    let wrong =
        [musubi_tests::oracles::digests(&story.digests), musubi_tests::oracles::accounting(&story.books)].concat();
    ensure!(wrong.is_empty(), "{wrong:?}");
    let whole = story.digests.whole().context("a fingerprint")?;
    tell(&format!("a state that is too old was restored from nothing; fingerprint {whole}"));
    Ok(())
}

#[test]
fn a_mesh_of_which_all_that_was_read_is_deleted_is_read_on_after_a_restart() -> Result<()> {
    let fixture = Fixture::start(3)?;
    let lines = touchpoints_with_copies(900, 23);
    let mut crew = Crew::start(&fixture, 1, &[])?;
    fixture.feed(&lines[..450])?;
    crew.settle()?;
    let settings = &fixture.cluster.settings;
    musubi_log::kafka::purge(settings, &MESH)?;
    let starts = musubi_log::kafka::ends(settings, &[MESH])?.iter().map(|ends| ends.start).max();
    ensure!(starts > Some(0), "nothing was deleted, so nothing is shown");
    crew.bounce(0)?;
    fixture.feed(&lines[450..])?;
    crew.settle()?;
    ensure!(crew.gave_up == 0, "it cannot begin where the mesh begins:\n{}", crew.member(0)?.last_words());
    tell(&crew.account(&lines)?);
    Ok(())
}
