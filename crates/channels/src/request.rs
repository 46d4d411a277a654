//! What comes to a source over HTTP, and what becomes of it.

use std::borrow::Cow;

use musubi_core::time::Timestamp;
use musubi_core::touchpoint::Touchpoint;

use crate::form;

/// One request, with the bytes of its body as they came: nothing is unpacked or decoded before the signature is checked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path behind the address of the source; empty, or with a `/` before it.
    pub path: &'a str,
    /// The query as it came, without the question mark.
    pub query: &'a str,
    /// Names and values of the headers. Case of the names does not matter.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body as it came.
    pub body: &'a [u8],
    /// When it was received.
    pub received_at: Timestamp,
}

impl<'a> Request<'a> {
    /// The value of a header, the first where there are several.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// The value of a field of the query.
    pub(crate) fn query_field(&self, name: &str) -> Option<String> {
        form::pairs(self.query.as_bytes()).find(|(field, _)| field == name).map(|(_, value)| value)
    }
}

/// What became of a request. The answer is to be given when the rest is durable, and not before.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the client is told.
    pub answer: Answer,
    /// What was in it.
    pub taken: Taken,
    /// An address that the sender wants to be fetched before it sends anything (Amazon SNS).
    pub confirm: Option<String>,
    /// Whether the request showed what the source asks for, a key or a signature. What did not is a stranger's, of which
    /// nobody should keep more than a little.
    pub proven: bool,
}

impl Outcome {
    pub(crate) fn of(answer: Answer) -> Self {
        Self { answer, taken: Taken::default(), confirm: None, proven: true }
    }
}

/// What a client is told. CORS and `Retry-After` are the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200 for whatever was understood, as several clients take nothing else for success.
    pub status: u16,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Cow<'static, [u8]>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "application/json", body: Cow::Owned(body.into().into_bytes()) }
    }

    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: Cow::Owned(body.into().into_bytes()) }
    }
}

/// What was in a payload: touchpoints, and what could not become any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Touchpoints with the source's name and their time of receipt. Whether their identifiers mean anything is for the
    /// policy to say.
    pub touchpoints: Vec<Touchpoint>,
    /// What goes to the quarantine.
    pub set_aside: Vec<SetAside>,
}

/// Something that could not become a touchpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The source.
    pub source: String,
    /// The source's name of the event, where it could be told.
    pub event_id: Option<String>,
    /// Why, in a few words of kebab-case.
    pub reason: Cow<'static, str>,
    /// Why, for a person to read.
    pub detail: String,
    /// The body as it came, where it was set aside whole; else the item of it, as JSON, which
    /// [`crate::Source::take_item`] takes again.
    pub original: Vec<u8>,
    /// The place of the item in the payload, from 0; none where the payload was set aside whole.
    pub item: Option<usize>,
    /// What stood around a payload that was set aside whole and its mapping may read: a JSON object, without any key or
    /// signature, which [`crate::Source::take_whole`] takes with the bytes.
    pub envelope: Option<String>,
}
