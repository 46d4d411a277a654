//! SIGKILL under load.

use std::time::{Duration, Instant};

use anyhow::Result;
use musubi_tests::chance::{Chance, dose, tell};
use musubi_tests::cluster::{Fixture, touchpoints_with_copies};
use musubi_tests::crew::Crew;

/// How many touchpoints come between two kills.
const PER_KILL: usize = 400;

#[test]
fn nothing_is_lost_or_doubled_by_kills_of_stitchers_under_load() -> Result<()> {
    let (kills, mut chance) = (dose("MUSUBI_CHAOS_KILLS", 12), Chance::new());
    let fixture = Fixture::start(4)?;
    let lines = touchpoints_with_copies((kills + 1) * PER_KILL as u64, 11);
    let mut crew = Crew::start(&fixture, 2, &["stitch.batch=200"])?;
    let begun = Instant::now();
    for chunk in lines.chunks(PER_KILL).take(kills as usize) {
        fixture.feed(chunk)?;
        std::thread::sleep(chance.milliseconds(400));
        crew.bounce(chance.below(2) as usize)?;
    }
    fixture.feed(&lines[(kills as usize * PER_KILL).min(lines.len())..])?;
    let took = begun.elapsed();
    tell(&format!("{kills} kills in {:.0} s, {} gave up", took.as_secs_f64(), crew.gave_up));
    crew.settle_within(Duration::from_secs(60))?;
    tell(&crew.account(&lines)?);
    Ok(())
}
