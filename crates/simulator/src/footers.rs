//! The oracles of the log on Kafka: what its footers cover, where everybody stands, whether anything is open, and what
//! became of every record.

use std::collections::BTreeMap;

use musubi_log::kafka::{Footer, Replica as _};
use musubi_log::model::Model;
use musubi_log::{Offset, Partition};
use musubi_stitcher::{Account, topics};

use crate::Failed;
use crate::rest::Rest;
use crate::stage::CHANGELOG;

/// The footers of a partition's changelog in order, each with the offset behind it, and how many records stand before
/// it.
fn footers(model: &Model, partition: Partition) -> (Vec<(Offset, Footer, u64)>, u64) {
    let (mut found, mut since) = (Vec::new(), 0);
    for delivery in model.records(&CHANGELOG, partition) {
        match Footer::of(&delivery.record) {
            Some(footer) => found.push((delivery.offset + 1, footer, std::mem::take(&mut since))),
            None => since += 1,
        }
    }
    (found, since)
}

/// Where a partition's changelog goes on.
pub(crate) fn end(model: &Model, partition: Partition) -> Offset {
    footers(model, partition).0.last().map_or(0, |(next, ..)| *next)
}

/// What is torn in the changelogs, if anything is: a batch without its footer, or with other records than it counts.
/// Only for changelogs of which compaction has taken nothing.
pub(crate) fn torn(model: &Model, partitions: Partition) -> Option<String> {
    for partition in 0..partitions {
        let (footers, left) = footers(model, partition);
        if left > 0 {
            return Some(format!("{left} records of changelog {partition} have no footer"));
        }
        let off =
            (1..).zip(&footers).find(|(number, (_, footer, count))| footer.batch != *number || footer.count != *count);
        if let Some((number, (_, footer, count))) = off {
            return Some(format!("changelog {partition}: batch {number} is {footer:?} with {count} records"));
        }
    }
    None
}

/// Asks the oracles.
pub(crate) fn at_rest(rest: &Rest<'_>, model: &Model) -> Result<(), Failed> {
    for partition in 0..rest.scenario.partitions {
        coverage(model, partition)?;
        positions(rest, model, partition)?;
    }
    openness(model)?;
    accounting(rest)
}

/// The footers' stretches of each input are all of it, without a gap and without an overlap, and no batch is missing.
fn coverage(model: &Model, partition: Partition) -> Result<(), Failed> {
    let mut reached = BTreeMap::<String, Offset>::new();
    for (number, (_, footer, _)) in (1..).zip(footers(model, partition).0) {
        if footer.batch != number {
            let batch = footer.batch;
            return Err(Failed(format!("partition {partition}: batch {batch} stands where {number} belongs")));
        }
        for covered in footer.inputs {
            let before = reached.insert(covered.topic.clone(), covered.next).unwrap_or_default();
            if covered.from != before || covered.next < covered.from {
                return Err(Failed(format!("partition {partition}: batch {number} takes {covered:?} after {before}")));
            }
        }
    }
    Ok(())
}

/// The group's offsets, the last footer and the state stand at the same place.
fn positions(rest: &Rest<'_>, model: &Model, partition: Partition) -> Result<(), Failed> {
    let last = footers(model, partition).0.pop();
    let stands = rest.disk(partition).position(partition)?;
    let wanted = last.as_ref().map(|(next, ..)| *next);
    if stands != wanted {
        return Err(Failed(format!(
            "partition {partition}: the state is at {stands:?}, the last footer at {wanted:?}"
        )));
    }
    for topic in topics::INPUTS {
        let committed = model.committed(&topic, partition).unwrap_or_default();
        let footer = last.as_ref().and_then(|(_, footer, _)| footer.next(&topic)).unwrap_or_default();
        if committed != footer {
            return Err(Failed(format!(
                "{topic}/{partition}: the group is at {committed}, the last footer at {footer}"
            )));
        }
    }
    Ok(())
}

/// Everything that was written is decided.
fn openness(model: &Model) -> Result<(), Failed> {
    match model.ends().into_iter().find(|ends| ends.stable != ends.end) {
        Some(open) => Err(Failed(format!("a transaction is open: {open:?}"))),
        None => Ok(()),
    }
}

/// Something became of every record that was read, of each one thing; the changelog has the same accounts, and the
/// topics say as many.
fn accounting(rest: &Rest<'_>) -> Result<(), Failed> {
    let mut evidence = vec![0_u64; rest.scenario.partitions as usize];
    for topic in [topics::TOUCHPOINTS, topics::DIRECTIVES] {
        rest.shelf.records(&topic)?.iter().for_each(|delivery| evidence[delivery.partition as usize] += 1);
    }
    let mut all = Account::default();
    for (partition, (stand, rebuilt)) in (0..).zip(evidence.into_iter().zip(&rest.rebuilt)) {
        let account = Account::find(rest.disk(partition), partition)?;
        if account.read != account.told() {
            return Err(Failed(format!(
                "partition {partition}: of {} records {} became something",
                account.read,
                account.told()
            )));
        }
        if account.read - account.messages != stand {
            return Err(Failed(format!("partition {partition}: {stand} records stand there, {account:?}")));
        }
        if Account::find(rebuilt, partition)? != account {
            return Err(Failed(format!("partition {partition}: the changelog has other accounts than {account:?}")));
        }
        all = all.join(account);
    }
    crate::checks::accounts(rest, &all)
}
