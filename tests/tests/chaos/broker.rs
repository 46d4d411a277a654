//! The broker itself is killed in the midst of transactions. Only the test broker is: a real cluster is not ours to kill.

use std::time::{Duration, Instant};

use anyhow::Result;
use musubi_tests::chance::{Chance, dose, tell};
use musubi_tests::cluster::{Fixture, touchpoints_with_copies};
use musubi_tests::crew::Crew;
use musubi_tests::processes::BrokerProcess;

/// How many touchpoints come between two kills.
const PER_KILL: usize = 300;

#[test]
fn nothing_is_lost_or_doubled_by_kills_of_the_broker() -> Result<()> {
    if std::env::var_os("KAFKA_BOOTSTRAP").is_some() {
        tell("left out: the cluster in KAFKA_BOOTSTRAP is not ours to kill");
        return Ok(());
    }
    let (kills, mut chance) = (dose("MUSUBI_CHAOS_BROKER_KILLS", 3), Chance::new());
    let mut broker = BrokerProcess::start()?;
    let fixture = Fixture::at(broker.bootstrap(), 4)?;
    let lines = touchpoints_with_copies((kills + 1) * PER_KILL as u64, 17);
    let mut crew = Crew::start(&fixture, 2, &["stitch.batch=50"])?;
    let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
    for chunk in lines.chunks(PER_KILL).take(kills as usize) {
        fixture.feed(chunk)?;
        std::thread::sleep(chance.milliseconds(500));
        broker.bounce(chance.milliseconds(1_500))?;
        let up = Instant::now();
        crew.settle_within(Duration::from_secs(90))?;
        slowest = slowest.max(up.elapsed());
    }
    fixture.feed(&lines[(kills as usize * PER_KILL).min(lines.len())..])?;
    tell(&format!(
        "{kills} kills of the broker in {} s, at rest {:.1} s after the slowest; {} ended by themselves",
        begun.elapsed().as_secs(),
        slowest.as_secs_f64(),
        crew.gave_up
    ));
    tell(&crew.account(&lines)?);
    Ok(())
}
