//! The quarantine of a cluster, read from the beginning to where it ends.

use std::time::Duration;

use musubi_core::time::Timestamp;
use musubi_log::kafka::Onlooker;
use musubi_log::{Budget, Reader as _};
use musubi_schema::avro;
use musubi_stitcher::topics::QUARANTINE;

use super::Cluster;
use crate::{Error, tail};

/// How much is read of a partition at a time.
const PIECE: Budget = Budget { records: 1_000, bytes: 16 * 1024 * 1024, patience: Duration::ZERO };

/// Gives the records of the quarantine as `musubi tail` shows them, a line each, in pieces.
///
/// # Errors
/// [`Error::Log`], [`Error::System`] where the schema registry cannot be asked; whatever `take` says.
pub fn quarantine<E: From<Error>>(cluster: &Cluster, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let onlooker = Onlooker::open(&cluster.settings).map_err(Error::from)?;
    let mut writers = cluster.writers.clone();
    writers.add_ours(&cluster.contract.framing);
    for partition in 0..cluster.settings.partitions {
        let mut next = onlooker.start_offset(&QUARANTINE, partition).map_err(Error::from)?;
        let end = onlooker.end_offset(&QUARANTINE, partition).map_err(Error::from)?;
        while next < end {
            let stretch = onlooker.read(&QUARANTINE, partition, next, PIECE).map_err(Error::from)?;
            next = stretch.next;
            let mut lines = Vec::new();
            for delivery in &stretch.records {
                let value = delivery.record.value.as_deref().unwrap_or_default();
                writers
                    .learn(avro::Topic::Quarantine, value)
                    .map_err(|why| Error::System(std::io::Error::other(why.to_string())))?;
                let time = Timestamp::from_micros(delivery.record.timestamp_ms.saturating_mul(1_000));
                tail::line(
                    (delivery.partition, delivery.offset, time),
                    delivery.record.key.as_deref(),
                    &mut lines,
                    |out| {
                        avro::to_json_with(avro::Topic::Quarantine, value, &writers, out).map_err(|why| why.to_string())
                    },
                );
            }
            take(&lines)?;
        }
    }
    Ok(())
}
