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
//! | `musubi_source_touchpoints_total` | `source` | touchpoints that a source sent and the log has |
//! | `musubi_source_set_aside_total` | `source`, `reason` | what went to the quarantine |
//! | `musubi_source_refused_total` | `source`, `reason` | requests that were told to come again, or failed |
//! | `musubi_source_not_kept_total` | `source`, `reason` | what strangers sent in a source's name beyond what is kept of them |
//! | `musubi_source_seconds` | `source` | from a request that was read to its answer |
//! | `musubi_source_last_seconds` | `source` | when a source last sent a touchpoint, in seconds since 1970 |
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

    /// A request of a source that was answered, and the reasons of what was set aside.
    pub(crate) fn received<'a>(&self, received: &Received<'_>, reasons: impl Iterator<Item = &'a str>) {
        let source = received.source.to_owned();
        with_local_recorder(&self.recorder, || {
            counter!("musubi_source_touchpoints_total", "source" => source.clone())
                .increment(received.touchpoints as u64);
            histogram!("musubi_source_seconds", "source" => source.clone()).record(received.took);
            for reason in reasons {
                let reason = label(reason);
                counter!("musubi_source_set_aside_total", "source" => source.clone(), "reason" => reason.clone())
                    .increment(1);
                counter!("musubi_quarantined_total", "reason" => reason).increment(1);
            }
            if received.touchpoints > 0 {
                let now = crate::clock::milliseconds(crate::clock::now());
                gauge!("musubi_source_last_seconds", "source" => source).set((now / 1_000) as f64);
            }
        });
        self.touchpoints("accepted", received.touchpoints as u64);
    }

    /// A request of a source that was told to come again, or failed.
    pub(crate) fn refused(&self, source: &str, reason: &'static str) {
        with_local_recorder(&self.recorder, || {
            counter!("musubi_source_refused_total", "source" => source.to_owned(), "reason" => reason).increment(1);
        });
    }

    /// What a stranger sent in the name of a source, and was not kept.
    pub(crate) fn not_kept(&self, source: &str, reason: &str) {
        with_local_recorder(&self.recorder, || {
            counter!("musubi_source_not_kept_total", "source" => source.to_owned(), "reason" => label(reason))
                .increment(1);
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

/// What a request of a source came to.
pub(crate) struct Received<'a> {
    pub(crate) source: &'a str,
    pub(crate) touchpoints: usize,
    pub(crate) took: Duration,
}

/// A reason as a label. Mappings can give any, and a label with many values is a burden on whoever keeps them.
fn label(reason: &str) -> String {
    const LONGEST: usize = 40;
    let is_word = reason.len() <= LONGEST && reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if is_word { reason.to_owned() } else { "other".to_owned() }
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
