//! The deployment's key: the secret from which identifier keys and person ids are derived.

use std::path::Path;

use musubi_core::identifier::{DeploymentKey, Identifier, NamespaceId};

use crate::Error;

/// The environment variable that holds the secret.
const VARIABLE: &str = "MUSUBI_KEY";

/// The secret of a deployment that was given none. It is public, so whoever can guess a mail address can compute the
/// person id that goes with it: good enough for a demonstration on made-up people, and for nothing else.
pub const DEVELOPMENT_SECRET: &[u8] = b"musubi development key: known to everybody";

/// Where a key came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// A file.
    File,
    /// The environment.
    Environment,
    /// Nowhere: it is [`DEVELOPMENT_SECRET`]. To be warned of once.
    Development,
}

/// A deployment's key and where it came from.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key.
    pub key: DeploymentKey,
    /// Where it came from.
    pub origin: KeyOrigin,
}

impl Key {
    /// The key in `file` (white space at its end does not count), else that in the environment variable `MUSUBI_KEY`,
    /// else the one for development.
    ///
    /// # Errors
    /// [`Error::KeyFile`] and [`Error::EmptyKey`]: who names a key gets no other.
    pub fn find(file: Option<&Path>) -> Result<Self, Error> {
        if let Some(path) = file {
            let secret = std::fs::read(path).map_err(|why| Error::KeyFile { path: path.to_owned(), why })?;
            return Self::of(secret.trim_ascii_end(), KeyOrigin::File, || format!("`{}`", path.display()));
        }
        match std::env::var_os(VARIABLE) {
            Some(secret) => Self::of(secret.as_encoded_bytes(), KeyOrigin::Environment, || format!("`{VARIABLE}`")),
            None => Ok(Self::development()),
        }
    }

    /// The key for development.
    pub fn development() -> Self {
        Self { key: DeploymentKey::derive(DEVELOPMENT_SECRET), origin: KeyOrigin::Development }
    }

    fn of(secret: &[u8], origin: KeyOrigin, place: impl FnOnce() -> String) -> Result<Self, Error> {
        if secret.is_empty() {
            return Err(Error::EmptyKey(place()));
        }
        Ok(Self { key: DeploymentKey::derive(secret), origin })
    }
}

/// A digest of the key, to tell one from another without revealing either: the key of an identifier that no policy can
/// have.
pub(crate) fn digest(key: &DeploymentKey) -> String {
    format!("{:?}", Identifier::new(NamespaceId(0), "", "deployment", key).key())
}
