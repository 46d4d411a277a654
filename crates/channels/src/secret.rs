//! Keys and secrets: where they are kept, and a type that never shows them.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use subtle::ConstantTimeEq as _;

/// A key or a secret. It is never printed, and compared in a time that tells nothing but its length.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// The secret as it was found in its place; white space at its end, which editors leave, is no part of it.
    pub fn new(text: &str) -> Self {
        Self(text.trim_end().as_bytes().into())
    }

    /// Whether this is it.
    pub fn is(&self, candidate: &[u8]) -> bool {
        self.0.ct_eq(candidate).into()
    }

    /// Whether there is nothing in it: a variable that is set to nothing is a mistake.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The secret itself, for whoever has to show it to the one who gave it: the client of an API.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret as text; empty where it is none.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a secret is kept: `{ env = "NAME" }` or `{ file = "PATH" }`. To fetch it from there is the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In this variable of the environment.
    Env(String),
    /// In this file, alone.
    File(PathBuf),
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeptVisitor)
    }
}

struct KeptVisitor;

/// Said without what was found: it may be the secret.
const WANTED: &str = "`{ env = \"NAME\" }` or `{ file = \"PATH\" }`";

impl<'de> Visitor<'de> for KeptVisitor {
    type Value = Kept;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WANTED)
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Kept, E> {
        Err(E::custom(format_args!("wanted {WANTED}, found a text: a secret does not stand in this file")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Kept, A::Error> {
        let place = fields.next_entry::<String, String>()?;
        let kept = match place {
            Some((place, name)) if place == "env" => Kept::Env(name),
            Some((place, path)) if place == "file" => Kept::File(path.into()),
            Some(_) | None => return Err(A::Error::custom(format_args!("wanted {WANTED}"))),
        };
        match fields.next_key::<String>()? {
            None => Ok(kept),
            Some(more) => Err(A::Error::custom(format_args!("wanted {WANTED}, found `{more}` beside it"))),
        }
    }
}
