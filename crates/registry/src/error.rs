//! What can go wrong between a registry and us.

/// Why the schemas of the topics have no numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The settings cannot be used.
    #[error("the settings of the schema registry: {0}")]
    Settings(String),
    /// No answer, or none that makes sense, after all attempts.
    #[error("the schema registry does not answer to {question} ({attempts} attempts): {why}")]
    Unreachable {
        /// What was asked.
        question: String,
        /// How often.
        attempts: u32,
        /// What came of the last attempt.
        why: String,
    },
    /// An answer that will not change by asking again, such as a wrong password.
    #[error("the schema registry refuses {question}: {why}")]
    Refused {
        /// What was asked.
        question: String,
        /// What it said.
        why: String,
    },
    /// The schema is not there, and is not to be registered.
    #[error("subject `{subject}`: wanted {wanted}, found {found}; it may not be registered from here")]
    NotRegistered {
        /// The subject.
        subject: String,
        /// Our schema.
        wanted: String,
        /// What the newest version holds.
        found: String,
    },
    /// What is there was written under a schema that ours cannot read, so it cannot follow on it.
    #[error("subject `{subject}`: wanted {wanted}, which cannot follow on {found}: {why}")]
    Incompatible {
        /// The subject.
        subject: String,
        /// Our schema.
        wanted: String,
        /// The version that it cannot follow on.
        found: String,
        /// Why not.
        why: String,
    },
}
