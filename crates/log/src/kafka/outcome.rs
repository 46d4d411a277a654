//! What is done about an error of a transaction: the one place where it is decided.

use rdkafka::error::RDKafkaErrorCode as Code;

use super::calls::{Refused, Sort};

/// The steps of a transaction, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Init,
    Begin,
    Send,
    Offsets,
    Commit,
    Abort,
}

/// What is done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The same call again, until its time is up.
    Retry,
    /// Abort: nothing of it happened. Then rewind.
    Abort,
    /// Abort: the group gave the partitions to somebody else, or is about to. Then rewind.
    Fenced,
    /// Nobody can say whether it happened: a new producer under the same id, and the changelog tells.
    Recreate,
    /// Doing it again cannot help: the operator is told.
    Exit,
}

/// Decides what is done about an error. librdkafka sorts errors into fatal, abortable and retriable; this adds what it
/// cannot know: that a commit without an answer has an unknown outcome, and that some errors are a matter of configuration.
pub(super) fn after(call: Call, refused: &Refused) -> Next {
    if hopeless(refused) {
        return Next::Exit;
    }
    match (refused.sort, call) {
        (Sort::Plain, Call::Init | Call::Begin | Call::Commit | Call::Abort) => Next::Recreate,
        (Sort::Plain, Call::Send | Call::Offsets) => Next::Abort,
        (Sort::Fatal, _) => Next::Recreate,
        (Sort::Abortable, Call::Abort) => Next::Recreate,
        (Sort::Abortable, _) if fenced(refused) => Next::Fenced,
        (Sort::Abortable, _) => Next::Abort,
        // Its timeout cannot be resumed: the same call again would be another call.
        (_, Call::Offsets) if refused.code() == Some(Code::OperationTimedOut) => Next::Recreate,
        (Sort::Retriable, _) => Next::Retry,
        (Sort::Other, _) => Next::Recreate,
    }
}

/// The group says that the member's word no longer counts.
fn fenced(refused: &Refused) -> bool {
    matches!(
        refused.code(),
        Some(Code::IllegalGeneration | Code::UnknownMemberId | Code::FencedInstanceId | Code::RebalanceInProgress)
    )
}

/// Errors of configuration and of rights.
fn hopeless(refused: &Refused) -> bool {
    matches!(
        refused.code(),
        Some(
            Code::ClusterAuthorizationFailed
                | Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::TransactionalIdAuthorizationFailed
                | Code::InvalidTransactionTimeout
                | Code::UnsupportedVersion
                | Code::UnsupportedForMessageFormat
                | Code::MessageSizeTooLarge
                | Code::UnknownTopic
                | Code::UnknownPartition
        )
    )
}

#[cfg(test)]
mod pairs;
