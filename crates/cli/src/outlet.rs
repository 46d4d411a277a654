//! Where commands put what they took in: through the doors of a running deployment, into the directory of one that does
//! not run, or onto the topics of a cluster.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use musubi_channels::Taken;
use musubi_core::touchpoint::Touchpoint;
use musubi_schema::{Quarantined, render_quarantined, render_touchpoint};
use musubi_serve::{Deployment, Key, Options, Outlet as Log, Piece, Put};
use serde::Deserialize;
use ureq::Agent;

use crate::commands::policy;
use crate::commands::reach::{self, Reach};
use crate::configuration::Configuration;

/// How often a door that wants one to come again later is asked: for half an hour at the longest it says.
const ATTEMPTS: u32 = 60;
/// How long to wait where the door does not say.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest that a door is believed when it says to wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Which deployment, of those that commands can put something into.
#[derive(clap::Args)]
pub(crate) struct Whither {
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// The cluster that the configuration names, in the place of a deployment of one process.
    #[arg(long, conflicts_with_all = ["data", "url"])]
    pub(crate) cluster: bool,
}

/// A way in.
pub(crate) enum Outlet {
    /// The doors of a running deployment, at this address.
    Doors(Agent, String),
    /// The log itself.
    Log(Box<Log>),
}

/// What a door says it took.
#[derive(Deserialize)]
struct Receipt {
    accepted: u64,
    quarantined: u64,
}

impl Whither {
    /// Opens the way in.
    pub(crate) fn open(&self, configuration: &Configuration) -> Result<Outlet> {
        if self.cluster {
            return Ok(Outlet::Log(Box::new(Log::of_cluster(&configuration.contracted()?)?)));
        }
        match &self.reach.data {
            None => Ok(Outlet::Doors(reach::agent(), self.reach.url().to_owned())),
            Some(data) => {
                let rules = &configuration.rules;
                let policy = Arc::new(policy::read_or_recommended(rules.policy.as_deref())?);
                let key = Key::find(rules.key_file.as_deref())?.key;
                let deployment = Deployment::open(data, policy, key, None, Options::default());
                let deployment = deployment.with_context(|| format!("cannot open `{}`", data.display()))?;
                Ok(Outlet::Log(Box::new(Log::of_deployment(&deployment))))
            }
        }
    }

    /// A name of what is reached, to tell it from others.
    pub(crate) fn name(&self, configuration: &Configuration) -> String {
        match (&self.reach.data, self.cluster) {
            (_, true) => configuration.kafka.place(),
            (Some(data), _) => data.display().to_string(),
            (None, _) => self.reach.url().to_owned(),
        }
    }
}

impl Outlet {
    /// Puts pieces in, and comes back when they are durable.
    pub(crate) fn put(&self, pieces: Vec<Piece>) -> Result<Put> {
        match self {
            Self::Log(log) => Ok(log.put(pieces)?),
            Self::Doors(agent, url) => {
                let touchpoints = pieces.iter().flat_map(|piece| &piece.taken.touchpoints);
                let taken = lines(touchpoints, render_touchpoint);
                let Receipt { accepted, quarantined } = post(agent, url, "/v1/touchpoints", &taken)?;
                let aside = post(agent, url, "/v1/quarantine", &set_aside(&pieces))?;
                Ok(Put { accepted, quarantined: quarantined + aside.accepted })
            }
        }
    }

    /// Puts one touchpoint in.
    pub(crate) fn put_touchpoint(&self, touchpoint: Touchpoint) -> Result<Put> {
        let taken = Taken { touchpoints: vec![touchpoint], set_aside: Vec::new() };
        self.put(vec![Piece { taken, file: None, row: None }])
    }

    /// Puts a directive, a line of JSON, in.
    pub(crate) fn direct(&self, line: &[u8]) -> Result<Put> {
        match self {
            Self::Log(log) => Ok(log.direct(line)?),
            Self::Doors(agent, url) => {
                let Receipt { accepted, quarantined } = post(agent, url, "/v1/directives", line)?;
                Ok(Put { accepted, quarantined })
            }
        }
    }
}

fn lines<T>(items: impl Iterator<Item = T>, render: impl Fn(T, &mut Vec<u8>)) -> Vec<u8> {
    items.fold(Vec::new(), |mut out, item| {
        render(item, &mut out);
        out.push(b'\n');
        out
    })
}

/// What was set aside, as lines for the door of the quarantine.
fn set_aside(pieces: &[Piece]) -> Vec<u8> {
    let each = pieces.iter().flat_map(|piece| piece.taken.set_aside.iter().map(move |aside| (piece, aside)));
    lines(each, |(piece, aside), out| {
        let quarantined = Quarantined {
            source: Some(&aside.source),
            event_id: aside.event_id.as_deref(),
            reason: &aside.reason,
            detail: &aside.detail,
            file: piece.file.as_deref(),
            line: piece.row,
            original: &aside.original,
            envelope: aside.envelope.as_deref(),
        };
        render_quarantined(&quarantined, out);
    })
}

/// Posts a body until the door takes it; what it may take later is offered again, and nothing else.
fn post(agent: &Agent, url: &str, path: &str, body: &[u8]) -> Result<Receipt> {
    if body.is_empty() {
        return Ok(Receipt { accepted: 0, quarantined: 0 });
    }
    let address = format!("{}{path}", url.trim_end_matches('/'));
    for _ in 0..ATTEMPTS {
        let sent = agent.post(&address).content_type("application/x-ndjson").send(body);
        let mut answer = sent.with_context(|| {
            format!("cannot reach `{url}`: is `musubi up` running there? (for a directory: --data)")
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?);
        }
        if !matches!(status.as_u16(), 429 | 502..=504) {
            bail!("`{address}` answered {status}: {}", answer.body_mut().read_to_string().unwrap_or_default());
        }
        let header = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        std::thread::sleep(header.map_or(PAUSE, Duration::from_secs).min(LONGEST_PAUSE));
    }
    bail!("`{address}` would take nothing after {ATTEMPTS} attempts")
}
