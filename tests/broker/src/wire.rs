//! Small things that all answers share.

use kafka_protocol::protocol::StrBytes;

use crate::log::Answer;

/// The error code of an answer; 0 is none.
pub(crate) fn code(answer: Answer<()>) -> i16 {
    answer.map_or_else(|error| error.code(), |()| 0)
}

/// A string as the wire has it.
pub(crate) fn text(string: impl Into<String>) -> StrBytes {
    StrBytes::from_string(string.into())
}
