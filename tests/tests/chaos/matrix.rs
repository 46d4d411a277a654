//! The same touchpoints through 1, 2 and 3 processes and 1, 4 and 12 partitions, one process killed in the midst: one
//! fingerprint.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use musubi_tests::chance::{dose, tell};
use musubi_tests::cluster::{Fixture, touchpoints_with_copies};
use musubi_tests::crew::Crew;

/// How many touchpoints are handed over at once.
const PIECE: usize = 20_000;

/// One cell: its fingerprint, where no oracle objects.
fn cell(processes: usize, partitions: u32, lines: &[Vec<u8>]) -> Result<String> {
    let begun = Instant::now();
    let fixture = Fixture::start(partitions)?;
    let mut crew = Crew::start(&fixture, processes, &["stitch.batch=5000"])?;
    let (before, after) = lines.split_at(lines.len() / 2);
    before.chunks(PIECE).try_for_each(|piece| fixture.feed(piece))?;
    // In the midst of what it has not read yet. Where others work, they have its partitions until it is back.
    crew.bounce(processes - 1)?;
    after.chunks(PIECE).try_for_each(|piece| fixture.feed(piece))?;
    crew.settle_within(Duration::from_secs(300))?;
    let stitched = begun.elapsed().as_secs_f64();
    let gave_up = crew.gave_up;
    let story = crew.story(&[])?;
    story.believed()?;
    let fingerprint = story.digests.whole().unwrap_or_default().to_string();
    let rate = lines.len() as f64 / stitched;
    tell(&format!(
        "{processes} processes, {partitions} partitions: {fingerprint}, {stitched:.0} s ({rate:.0}/s, {gave_up} gave up), \
         checked after {:.0} s",
        begun.elapsed().as_secs_f64()
    ));
    Ok(fingerprint)
}

/// The cells, as `processes x partitions`; of every number one by the small dose.
fn cells() -> Result<Vec<(usize, u32)>> {
    let told = std::env::var("MUSUBI_CHAOS_CELLS").unwrap_or_else(|_| "1x1 2x4 3x12".to_owned());
    let cell = |word: &str| {
        let (processes, partitions) = word.split_once('x').context("a cell such as 2x4")?;
        Ok((processes.parse()?, partitions.parse()?))
    };
    told.split_whitespace().map(cell).collect()
}

#[test]
fn one_fingerprint_whatever_the_processes_and_partitions() -> Result<()> {
    let lines = touchpoints_with_copies(dose("MUSUBI_CHAOS_MATRIX", 20_000), 21);
    let wanted = musubi_tests::oracles::run(&lines)?;
    tell(&format!("`musubi run` over {} touchpoints: {wanted}", lines.len()));
    for (processes, partitions) in cells()? {
        let found = cell(processes, partitions, &lines)?;
        ensure!(found == wanted, "{processes} processes and {partitions} partitions come to {found}, not {wanted}");
    }
    Ok(())
}
