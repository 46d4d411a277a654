//! SIGSTOP for longer than the session lasts, a successor, and SIGCONT.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use musubi_tests::chance::{Chance, dose, tell};
use musubi_tests::cluster::{Fixture, PATIENCE, touchpoints_with_copies};
use musubi_tests::crew::Crew;

/// How many touchpoints come in one life of a zombie.
const PER_LIFE: usize = 900;

#[test]
fn a_zombie_commits_nothing_and_works_again() -> Result<()> {
    let (zombies, mut chance) = (dose("MUSUBI_CHAOS_ZOMBIES", 1), Chance::new());
    let fixture = Fixture::start(4)?;
    let lines = touchpoints_with_copies(zombies * PER_LIFE as u64, 12);
    let mut crew = Crew::start(&fixture, 2, &["stitch.batch=100"])?;
    for (number, life) in lines.chunks(lines.len().div_ceil(zombies as usize)).enumerate() {
        let zombie = number % 2;
        let (before, during) = life.split_at(life.len() / 3);
        let (during, after) = during.split_at(during.len() / 2);
        fixture.feed(before)?;
        std::thread::sleep(chance.milliseconds(300));
        crew.member(zombie)?.signal("STOP")?;
        // All partitions are served only when the other one has taken over what the stopped one held.
        fixture.feed(during)?;
        fixture.settle()?;
        crew.member(zombie)?.signal("CONT")?;
        let woken = Instant::now();
        fixture.feed(after)?;
        crew.settle()?;
        // Alone it works again: whether it came back into the group or ended, and a supervisor began it anew.
        crew.take(1 - zombie)?.kill()?;
        fixture.feed(&life[..20])?;
        crew.settle()?;
        tell(&format!("zombie {number}: {} s from waking to working alone", woken.elapsed().as_secs()));
        ensure!(woken.elapsed() < PATIENCE, "it takes {:?}", woken.elapsed());
        crew.begin(1 - zombie)?;
    }
    tell(&format!("{zombies} zombies, {} ended by themselves", crew.gave_up));
    tell(&crew.account(&lines)?);
    Ok(())
}

#[test]
fn whoever_takes_a_name_that_is_taken_ends_its_first_bearer() -> Result<()> {
    let fixture = Fixture::start(2)?;
    let lines = touchpoints_with_copies(600, 13);
    let mut crew = Crew::start(&fixture, 1, &["stitch.batch=100"])?;
    fixture.feed(&lines[..300])?;
    crew.settle()?;
    // Another process under the same name, with a state of its own, as after a move to another machine.
    let mut first = crew.take(0)?;
    let elsewhere = crew.join_as("stitcher-0")?;
    fixture.feed(&lines[300..])?;
    let deadline = Instant::now() + PATIENCE;
    while first.ended()?.is_none() {
        ensure!(Instant::now() < deadline, "two bear one name");
        std::thread::sleep(Duration::from_millis(100));
    }
    ensure!(first.ended()?.is_some_and(|how| !how.success()), "it says that all is well");
    ensure!(crew.member(elsewhere)?.lives()?, "both ended");
    tell(&crew.account(&lines)?);
    Ok(())
}
