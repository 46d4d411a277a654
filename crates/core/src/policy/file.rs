//! The policy file as it is written: its keys, their types and where they stand. What they mean is `parse`'s.

use serde::Deserialize;
use toml::Spanned;

use super::{Conflict, Survivorship};
use crate::normalise::{CheckDigit, Spelling};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) namespace: Vec<Spanned<Namespace>>,
    #[serde(default)]
    pub(super) blocked: Blocked,
    #[serde(default, rename = "trait")]
    pub(super) traits: Vec<Spanned<Trait>>,
    #[serde(default)]
    pub(super) computed: Vec<Spanned<Computed>>,
    #[serde(default)]
    pub(super) limits: Limits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Namespace {
    pub(super) name: Spanned<String>,
    pub(super) normalise: Option<Normalise>,
    pub(super) region: Option<Spanned<String>>,
    pub(super) check_digit: Option<Spanned<CheckDigitName>>,
    pub(super) hash_of: Option<Spanned<String>>,
    pub(super) spelling: Option<Spanned<SpellingName>>,
    pub(super) expires: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) unique: bool,
    pub(super) max_per_person: Option<Spanned<u32>>,
    pub(super) shared_after: Option<Spanned<u32>>,
    pub(super) max_links: Option<Spanned<u32>>,
    #[serde(default)]
    pub(super) conflict: ConflictName,
    #[serde(default)]
    pub(super) anonymous: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Normalise {
    Exact,
    Text,
    Email,
    Phone,
    Digits,
    Card,
    Uuid,
    Sha256,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CheckDigitName {
    Jan,
    Luhn,
}

impl From<CheckDigitName> for CheckDigit {
    fn from(name: CheckDigitName) -> Self {
        match name {
            CheckDigitName::Jan => Self::Jan,
            CheckDigitName::Luhn => Self::Luhn,
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SpellingName {
    Google,
    Meta,
}

impl From<SpellingName> for Spelling {
    fn from(name: SpellingName) -> Self {
        match name {
            SpellingName::Google => Self::Google,
            SpellingName::Meta => Self::Meta,
        }
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ConflictName {
    #[default]
    Newest,
    Oldest,
}

impl From<ConflictName> for Conflict {
    fn from(name: ConflictName) -> Self {
        match name {
            ConflictName::Newest => Self::Newest,
            ConflictName::Oldest => Self::Oldest,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Blocked {
    pub(super) defaults: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) values: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) patterns: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trait {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) survivorship: SurvivorshipName,
    #[serde(default)]
    pub(super) sources: Vec<Spanned<String>>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SurvivorshipName {
    #[default]
    Newest,
    Oldest,
    SourcePriority,
    Max,
    Min,
    Union,
}

impl From<SurvivorshipName> for Survivorship {
    fn from(name: SurvivorshipName) -> Self {
        match name {
            SurvivorshipName::Newest => Self::Newest,
            SurvivorshipName::Oldest => Self::Oldest,
            SurvivorshipName::SourcePriority => Self::SourcePriority,
            SurvivorshipName::Max => Self::Max,
            SurvivorshipName::Min => Self::Min,
            SurvivorshipName::Union => Self::Union,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Computed {
    pub(super) name: Spanned<String>,
    pub(super) function: Spanned<FunctionName>,
    pub(super) n: Option<Spanned<u32>>,
    pub(super) of: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) types: Vec<String>,
    #[serde(default)]
    pub(super) per_channel: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FunctionName {
    Count,
    Sum,
    Min,
    Max,
    First,
    Last,
    Distinct,
    LastN,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) max_cluster: Option<Spanned<u32>>,
    pub(super) max_identifiers_per_touchpoint: Option<Spanned<u32>>,
    pub(super) dedup_horizon: Option<Spanned<String>>,
    pub(super) recent_touchpoints: Option<Spanned<u32>>,
    #[serde(default)]
    pub(super) recent_properties: Vec<String>,
}
