//! The door of the quarantine: what somebody before us could not read comes in with its reason and its original bytes,
//! one JSON object a line, in the form that the topic itself is shown in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use musubi_core::time::Timestamp;
use musubi_log::Append;
use musubi_schema::{Quarantined, avro};
use musubi_stitcher::topics::{QUARANTINE, partition_of};
use serde::Deserialize;

use crate::clock;
use crate::collect::Receipt;
use crate::entrance::Entrance;
use crate::metrics::Metrics;
use crate::problem::Problem;

/// What was set aside, as a line says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    source: Option<String>,
    event_id: Option<String>,
    reason: String,
    #[serde(default)]
    detail: String,
    file: Option<String>,
    line: Option<u64>,
    original: Option<String>,
    original_base64: Option<String>,
    envelope: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Takes the items of a body into the quarantine, all in one append.
pub(crate) fn take_in(entrance: &Entrance, metrics: &Metrics, items: &[&[u8]]) -> Result<Receipt, Problem> {
    let now = clock::now();
    let said: Vec<Said> = items.iter().map(|item| read(item)).collect::<Result<_, _>>()?;
    let appends: Vec<Append> = said.iter().map(|said| append(entrance, said, now)).collect::<Result<_, _>>()?;
    entrance.log.append(appends)?;
    // Reasons are senders' words here, and a label of a metric for each would be without bounds.
    metrics.quarantined("set-aside-before", said.len() as u64);
    Ok(Receipt { accepted: said.len(), ..Receipt::default() })
}

fn read(item: &[u8]) -> Result<Said, Problem> {
    serde_json::from_slice(item).map_err(|why| Problem::bad_request("invalid-json", why.to_string()))
}

fn append(entrance: &Entrance, said: &Said, now: Timestamp) -> Result<Append, Problem> {
    let original = match (&said.original, &said.original_base64) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(base64)) => STANDARD
            .decode(base64)
            .map_err(|_| Problem::bad_request("invalid-json", "wanted base64 in `original_base64`".into()))?,
        (None, None) => Vec::new(),
    };
    let envelope = said.envelope.clone().map(|envelope| serde_json::Value::Object(envelope).to_string());
    let quarantined = Quarantined {
        source: said.source.as_deref(),
        event_id: said.event_id.as_deref(),
        reason: &said.reason,
        detail: &said.detail,
        file: said.file.as_deref(),
        line: said.line,
        original: &original,
        envelope: envelope.as_deref(),
    };
    let key = said.source.as_deref().unwrap_or_default();
    let record = entrance.record(key, &avro::Record::Quarantined(&quarantined), now)?;
    Ok(Append { topic: QUARANTINE, partition: partition_of(key, entrance.partitions), record })
}
