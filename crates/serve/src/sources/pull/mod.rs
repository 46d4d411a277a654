//! Sources whose notifications say only what is to be fetched: it is pulled from the sender's API, at once where a
//! notification names it, and by a sweep over all that changed where none came.
//!
//! A notification is answered 200 without being kept, and nothing is lost by that: a sweep begins where the one before
//! ended, less an overlap, and that instant (the watermark) is on disk before the doors open and moves only when the log
//! has all that was listed. Whatever a notification names has changed after the watermark, so the next sweep lists it,
//! in this process or the one after it. What comes twice falls out by its event id.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use musubi_channels::{Pull, Taken};
use serde_json::Value;

use super::{Mount, SourceError, Sources, fetch, write};
use crate::clock;
use crate::entrance::Entrance;
use crate::metrics::{Metrics, Received};
use crate::running::spawn;

mod api;
mod client;
mod pause;
mod smaregi;
mod watermark;

use api::{Api, Named, Window};
use client::{Access, Client, Failure};
use pause::Pause;
use watermark::Watermark;

/// How many notifications may wait. Those beyond are left to the next sweep.
const WAITING: usize = 1_024;
/// How many event ids a puller remembers, so that what a sweep finds again is not written again.
const REMEMBERED: usize = 100_000;
/// The longest stretch of time that is listed at once: 31 days are Smaregi's most.
const LONGEST_WINDOW: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Everything that pulls, in one process.
#[derive(Default)]
pub(crate) struct Pulls {
    inboxes: HashMap<String, SyncSender<Value>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    pause: Pause,
}

impl Pulls {
    /// Begins to pull for each source that has an API.
    ///
    /// # Errors
    /// [`crate::Error::Source`] where one of them cannot; [`crate::Error::System`].
    pub(crate) fn start(sources: &Sources, entrance: &Entrance, metrics: &Arc<Metrics>) -> Result<Self, crate::Error> {
        let mut all = Self::default();
        for mount in sources.mounts.iter() {
            let Some(pull) = &mount.source.settings().pull else { continue };
            let (inbox, waiting) = sync_channel(WAITING);
            let log = Sink { mount: Arc::clone(mount), entrance: entrance.clone(), metrics: Arc::clone(metrics) };
            let puller = Puller::new(pull, log, waiting, all.pause.clone())?;
            all.inboxes.insert(mount.name().to_owned(), inbox);
            let thread = spawn("pull", move || puller.run())?;
            all.threads.get_mut().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(all)
    }

    /// Tells the puller of a source what came to its address. What it cannot take now, the next sweep finds.
    pub(crate) fn tell(&self, source: &str, body: &[u8]) {
        let Some(inbox) = self.inboxes.get(source) else { return };
        if let Ok(notification) = serde_json::from_slice(body)
            && inbox.try_send(notification).is_err()
        {
            tracing::info!(source, "more notifications than can be followed: the sweep will find what they name");
        }
    }

    /// Stops pulling and waits until nothing is written any more. What was being pulled is swept by the next process.
    pub(crate) fn stop(&self) {
        self.pause.stop();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a puller panicked");
            }
        }
    }
}

