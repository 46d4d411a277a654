//! What is counted, and how it is shown: names, units and labels are a contract with dashboards.
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `musubi_touchpoints_total` | `outcome` | touchpoints: `accepted` at the door; `taken`, `duplicate` or `forgotten` by the stitcher |
//! | `musubi_quarantined_total` | `reason` | what was set aside; `stitcher` where the stitcher did so (a conflicting copy) |
//! | `musubi_outputs_total` | `kind` | what was said downstream: kinds of change, `profile`, `gone`, `identity`, `redirect` |
//! | `musubi_persons_total` | `event` | persons `born`, `merged` and `split` |
//! | `musubi_messages_total` | | messages between partitions |
//! | `musubi_alerts_total` | | resolutions of clusters above `max_cluster` |
//! | `musubi_turn_seconds`, `musubi_append_seconds` | | time of a stitcher's turn, and of an append at the door |
//! | `musubi_restoring_records` | `partition` | records of a partition's changelog that are still to be restored |
//! | `musubi_lag_records` | `topic` | records that are still to be stitched |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use musubi_core::change::{Kind, Output};
use musubi_log::Partition;
use musubi_log::kafka::Restoring;
use musubi_stitcher::Turn;
use musubi_stitcher::topics::INPUTS;

/// Seconds from a turn that found one record to one that waited for a slow disk.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The metrics of one deployment. Not the process's: several can live in one, as they do in tests.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// The partitions that were ever restored.
    restoring: Mutex<BTreeSet<Partition>>,
}

impl Metrics {
    /// Nothing counted yet.
    pub(crate) fn new() -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new().set_buckets(&SECONDS)?.build_recorder();
        let handle = recorder.handle();
        Ok(Self { recorder, handle, restoring: Mutex::default() })
    }

    /// The text that Prometheus reads.
    pub(crate) fn render(&self, lag: [u64; 3]) -> String {
        with_local_recorder(&self.recorder, || {
            for (topic, records) in INPUTS.iter().zip(lag) {
                gauge!("musubi_lag_records", "topic" => topic.as_str().to_owned()).set(records as f64);
            }
        });
        self.handle.render()
    }

    /// How much of each partition's changelog is still to be restored. A partition that is done stays at 0.
    pub(crate) fn restoring(&self, restoring: &BTreeMap<Partition, Restoring>) {
        let mut known = self.restoring.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(restoring.keys());
        with_local_recorder(&self.recorder, || {
            for partition in known.iter() {
                let left = restoring.get(partition).map_or(0, |restoring| restoring.end.saturating_sub(restoring.at));
                gauge!("musubi_restoring_records", "partition" => partition.to_string()).set(left as f64);
            }
        });
    }

    /// Keeps histograms from growing between two renderings.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// An append at the door.
    pub(crate) fn appended(&self, took: Duration) {
        with_local_recorder(&self.recorder, || histogram!("musubi_append_seconds").record(took));
    }

    /// Touchpoints by what became of them.
    pub(crate) fn touchpoints(&self, outcome: &'static str, count: u64) {
        with_local_recorder(&self.recorder, || {
            counter!("musubi_touchpoints_total", "outcome" => outcome).increment(count);
        });
    }

    /// Records set aside.
    pub(crate) fn quarantined(&self, reason: &'static str, count: u64) {
        with_local_recorder(&self.recorder, || {
            counter!("musubi_quarantined_total", "reason" => reason).increment(count);
        });
    }

    /// A turn of the stitcher.
    pub(crate) fn turned(&self, turn: &Turn, took: Duration) {
        self.touchpoints("taken", turn.taken);
        self.touchpoints("duplicate", turn.duplicates);
        self.touchpoints("forgotten", turn.forgotten);
        if turn.quarantined > 0 {
            self.quarantined("stitcher", turn.quarantined);
        }
        with_local_recorder(&self.recorder, || {
            histogram!("musubi_turn_seconds").record(took);
            counter!("musubi_messages_total").increment(turn.messages);
            counter!("musubi_alerts_total").increment(turn.alerts.len() as u64);
            for output in &turn.outputs {
                counter!("musubi_outputs_total", "kind" => kind(output)).increment(1);
                if let Some(event) = event(output) {
                    counter!("musubi_persons_total", "event" => event).increment(1);
                }
            }
        });
    }
}

fn kind(output: &Output) -> &'static str {
    match output {
        Output::Change(change) => change.kind.as_str(),
        Output::Profile(_) => "profile",
        Output::Gone(_) => "gone",
        Output::Identity(..) => "identity",
        Output::Redirect(..) => "redirect",
    }
}

/// What happened to somebody: a merge is counted once, at the person that ended.
fn event(output: &Output) -> Option<&'static str> {
    let Output::Change(change) = output else { return None };
    match (change.kind, change.into) {
        (Kind::Created, _) => Some("born"),
        (Kind::Merged, Some(_)) => Some("merged"),
        (Kind::Split, None) => Some("split"),
        (Kind::Merged | Kind::Split | Kind::Updated | Kind::Renamed | Kind::Erased, _) => None,
    }
}
