//! What is done about an error of a transaction: the one place where it is decided.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

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
pub(super) fn after(call: Call, error: &KafkaError) -> Next {
    if hopeless(error) {
        return Next::Exit;
    }
    let KafkaError::Transaction(why) = error else {
        return match call {
            Call::Init | Call::Begin | Call::Commit | Call::Abort => Next::Recreate,
            Call::Send | Call::Offsets => Next::Abort,
        };
    };
    match call {
        _ if why.is_fatal() => Next::Recreate,
        Call::Abort if why.txn_requires_abort() => Next::Recreate,
        _ if why.txn_requires_abort() && fenced(why.code()) => Next::Fenced,
        _ if why.txn_requires_abort() => Next::Abort,
        // Its timeout cannot be resumed: the same call again would be another call.
        Call::Offsets if why.code() == Code::OperationTimedOut => Next::Recreate,
        Call::Init | Call::Begin | Call::Send | Call::Offsets | Call::Commit | Call::Abort if why.is_retriable() => {
            Next::Retry
        }
        _ => Next::Recreate,
    }
}

/// The group says that the member's word no longer counts.
fn fenced(code: Code) -> bool {
    matches!(code, Code::IllegalGeneration | Code::UnknownMemberId | Code::FencedInstanceId | Code::RebalanceInProgress)
}

/// Errors of configuration and of rights.
fn hopeless(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
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
