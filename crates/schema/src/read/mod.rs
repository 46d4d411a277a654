//! One line of canonical JSON to a touchpoint or a directive, in one pass.
//!
//! Faults of single fields do not stop the pass: the first one is noted and the rest is read, so that a refused line
//! still says whose it was.

mod draft;
mod scalar;
mod value;

use std::sync::Arc;

use musubi_core::directive::Directive;
use musubi_core::touchpoint::Touchpoint;
use musubi_core::value::Value;
use serde::Deserializer as _;

use crate::interner::Interner;
use crate::malformed::{Fault, Malformed, Reason, glean};
pub(crate) use draft::order;
use draft::{Draft, Top};

/// The longest line, in bytes. Longer ones are files that got into the wrong place.
pub const MAX_LINE: usize = 1 << 20;

/// The deepest nesting of a value in `traits` or `properties`; the value itself is 1.
pub const MAX_DEPTH: usize = 64;

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// An event of a source.
    Touchpoint(Touchpoint),
    /// An operator's word: an object with the key `directive`.
    Directive(Directive),
}

/// Reads lines of canonical JSON. Keep one for each thread: it remembers the names that senders use, within bounds.
pub struct Parser {
    names: Interner,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

impl Parser {
    /// A parser that has seen nothing.
    pub fn new() -> Self {
        Self { names: Interner::new() }
    }

    /// The touchpoint or the directive of a line; a directive is what has the key `directive`.
    ///
    /// # Errors
    /// [`Malformed`], as for [`Self::parse_touchpoint`] and [`Self::parse_directive`].
    pub fn parse_line(&mut self, line: &[u8]) -> Result<Line, Malformed> {
        let draft = self.read(line)?;
        if draft.is_directive { finish_directive(draft) } else { finish_touchpoint(draft) }
    }

    /// The touchpoint of a line. A key that a touchpoint does not have is passed over; of a key given twice the last
    /// one counts; null is absent, except inside `traits` and `properties`.
    ///
    /// # Errors
    /// [`Malformed`] with the first thing that is wrong.
    pub fn parse_touchpoint(&mut self, line: &[u8]) -> Result<Touchpoint, Malformed> {
        self.read(line)?.into_touchpoint()
    }

    /// The directive of a line.
    ///
    /// # Errors
    /// [`Malformed`] with the first thing that is wrong.
    pub fn parse_directive(&mut self, line: &[u8]) -> Result<Directive, Malformed> {
        self.read(line)?.into_directive()
    }

