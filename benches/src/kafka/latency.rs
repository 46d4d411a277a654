//! How long it takes from a touchpoint that the cluster has to the change of a profile that a consumer reads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use musubi_log::kafka::{Edge, Onlooker};
use musubi_log::{Append, Budget, Producer as _, Reader as _};
use musubi_schema::{Parser, avro};
use musubi_stitcher::topics::PROFILE_CHANGES;

use crate::children::Running;
use crate::say;
use crate::stage::Stage;

/// How long it is measured.
const SECONDS: u64 = 15;
/// How often what is due is sent.
const STEP: Duration = Duration::from_millis(5);
/// What comes in the first seconds is not counted: the stitcher has just begun.
const WARMING: Duration = Duration::from_secs(3);

/// Sends so many touchpoints a second, reads the changes beside, and prints how long it took. A change is timed by the
/// touchpoint that it names as its cause: the last of its batch that concerned the person.
pub(crate) fn measure(stage: &Stage, lines: &[Vec<u8>], rate: u64) -> Result<()> {
    let (stitcher, _) = Running::start(&mut stage.stitcher()?)?;
    stage.probe()?.told()?;
    let mut parser = Parser::new();
    let appends: Vec<Append> = lines.iter().filter_map(|line| stage.append(&mut parser, line)).collect();
    let partitions = stage.cluster.settings.partitions;
    let over = AtomicBool::new(false);
    let (sent, seen) = std::thread::scope(|scope| -> Result<_> {
        let readers: Vec<_> = (0..partitions)
            .map(|partition| {
                scope.spawn({
                    let over = &over;
                    move || read(stage, partition, over)
                })
            })
            .collect();
        let sent = send(stage, &appends, rate);
        std::thread::sleep(Duration::from_secs(2));
        over.store(true, Ordering::Relaxed);
        let mut seen = Vec::new();
        for reader in readers {
            seen.extend(reader.join().map_err(|_| anyhow::anyhow!("a reader panicked"))??);
        }
        Ok((sent?, seen))
    })?;
    stitcher.stop()?;
    let begin = sent.values().min().copied().context("nothing was sent")? + WARMING;
    let timed = seen.iter().filter_map(|(event, at)| {
        let sent = *sent.get(event)?;
        (sent >= begin).then(|| at.saturating_duration_since(sent))
    });
    let mut timed: Vec<Duration> = timed.collect();
    ensure!(!timed.is_empty(), "no change was read");
    timed.sort_unstable();
    let at = |percent: usize| timed[(timed.len() - 1) * percent / 100].as_millis();
    say(&format!(
        "delay at {rate}/s, {partitions} partition(s): p50 {} ms, p99 {} ms, of {} changes",
        at(50),
        at(99),
        timed.len()
    ))
}

type Event = (String, String);

/// Sends what is due every few milliseconds. Returns when each was on the cluster.
fn send(stage: &Stage, appends: &[Append], rate: u64) -> Result<HashMap<Event, Instant>> {
    let edge = Edge::open(&stage.cluster.settings)?;
    let mut parser = Parser::new();
    let mut sent = HashMap::new();
    let started = Instant::now();
    let total = usize::try_from(rate * SECONDS)?.min(appends.len());
    let mut done = 0;
    while done < total {
        let due = usize::try_from(started.elapsed().as_micros() as u64 * rate / 1_000_000)?.min(total);
        if due > done {
            let piece = appends[done..due].to_vec();
            let events = piece.iter().map(|append| event_of(&mut parser, append)).collect::<Result<Vec<_>>>()?;
            edge.append(piece)?;
            let now = Instant::now();
            sent.extend(events.into_iter().map(|event| (event, now)));
            done = due;
        }
        std::thread::sleep(STEP);
    }
    Ok(sent)
}

fn event_of(parser: &mut Parser, append: &Append) -> Result<Event> {
    let bytes = append.record.value.as_deref().unwrap_or_default();
    let touchpoint = avro::decode_touchpoint(bytes, parser, &musubi_schema::Writers::default())?;
    Ok((touchpoint.source.as_ref().to_owned(), touchpoint.event_id.as_ref().to_owned()))
}

/// Reads the changes of a partition as they come: the touchpoint that caused each, and when it was read.
fn read(stage: &Stage, partition: u32, over: &AtomicBool) -> Result<Vec<(Event, Instant)>> {
    let onlooker = Onlooker::open(&stage.cluster.settings)?;
    let budget = Budget { records: 10_000, bytes: 16 << 20, patience: Duration::from_millis(100) };
    let mut next = onlooker.start_offset(&PROFILE_CHANGES, partition)?;
    let mut seen = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let stretch = onlooker.read(&PROFILE_CHANGES, partition, next, budget)?;
        next = stretch.next;
        let now = Instant::now();
        for delivery in stretch.records {
            seen.extend(cause_of(delivery.record.value.as_deref().unwrap_or_default())?.map(|event| (event, now)));
        }
    }
    Ok(seen)
}

fn cause_of(bytes: &[u8]) -> Result<Option<Event>> {
    let mut text = Vec::new();
    avro::to_json(avro::Topic::ProfileChanges, bytes, &mut text)?;
    let change: serde_json::Value = serde_json::from_slice(&text)?;
    let part = |name: &str| Some(change.get("cause")?.get(name)?.as_str()?.to_owned());
    Ok(part("source").zip(part("event_id")))
}
