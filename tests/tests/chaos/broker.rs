//! The broker itself is killed in the midst of transactions: the test broker, or, where the operator gives a command that
//! does it (`MUSUBI_CHAOS_BOUNCE`, `tests/chaos --bounce`), the cluster in `KAFKA_BOOTSTRAP`.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use musubi_tests::chance::{Chance, dose, tell};
use musubi_tests::cluster::{Fixture, touchpoints_with_copies};
use musubi_tests::crew::Crew;
use musubi_tests::processes::BrokerProcess;

/// How many touchpoints come between two kills.
const PER_KILL: usize = 300;

/// Who is killed.
enum Victim {
    Ours(BrokerProcess),
    /// A cluster that somebody else runs, and the command that kills a broker of it and starts it again.
    Theirs {
        bootstrap: String,
        command: String,
    },
}

impl Victim {
    /// None where a cluster is named and nobody said how it may be killed.
    fn find() -> Result<Option<Self>> {
        let Ok(bootstrap) = std::env::var("KAFKA_BOOTSTRAP") else {
            return Ok(Some(Self::Ours(BrokerProcess::start()?)));
        };
        let command = std::env::var("MUSUBI_CHAOS_BOUNCE").ok();
        Ok(command.map(|command| Self::Theirs { bootstrap, command }))
    }

    fn bootstrap(&self) -> &str {
        match self {
            Self::Ours(broker) => broker.bootstrap(),
            Self::Theirs { bootstrap, .. } => bootstrap,
        }
    }

    fn bounce(&mut self, silence: Duration) -> Result<()> {
        match self {
            Self::Ours(broker) => broker.bounce(silence),
            Self::Theirs { command, .. } => {
                let done = Command::new("sh").args(["-c", command]).status().context("the command that kills")?;
                ensure!(done.success(), "`{command}` ended with {done}");
                Ok(())
            }
        }
    }
}

#[test]
fn nothing_is_lost_or_doubled_by_kills_of_the_broker() -> Result<()> {
    let Some(mut broker) = Victim::find()? else {
        tell("left out: nobody said how the cluster in KAFKA_BOOTSTRAP may be killed");
        return Ok(());
    };
    let (kills, mut chance) = (dose("MUSUBI_CHAOS_BROKER_KILLS", 3), Chance::new());
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