    /// The fields of a JSON object, as in `traits`; null is none. `field` is what a fault is said to be in.
    pub(crate) fn parse_fields(
        &mut self,
        field: &'static str,
        text: &str,
    ) -> Result<Vec<(Arc<str>, Value)>, Malformed> {
        /// What most touchpoints have in one of the two.
        const NOTHING: &str = "{}";
        if text == NOTHING {
            return Ok(Vec::new());
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = draft::read_fields(field, &mut self.names, &mut reader).and_then(|read| reader.end().map(|()| read));
        let fault = match read {
            Ok(Ok(fields)) => return Ok(fields),
            Ok(Err(fault)) => fault,
            Err(error) => Fault { reason: reason_of(&error), detail: error.to_string() },
        };
        Err(malformed(fault, None, None))
    }

    /// A name, shared with those seen before: for who makes touchpoints of something else than lines.
    pub fn share(&mut self, name: &str) -> Arc<str> {
        self.names.intern(name)
    }

    fn read(&mut self, line: &[u8]) -> Result<Draft, Malformed> {
        if line.len() > MAX_LINE {
            let detail = format!("wanted at most {MAX_LINE} bytes, found {}", line.len());
            return Err(refuse(line, Reason::LineTooLong, detail));
        }
        let text = std::str::from_utf8(line).map_err(|error| refuse(line, Reason::InvalidUtf8, error.to_string()))?;
        let mut draft = Draft::default();
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = reader.deserialize_any(Top { draft: &mut draft, names: &mut self.names });
        read.and_then(|()| reader.end()).map_err(|error| refuse(line, reason_of(&error), error.to_string()))?;
        Ok(draft)
    }
}

/// Whether a line is a directive: a JSON object with the top-level key `directive`. It is read to the end to know that,
/// unless the word is not in it at all; who wants the content as well calls [`Parser::parse_line`].
pub fn is_directive(line: &[u8]) -> bool {
    memchr::memmem::find(line, b"\"directive\"").is_some()
        && Parser::new().read(line).is_ok_and(|draft| draft.is_directive)
}

fn finish_touchpoint(draft: Draft) -> Result<Line, Malformed> {
    draft.into_touchpoint().map(Line::Touchpoint)
}

fn finish_directive(draft: Draft) -> Result<Line, Malformed> {
    draft.into_directive().map(Line::Directive)
}

fn refuse(line: &[u8], reason: Reason, detail: String) -> Malformed {
    let (source, event_id) = glean(line);
    Malformed { reason: reason.as_str(), detail, source, event_id }
}

fn reason_of(error: &serde_json::Error) -> Reason {
    if error.is_data() { Reason::WrongType } else { Reason::InvalidJson }
}

impl Draft {
    fn into_touchpoint(mut self) -> Result<Touchpoint, Malformed> {
        if let Some(fault) = self.faults.shared.take().or(self.faults.touchpoint.take()) {
            return Err(self.refuse(fault));
        }
        let required = [
            ("source", self.source.is_some()),
            ("event_id", self.event_id.is_some()),
            ("channel", self.channel.is_some()),
            ("type", self.kind.is_some()),
            ("occurred_at", self.occurred_at.is_some()),
        ];
        match (self.source, self.event_id, self.channel, self.kind, self.occurred_at) {
            (Some(source), Some(event_id), Some(channel), Some(kind), Some(occurred_at)) => Ok(Touchpoint {
                source,
                event_id,
                channel,
                kind,
                occurred_at,
                received_at: self.received_at,
                identifiers: self.identifiers,
                traits: self.traits,
                properties: self.properties,
                consent: self.consent,
                household: self.household,
                account: self.account,
            }),
            (source, event_id, ..) => Err(lacking(&required, source, event_id)),
        }
    }

    fn into_directive(mut self) -> Result<Directive, Malformed> {
        if let Some(fault) = self.faults.shared.take().or(self.faults.directive.take()) {
            return Err(self.refuse(fault));
        }
        let required = [
            ("directive", self.directive.is_some()),
            ("directive_id", self.directive_id.is_some()),
            ("source", self.source.is_some()),
            ("at", self.at.is_some()),
        ];
        let order = self.order();
        match (self.source, self.directive_id, self.at, order) {
            (source, directive_id, _, Some(Err(fault))) => Err(malformed(fault, source, directive_id)),
            (Some(source), Some(directive_id), Some(at), Some(Ok(order))) => {
                Ok(Directive { source, directive_id, at, order })
            }
            (source, directive_id, ..) => Err(lacking(&required, source, directive_id)),
        }
    }

    fn refuse(self, fault: Fault) -> Malformed {
        let name = self.event_id.or(self.directive_id);
        malformed(fault, self.source, name)
    }
}

fn lacking(required: &[(&str, bool)], source: Option<Arc<str>>, event_id: Option<Arc<str>>) -> Malformed {
    let field = required.iter().find(|(_, present)| !present).map_or("", |(field, _)| field);
    malformed(Fault::missing(field), source, event_id)
}

pub(crate) fn malformed(fault: Fault, source: Option<Arc<str>>, event_id: Option<Arc<str>>) -> Malformed {
    let owned = |text: Option<Arc<str>>| text.map(|text| text.as_ref().to_owned());
    Malformed { reason: fault.reason.as_str(), detail: fault.detail, source: owned(source), event_id: owned(event_id) }
}

#[cfg(test)]
mod tests;
