//! The records of the quarantine, wherever the deployment is.

use std::io::{BufRead as _, BufReader};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use musubi_serve::{Disk, From, Tail, cluster};
use serde::Deserialize;

use crate::configuration::Configuration;
use crate::outlet::Whither;

/// Something that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Its place in the quarantine, `PARTITION:OFFSET`.
    pub(super) id: String,
    /// When it was set aside, in RFC 3339.
    pub(super) time: String,
    pub(super) source: Option<String>,
    pub(super) event_id: Option<String>,
    pub(super) reason: String,
    pub(super) detail: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u64>,
    /// The bytes as they came.
    pub(super) original: Vec<u8>,
    /// What stood around them, as JSON, where they are a payload that was set aside whole.
    pub(super) envelope: Option<String>,
}

#[derive(Deserialize)]
struct Shown {
    partition: u32,
    offset: u64,
    time: String,
    value: Value,
}

#[derive(Deserialize)]
struct Value {
    source: Option<String>,
    event_id: Option<String>,
    reason: String,
    #[serde(default)]
    detail: String,
    file: Option<String>,
    line: Option<u64>,
    original: Option<String>,
    original_base64: Option<String>,
    envelope: Option<serde_json::Value>,
}

impl Kept {
    /// The record that a line of the topic shows.
    pub(super) fn read(line: &str) -> Result<Self> {
        let Shown { partition, offset, time, value } =
            serde_json::from_str(line).with_context(|| format!("a record that is no quarantined one: {line}"))?;
        let original = match (value.original, value.original_base64) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(base64)) => STANDARD.decode(base64).context("`original_base64` is not base64")?,
            (None, None) => Vec::new(),
        };
        let Value { source, event_id, reason, detail, file, line, envelope, .. } =
            Value { original: None, original_base64: None, ..value };
        let (id, envelope) = (format!("{partition}:{offset}"), envelope.map(|envelope| envelope.to_string()));
        Ok(Self { id, time, source, event_id, reason, detail, file, line, original, envelope })
    }
}

/// Hands over each record with the line that shows it, oldest first in each partition.
pub(super) fn each(
    whither: &Whither,
    configuration: &Configuration,
    mut take: impl FnMut(Kept, &str) -> Result<()>,
) -> Result<()> {
    let mut lines = |lines: &[u8]| -> Result<()> {
        std::str::from_utf8(lines)?.lines().try_for_each(|line| take(Kept::read(line)?, line))
    };
    if whither.cluster {
        return cluster::quarantine(&configuration.contracted()?, lines);
    }
    match &whither.reach.data {
        Some(data) => {
            let tail = Tail::open(Disk::inspect(data)?, "quarantine", &From::Start)?;
            let mut tail = tail.context("there is no topic `quarantine`")?;
            let mut piece = Vec::new();
            while tail.read(&mut piece)? > 0 {
                lines(&piece)?;
                piece.clear();
            }
            Ok(())
        }
        None => {
            let answer = whither.reach.ask("/v1/topics/quarantine", &[("from", "start"), ("follow", "false")])?;
            let mut reader = BufReader::new(answer.into_body().into_reader());
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).context("the deployment went away")? > 0 {
                lines(&line)?;
                line.clear();
            }
            Ok(())
        }
    }
}
