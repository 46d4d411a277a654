//! The doors of the sources: a request is read, taken by its source, written, and answered when that is durable.
//!
//! The rules, each from what real clients do: success is exactly 200; nothing that passes is answered 4xx, for SDKs drop
//! events for good at that, but with 429 and `Retry-After` (503, where a client drops at 429 too), or 5xx; a 200 means that what was sent is in the log, as
//! touchpoints or in the quarantine; and browsers may read every answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_core::Stream as _;
use musubi_channels::{self as channels, Answer, Outcome, SetAside, Taken};
use tokio::sync::Semaphore;

use super::{Mount, Pulls, Sources, confirm, cors, write};
use crate::clock;
use crate::entrance::Entrance;
use crate::metrics::{Metrics, Received};
use crate::problem::Problem;

/// How many requests are worked on at once; each may wait for a disk or a cluster. Whoever comes beyond is told to come
/// again.
const PLACES: usize = 256;
/// How long a body may take to come in.
const SLOWEST_BODY: Duration = Duration::from_secs(30);
/// How much is kept of what is not answered with 200: enough to see what it was.
const LONGEST_REFUSED: usize = 16 * 1_024;

/// Whether more can be taken in now.
type IsOpen = Box<dyn Fn() -> Result<(), Problem> + Send + Sync>;

/// The doors of all sources.
pub(crate) struct Door {
    sources: Sources,
    pulls: Arc<Pulls>,
    entrance: Entrance,
    metrics: Arc<Metrics>,
    places: Arc<Semaphore>,
    is_open: IsOpen,
}

/// A body as far as it was read.
struct Read {
    bytes: Vec<u8>,
    is_whole: bool,
}

impl Door {
    /// Doors into this log. `is_open` is asked before each request, and says why nothing can be taken in. What comes to a
    /// source that pulls is told to `pulls`.
    pub(crate) fn new(
        sources: Sources,
        pulls: Arc<Pulls>,
        entrance: Entrance,
        metrics: Arc<Metrics>,
        is_open: IsOpen,
    ) -> Self {
        Self { sources, pulls, entrance, metrics, places: Arc::new(Semaphore::new(PLACES)), is_open }
    }

    /// Answers a request to the address of a source; any other gets `None`.
    pub(crate) async fn answer(self: &Arc<Self>, request: Request) -> Option<Response> {
        let path = request.uri().path().to_owned();
        let (mount, rest) = self.sources.at(&path)?;
        let (parts, body) = request.into_parts();
        let headers = parts.headers.clone();
        let response = match parts.method {
            Method::OPTIONS => cors::preflight(&headers),
            // Asked by those who check that there is an address; it carries nothing.
            Method::HEAD => StatusCode::OK.into_response(),
            _ => self.take(Arc::clone(mount), rest.to_owned(), parts, body).await.unwrap_or_else(|problem| {
                self.metrics.refused(mount.name(), problem.reason());
                problem.for_clients_of(&mount.source).into_response()
            }),
        };
        Some(cors::allow(&headers, response))
    }

