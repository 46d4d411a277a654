//! Why a source cannot be opened.

use std::path::PathBuf;

/// Why a source cannot be opened. Nothing of a secret is ever told.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Its settings or its mapping cannot stand.
    #[error(transparent)]
    Settings(#[from] musubi_channels::Error),
    /// A secret is not where it is said to be.
    #[error("source `{source_name}`: wanted the secret of `{key}` in {place}, {why}")]
    Secret {
        /// The source.
        source_name: String,
        /// The key in its settings.
        key: &'static str,
        /// Where it should be.
        place: String,
        /// What was found there.
        why: String,
    },
    /// The mapping cannot be read.
    #[error("source `{source_name}`: cannot read the mapping `{path}`: {why}")]
    Mapping {
        /// The source.
        source_name: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        why: std::io::Error,
    },
    /// Two sources have one name, or one path.
    #[error("sources `{first}` and `{second}`: wanted another {what} for each, found `{found}` twice")]
    Twice {
        /// Who has it.
        first: String,
        /// Who wants it as well.
        second: String,
        /// What they share.
        what: &'static str,
        /// Its value.
        found: String,
    },
    /// A path that cannot be served.
    #[error("source `{source_name}`: wanted {wanted} in `path`, found `{found}`")]
    Path {
        /// The source.
        source_name: String,
        /// What may stand there.
        wanted: &'static str,
        /// What stands there.
        found: String,
    },
    /// What says how the API is pulled from cannot stand.
    #[error("source `{source_name}`: wanted {wanted} in `pull.{key}`, found `{found}`")]
    Pull {
        /// The source.
        source_name: String,
        /// The key in its settings.
        key: &'static str,
        /// What may stand there.
        wanted: &'static str,
        /// What stands there.
        found: String,
    },
    /// The file that remembers how far an API was swept cannot be used.
    #[error("source `{source_name}`: cannot use the watermark `{path}`: {why}")]
    Watermark {
        /// The source.
        source_name: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}
