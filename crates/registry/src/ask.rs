//! Asking, and asking again: which answers are final.

use std::error::Error as _;
use std::thread;

use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::RawError;

use crate::{Error, Registry};

/// What an answer that is no success means.
enum Verdict {
    /// There is no such subject, version or schema.
    Missing,
    /// It will be the same when asked again. With the status.
    Final(u16),
    /// It may be another when asked again.
    Passing,
}

/// What came of asking.
pub(crate) enum Answer<T> {
    /// What was asked for.
    Found(T),
    /// There is no such thing.
    Missing,
    /// A refusal, with the status of HTTP.
    Refused(u16, String),
}

impl Registry {
    /// Asks until there is an answer, as often as the settings allow.
    pub(crate) fn ask<T>(&self, question: &str, call: impl Fn() -> Result<T, SRCError>) -> Result<Answer<T>, Error> {
        let (mut pause, attempts) = (self.settings.pause, self.settings.attempts.max(1));
        let mut attempt = 1;
        loop {
            let error = match call() {
                Ok(found) => return Ok(Answer::Found(found)),
                Err(error) => error,
            };
            match verdict(&error) {
                Verdict::Missing => return Ok(Answer::Missing),
                Verdict::Final(status) => return Ok(Answer::Refused(status, reason(&error))),
                Verdict::Passing if attempt >= attempts => {
                    return Err(Error::Unreachable { question: question.to_owned(), attempts, why: reason(&error) });
                }
                Verdict::Passing => thread::sleep(pause),
            }
            (attempt, pause) = (attempt + 1, pause.saturating_mul(2));
        }
    }

    /// The same, where a refusal is an error as well, and what is missing is none.
    pub(crate) fn ask_for<T>(
        &self,
        question: &str,
        call: impl Fn() -> Result<T, SRCError>,
    ) -> Result<Option<T>, Error> {
        match self.ask(question, call)? {
            Answer::Found(found) => Ok(Some(found)),
            Answer::Missing => Ok(None),
            Answer::Refused(_, why) => Err(Error::Refused { question: question.to_owned(), why }),
        }
    }
}

/// Only a registry's own word says that something is missing: a 404 of whoever else listens there does not.
fn verdict(error: &SRCError) -> Verdict {
    /// No such subject, version, schema.
    const MISSING: [u32; 3] = [40_401, 40_402, 40_403];
    /// Too slow, too often: the client's fault by number, and yet worth another attempt.
    const PASSING: [u16; 2] = [408, 429];
    let said = error.source().and_then(|source| source.downcast_ref::<RawError>());
    if said.is_some_and(|said| MISSING.contains(&said.error_code)) {
        return Verdict::Missing;
    }
    match status(error) {
        Some(status @ 400..500) if !PASSING.contains(&status) => Verdict::Final(status),
        Some(_) | None => Verdict::Passing,
    }
}

/// The status of HTTP, which the client only tells in its text.
fn status(error: &SRCError) -> Option<u16> {
    let (_, after) = error.error.split_once("with status ")?;
    after.split_whitespace().next()?.parse().ok()
}

/// What went wrong, down to the first cause: the client's own text names only the surface.
pub(crate) fn reason(error: &SRCError) -> String {
    let mut text = error.error.clone();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