    async fn take(
        self: &Arc<Self>,
        mount: Arc<Mount>,
        rest: String,
        parts: Parts,
        body: Body,
    ) -> Result<Response, Problem> {
        let most = mount.source.settings().max_body;
        let body = tokio::time::timeout(SLOWEST_BODY, read(body, most)).await.map_err(|_| Problem::slow_body())??;
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| Problem::come_again(1, format!("{PLACES} requests are being taken in")))?;
        let door = Arc::clone(self);
        let taken = tokio::task::spawn_blocking(move || {
            let _place = place;
            door.take_in(&mount, &rest, &parts, &body)
        });
        taken.await.unwrap_or_else(|why| Err(Problem::failed(&why))).map(response)
    }

    fn take_in(&self, mount: &Mount, rest: &str, parts: &Parts, body: &Read) -> Result<Answer, Problem> {
        (self.is_open)()?;
        let started = Instant::now();
        let now = clock::now();
        let headers: Vec<(&str, &str)> =
            parts.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
        let request = channels::Request {
            method: parts.method.as_str(),
            path: rest,
            query: parts.uri.query().unwrap_or_default(),
            headers: &headers,
            body: &body.bytes,
            received_at: now,
        };
        if body.is_whole {
            confirm::certificate(&mount.source, &request)?;
        }
        let outcome = if body.is_whole { mount.source.take(&request) } else { too_large(mount, body) };
        let Outcome { mut answer, mut taken, confirm: address, proven } = outcome;
        self.pass(mount, proven, answer.status, &mut taken)?;
        let before = taken.set_aside.len();
        let appends = write::appends(&self.entrance, &mut taken, write::Origin::default(), now)?;
        if taken.set_aside.len() > before
            && let Some(receipt) = mount.source.receipt(&taken)
        {
            answer = receipt;
        }
        self.entrance.log.append(appends).map_err(|why| Problem::try_later(&why))?;
        let reasons = taken.set_aside.iter().map(|aside| aside.reason.as_ref());
        let touchpoints = taken.touchpoints.len();
        self.metrics.received(&Received { source: mount.name(), touchpoints, took: started.elapsed() }, reasons);
        if proven && answer.status == 200 {
            self.pulls.tell(mount.name(), &body.bytes);
        }
        if let Some(address) = address {
            confirm::confirm(mount.name(), &address);
        }
        Ok(answer)
    }

    /// Lets what was taken through to the log. Of a stranger nothing is kept beyond the budget: then it is told so, or,
    /// where it would hear 200, to come again, because a 200 means that it is kept.
    fn pass(&self, mount: &Mount, proven: bool, status: u16, taken: &mut Taken) -> Result<(), Problem> {
        if proven {
            let too_often = |wait| Problem::come_again(wait, "the source sends more than its `rate_limit`".into());
            return mount.gate.pass().map_err(too_often);
        }
        if status != 200 {
            taken.set_aside.iter_mut().for_each(|aside| aside.original.truncate(LONGEST_REFUSED));
        }
        let kept = |aside: &SetAside| aside.original.len() + aside.envelope.as_deref().map_or(0, str::len);
        let bytes = taken.set_aside.iter().map(kept).sum();
        match mount.gate.keep(bytes) {
            Ok(()) => Ok(()),
            Err(wait) if status == 200 => {
                Err(Problem::come_again(wait, "the source's key is wanted; no more can be set aside now".into()))
            }
            Err(_) => {
                let reasons = taken.set_aside.drain(..);
                reasons.for_each(|aside| self.metrics.not_kept(mount.name(), &aside.reason));
                Ok(())
            }
        }
    }
}

/// What is larger than the source takes is refused, which SDKs answer by halving; its beginning tells what it was. Its
/// signature cannot be checked, so it is a stranger's.
fn too_large(mount: &Mount, body: &Read) -> Outcome {
    let detail = format!("wanted at most {} bytes, found more", mount.source.settings().max_body);
    let aside = SetAside {
        source: mount.name().to_owned(),
        event_id: None,
        reason: "too-large".into(),
        detail,
        original: body.bytes.clone(),
        item: None,
        // Not all of it is kept, so nobody can take it again.
        envelope: None,
    };
    let answer =
        Answer { status: 413, content_type: "application/json", body: br#"{"error":"too-large"}"#.as_slice().into() };
    let taken = Taken { touchpoints: Vec::new(), set_aside: vec![aside] };
    Outcome { answer, taken, confirm: None, proven: false }
}

/// Reads a body until its end, or until it is larger than it may be.
async fn read(body: Body, most: usize) -> Result<Read, Problem> {
    let mut stream = std::pin::pin!(body.into_data_stream());
    let mut bytes = Vec::new();
    loop {
        let piece: Option<Result<Bytes, _>> = std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await;
        let Some(piece) = piece else { return Ok(Read { bytes, is_whole: true }) };
        let piece = piece.map_err(|why| Problem::broken_body(&why))?;
        if bytes.len() + piece.len() > most {
            bytes.extend_from_slice(&piece[..most.saturating_sub(bytes.len()).min(piece.len())]);
            return Ok(Read { bytes, is_whole: false });
        }
        bytes.extend_from_slice(&piece);
    }
}

fn response(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = HeaderValue::from_static(answer.content_type);
    (status, [(header::CONTENT_TYPE, content_type)], answer.body.into_owned()).into_response()
}
