//! The body of a touchpoint, read straight from its bytes: nothing is copied, and no schema is walked.
//!
//! It reads what is well formed. Whatever else comes is left to the reader that goes by the schema, which knows how to say
//! what is wrong with it. A test holds the two together.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::decode::{PairWire, TouchpointWire};

/// The touchpoint of a body under our own schema; none where the body is not well formed.
pub(super) fn touchpoint(body: &[u8]) -> Option<TouchpointWire<'_>> {
    let mut body = Body(body);
    Some(TouchpointWire {
        source: body.text()?,
        event_id: body.text()?,
        channel: body.text()?,
        kind: body.text()?,
        occurred_at: body.long()?,
        received_at: body.optional(Body::long)?,
        identifiers: body.identifiers()?,
        traits: body.text()?,
        properties: body.text()?,
        consent: body.consent()?,
        household: body.optional(Body::text)?,
        account: body.optional(Body::text)?,
    })
}

/// What is left of a body.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn identifiers(&mut self) -> Option<Vec<PairWire<'a>>> {
        let mut identifiers = Vec::new();
        self.items(|body| {
            identifiers.push(PairWire { namespace: body.text()?, value: body.text()? });
            Some(())
        })?;
        Some(identifiers)
    }

    fn consent(&mut self) -> Option<BTreeMap<Cow<'a, str>, bool>> {
        let mut consent = BTreeMap::new();
        self.items(|body| {
            consent.insert(body.text()?, body.boolean()?);
            Some(())
        })?;
        Some(consent)
    }

    /// The items of an array or the entries of a map: blocks of so many, or of so many with their length in bytes, until
    /// one of none. None of our items is less than a byte long, so no number of them is believed for its own sake.
    fn items(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Some(());
            }
            if count < 0 {
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                item(self)?;
            }
        }
    }

    fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.long()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<Cow<'a, str>> {
        let length = usize::try_from(self.long()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok().map(Cow::Borrowed)
    }

    fn boolean(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn long(&mut self) -> Option<i64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }
}