impl Drop for Pulls {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where what was pulled goes.
struct Sink {
    mount: Arc<Mount>,
    entrance: Entrance,
    metrics: Arc<Metrics>,
}

impl Sink {
    /// Maps the items and writes what they mean, durably. Event ids that are in `known` were written before.
    fn put(&self, items: &[Value], known: &mut HashSet<String>) -> Result<(), Failure> {
        let (started, now) = (Instant::now(), clock::now());
        let mut taken = Taken::default();
        for item in items {
            let one = self.mount.source.take_item(item.to_string().as_bytes(), now);
            taken.touchpoints.extend(one.touchpoints);
            taken.set_aside.extend(one.set_aside);
        }
        taken.touchpoints.retain(|touchpoint| !known.contains(touchpoint.event_id.as_ref()));
        let appends = write::appends(&self.entrance, &mut taken, write::Origin::default(), now);
        let appends = appends.map_err(|why| Failure::passing(why.detail()))?;
        if !appends.is_empty() {
            self.entrance.log.append(appends).map_err(|why| Failure::passing(&why.to_string()))?;
        }
        if known.len() + taken.touchpoints.len() > REMEMBERED {
            known.clear();
        }
        known.extend(taken.touchpoints.iter().map(|touchpoint| touchpoint.event_id.as_ref().to_owned()));
        let (touchpoints, reasons) = (taken.touchpoints.len(), taken.set_aside.iter().map(|a| a.reason.as_ref()));
        self.metrics.received(&Received { source: self.mount.name(), touchpoints, took: started.elapsed() }, reasons);
        Ok(())
    }
}

/// What pulls for one source.
struct Puller {
    api: Box<dyn Api>,
    client: Client,
    sink: Sink,
    known: HashSet<String>,
    waiting: Receiver<Value>,
    watermark: Watermark,
    every: Duration,
    overlap: SignedDuration,
    pause: Pause,
}

impl Puller {
    fn new(pull: &Pull, sink: Sink, waiting: Receiver<Value>, pause: Pause) -> Result<Self, SourceError> {
        let settings = sink.mount.source.settings();
        let name = settings.name.as_str();
        let wrong = |key, wanted, found: &str| SourceError::Pull {
            source_name: name.to_owned(),
            key,
            wanted,
            found: found.to_owned(),
        };
        let duration = |key, text: &str| {
            let parsed = text.parse::<SignedDuration>().ok().filter(|found| !found.is_negative());
            parsed.ok_or_else(|| wrong(key, "a duration such as `5m`", text))
        };
        for (key, url) in [("url", &pull.url), ("token_url", &pull.token_url)] {
            if !client::is_safe(url) {
                return Err(wrong(key, "an address that begins with `https://`", url));
            }
        }
        let api = api::of(settings, pull).ok_or_else(|| {
            let found = settings.preset.as_deref().unwrap_or("webhook");
            wrong("url", "a source of the preset `smaregi`, the only one that pulls", found)
        })?;
        let every = duration("sweep", &pull.sweep)?;
        if every.is_zero() {
            return Err(wrong("sweep", "a duration above zero", &pull.sweep));
        }
        if !(1..=1_000).contains(&pull.page_size) {
            return Err(wrong("page_size", "a number from 1 to 1000", &pull.page_size.to_string()));
        }
        let begin = Timestamp::now() - duration("since", &pull.since)?;
        let watermark = Watermark::open(&pull.watermark, begin).map_err(|why| SourceError::Watermark {
            source_name: name.to_owned(),
            path: pull.watermark.clone(),
            why: why.to_string(),
        })?;
        let secret = fetch(name, "pull.client_secret", &pull.client_secret)?;
        let access = Access {
            url: pull.url.trim_end_matches('/').to_owned(),
            token_url: pull.token_url.clone(),
            client_id: pull.client_id.clone(),
            secret,
            scope: api.scope(),
        };
        let overlap = duration("overlap", &pull.overlap)?;
        Ok(Self {
            api,
            client: Client::new(access, pause.clone()),
            sink,
            known: HashSet::new(),
            waiting,
            watermark,
            every: every.unsigned_abs(),
            overlap,
            pause,
        })
    }

    /// Sweeps, and then follows notifications until it is time to sweep again.
    fn run(mut self) {
        let mut due = Instant::now();
        while !self.pause.is_over() {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let outcome = self.sweep();
                self.tell(outcome, "the sweep broke off; the next one begins where it began");
                due = Instant::now() + self.every;
                continue;
            }
            // Short, so that the end of the process is seen.
            match self.waiting.recv_timeout(left.min(pause::GLANCE)) {
                Ok(notification) => {
                    let outcome = self.follow(&notification);
                    self.tell(outcome, "what a notification names could not be pulled; the sweep will");
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn tell(&self, outcome: Result<(), Failure>, what: &'static str) {
        if let Err(why) = outcome
            && !self.pause.is_over()
        {
            let source = self.sink.mount.name();
            tracing::warn!(source, %why, "{what}");
            self.sink.metrics.refused(source, "pull-failed");
        }
    }

    /// Pulls what a notification names.
    fn follow(&mut self, notification: &Value) -> Result<(), Failure> {
        for Named { list, id } in self.api.named(notification) {
            let items = self.api.one(&mut self.client, list, &id)?;
            self.sink.put(&items, &mut self.known)?;
        }
        Ok(())
    }

    /// Pulls all that changed since the watermark, window by window; each moves the watermark.
    fn sweep(&mut self) -> Result<(), Failure> {
        loop {
            let (begin, now) = (self.watermark.at(), Timestamp::now());
            let to = now.min(begin + LONGEST_WINDOW);
            let window = Window { from: begin - self.overlap, to };
            let (sink, known) = (&self.sink, &mut self.known);
            self.api.changed(&mut self.client, window, &mut |items| sink.put(items, known))?;
            self.watermark.advance(to).map_err(|why| Failure::passing(&format!("the watermark: {why}")))?;
            if to == now {
                return Ok(());
            }
        }
    }
}
