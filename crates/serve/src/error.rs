//! Why a deployment cannot be opened, or cannot go on.

use std::path::PathBuf;

/// What stops a deployment. None of these passes by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory was written by something else than what would open it now.
    #[error("`{directory}` was made with {what} `{found}`, wanted `{wanted}`: {advice}")]
    Mismatch {
        /// The directory.
        directory: PathBuf,
        /// What differs.
        what: &'static str,
        /// What was asked for.
        wanted: String,
        /// What the directory says.
        found: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// There is nothing in the directory to be read.
    #[error("`{0}` holds no deployment: `musubi up --data` makes one")]
    NothingThere(PathBuf),
    /// A number of partitions that cannot be.
    #[error("wanted 1 to {most} partitions, found {found}")]
    Partitions {
        /// The most that are possible.
        most: u32,
        /// What was asked for.
        found: u32,
    },
    /// The secret of the deployment cannot be read.
    #[error("cannot read the key file `{path}`: {why}")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: std::io::Error,
    },
    /// The secret of the deployment is empty.
    #[error("the deployment's key is empty: wanted at least one byte in {0}")]
    EmptyKey(String),
    /// Not an identifier under the policy.
    #[error("`{text}` is no identifier: {why}")]
    NoIdentifier {
        /// What was given.
        text: String,
        /// Why it is none.
        why: String,
    },
    /// An identifier that nobody is known by.
    #[error("nobody is known by `{0}`")]
    Nobody(String),
    /// The store failed, is locked by another process, or is corrupt.
    #[error(transparent)]
    Store(#[from] musubi_store::Error),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] musubi_log::Error),
    /// The stitcher failed.
    #[error("the stitcher failed: {0}")]
    Stitcher(#[from] musubi_stitcher::Error),
    /// A commit may have happened or not. A restart reads what is there.
    #[error("the stitcher cannot tell whether its last commit is on disk: start again")]
    UnknownOutcome,
    /// A thread came to an end that it should not have come to: a defect of ours.
    #[error("the thread `{0}` panicked")]
    Panicked(&'static str),
    /// The address cannot be listened on, or a thread cannot be started.
    #[error("cannot listen on `{address}`: {why}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why not.
        why: std::io::Error,
    },
    /// A source cannot pull from its API.
    #[error(transparent)]
    Source(#[from] crate::SourceError),
    /// The cluster's topics are not what they should be.
    #[error("the topics differ from the plan (`musubi topics plan` shows it): {}", .0.join("; "))]
    Topics(Vec<String>),
    /// The operating system refused a thread or a signal.
    #[error(transparent)]
    System(#[from] std::io::Error),
}
