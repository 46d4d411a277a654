//! From the policy file to the policy: what the file says is checked here, once, so that nothing after has to.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use regex::{Regex, RegexSet};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::{self, File, FunctionName, Normalise, SurvivorshipName};
use super::{Blocked, ComputedRule, Function, HashOf, Limits, Namespace, Policy, TraitRule, version};
use crate::identifier::NamespaceId;
use crate::normalise::{CheckDigit, Normaliser, Region, Spelling};

/// The longest name of a namespace, in bytes: it stands in front of every identifier.
const LONGEST_NAME: usize = 64;
/// The most namespaces, so that the place of one fits 16 bits.
const MOST_NAMESPACES: usize = 65_535;
/// Distinct neighbours beyond which an identifier is a hub, where the policy does not say.
const MAX_LINKS: u32 = 1_000;
/// Identifiers beyond which a cluster raises an alert, where the policy does not say.
const MAX_CLUSTER: u32 = 10_000;
/// Identifiers that one touchpoint may name, where the policy does not say.
const MAX_IDENTIFIERS: u32 = 32;
/// How many recent touchpoints a profile shows, where the policy does not say.
const RECENT_TOUCHPOINTS: u32 = 10;
/// How long a copy is recognised, where the policy does not say: sources redeliver within days, backfills within weeks.
const DEDUP_HORIZON: u64 = 30 * 24 * 60 * 60 * 1_000_000;

/// What is wrong with a policy file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Error {
    line: usize,
    message: String,
}

impl Error {
    /// The line of the file, from 1.
    pub const fn line(&self) -> usize {
        self.line
    }
}

/// Something wrong at a place of the text, not yet a line.
struct Fault {
    span: Range<usize>,
    message: String,
}

impl Fault {
    fn new(span: Range<usize>, message: String) -> Self {
        Self { span, message }
    }

    fn at(self, text: &str) -> Error {
        let before = text.as_bytes().get(..self.span.start).unwrap_or(text.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Error { line, message: self.message }
    }
}

/// The policy that this text states.
pub(super) fn policy(text: &str) -> Result<Policy, Error> {
    let file: File = toml::from_str(text).map_err(|error| syntax(text, &error).at(text))?;
    assemble(file).map_err(|fault| fault.at(text))
}

fn assemble(file: File) -> Result<Policy, Fault> {
    let namespaces = namespaces(file.namespace)?;
    let blocked = blocked(&file.blocked)?;
    let mut traits = traits(file.traits)?;
    traits.sort_by(|a, b| a.name.cmp(&b.name));
    let computed = computed(file.computed)?;
    let limits = limits(file.limits)?;
    let kept_properties = kept_properties(&computed, &limits);
    let hashed = hashed(&namespaces);
    let mut policy =
        Policy { version: "".into(), namespaces, blocked, traits, computed, limits, kept_properties, hashed };
    policy.version = version::of(&policy);
    Ok(policy)
}

/// An error of the TOML reader in our words, with the key at fault.
fn syntax(text: &str, error: &toml::de::Error) -> Fault {
    let span = error.span().unwrap_or(0..0);
    let message = error.message().trim().replace('\n', ", ");
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return Fault::new(span, format!("unknown key {}", wanted(rest)));
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        return Fault::new(span, format!("missing key {rest}"));
    }
    let key = DeTable::parse(text).ok().and_then(|table| key_at(table.get_ref(), span.start));
    let said = match message.strip_prefix("unknown variant ") {
        Some(rest) => format!("unknown value {}", wanted(rest)),
        None => mistyped(&message).unwrap_or(message),
    };
    Fault::new(span, key.map_or(said.clone(), |key| format!("`{key}`: {said}")))
}

/// "`x`, expected …" as "`x`, wanted …".
fn wanted(message: &str) -> String {
    message.replacen(", expected ", ", wanted ", 1)
}

/// "invalid type: string "x", expected a boolean" as "wanted a boolean, found string "x"".
fn mistyped(message: &str) -> Option<String> {
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, wanted) = rest.rsplit_once(", expected ")?;
    let wanted = match wanted {
        "u32" => "a whole number from 0 to 4,294,967,295",
        "a sequence" => "a list",
        "struct Namespace" | "struct Trait" | "struct Computed" | "struct Blocked" | "struct Limits" => "a table",
        other => other,
    };
    Some(format!("wanted {wanted}, found {found}"))
}

/// The key whose value stands at this place of the text.
fn key_at(table: &DeTable<'_>, at: usize) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let deeper = match value.get_ref() {
            DeValue::Table(table) => key_at(table, at),
            DeValue::Array(items) => items.iter().find_map(|item| match item.get_ref() {
                DeValue::Table(table) => key_at(table, at),
                _ => None,
            }),
            _ => None,
        };
        deeper.or_else(|| value.span().contains(&at).then(|| key.get_ref().to_string()))
    })
}

fn namespaces(stated: Vec<Spanned<file::Namespace>>) -> Result<Vec<Namespace>, Fault> {
    if stated.is_empty() {
        return Err(Fault::new(0..0, "wanted at least one `[[namespace]]`, found none".to_owned()));
    }
    if let Some(beyond) = stated.get(MOST_NAMESPACES) {
        let message = format!("wanted at most 65,535 of `[[namespace]]`, found {}", stated.len());
        return Err(Fault::new(beyond.span(), message));
    }
    distinct(stated.iter().map(|namespace| &namespace.get_ref().name), "namespace")?;
    let hash = |stated: &file::Namespace| (stated.hash_of.clone(), stated.spelling.clone());
    let stated_hashes: Vec<HashStated> = stated.iter().map(|stated| hash(stated.get_ref())).collect();
    let mut namespaces: Vec<Namespace> =
        stated.into_iter().map(|stated| namespace(stated.into_inner())).collect::<Result<_, _>>()?;
    hashes(&stated_hashes, &mut namespaces)?;
    Ok(namespaces)
}

/// `hash_of` and `spelling` of a namespace, as they are stated.
type HashStated = (Option<Spanned<String>>, Option<Spanned<file::SpellingName>>);

fn namespace(stated: file::Namespace) -> Result<Namespace, Fault> {
    namespace_name(&stated.name)?;
    let normalise = normaliser(&stated)?;
    let max_per_person = positive(stated.max_per_person.as_ref(), "max_per_person")?;
    if let (true, Some(stated), Some(2..)) = (stated.unique, &stated.max_per_person, max_per_person) {
        let message = format!("`max_per_person` of a `unique` namespace: wanted 1, found {}", stated.get_ref());
        return Err(Fault::new(stated.span(), message));
    }
    let expires = stated.expires.as_ref().map(|life| expires(&stated, life, normalise)).transpose()?;
    Ok(Namespace {
        normalise,
        hash_of: None,
        expires,
        unique: stated.unique,
        max_per_person: if stated.unique { Some(1) } else { max_per_person },
        shared_after: positive(stated.shared_after.as_ref(), "shared_after")?,
        max_links: positive(stated.max_links.as_ref(), "max_links")?.unwrap_or(MAX_LINKS),
        conflict: stated.conflict.into(),
        anonymous: stated.anonymous,
        name: stated.name.into_inner().into(),
    })
}

fn namespace_name(name: &Spanned<String>) -> Result<(), Fault> {
    let fault = |message: String| Err(Fault::new(name.span(), message));
    let text = name.get_ref();
    if text.len() > LONGEST_NAME {
        return fault(format!("`name`: wanted at most {LONGEST_NAME} bytes, found {}", text.len()));
    }
    if text.contains(':') {
        return fault(format!("`name`: wanted no `:`, which parts a name from a value, found `{text}`"));
    }
    if text.trim() != text || text.contains(char::is_control) {
        return fault(format!("`name`: wanted no white space around it and no control characters, found `{text:?}`"));
    }
    filled(name, "name")
}

fn normaliser(stated: &file::Namespace) -> Result<Normaliser, Fault> {
    let chosen = match stated.normalise {
        Some(Normalise::Exact) => Normaliser::Exact,
        Some(Normalise::Text) => Normaliser::Text,
        Some(Normalise::Email) => Normaliser::Email,
        Some(Normalise::Phone) => Normaliser::Phone(Region::JAPAN),
        Some(Normalise::Digits) => Normaliser::Digits,
        Some(Normalise::Card) => Normaliser::Card(CheckDigit::None),
        Some(Normalise::Uuid) => Normaliser::Uuid,
        Some(Normalise::Sha256) => Normaliser::Sha256,
        None if stated.hash_of.is_some() => Normaliser::Sha256,
        None => Normaliser::for_namespace(stated.name.get_ref()),
    };
    let chosen = match (&stated.check_digit, chosen) {
        (None, chosen) => chosen,
        (Some(check), Normaliser::Card(_)) => Normaliser::Card((*check.get_ref()).into()),
        (Some(check), _) => {
            let message = "`check_digit`: wanted only where `normalise` is `card`".to_owned();
            return Err(Fault::new(check.span(), message));
        }
    };
    let Some(region) = &stated.region else { return Ok(chosen) };
    if !matches!(chosen, Normaliser::Phone(_)) {
        let message = "`region`: wanted only where `normalise` is `phone`".to_owned();
        return Err(Fault::new(region.span(), message));
    }
    let code = region.get_ref();
    let message = || format!("`region`: wanted the ISO 3166 code of a region with telephones, found `{code}`");
    Ok(Normaliser::Phone(code.parse().map_err(|_| Fault::new(region.span(), message()))?))
}

/// The life of a namespace's values. A value has two epochs at a time, so it can bind nobody to itself alone.
fn expires(stated: &file::Namespace, life: &Spanned<String>, normalise: Normaliser) -> Result<u64, Fault> {
    let fault = |message: &str| Err(Fault::new(life.span(), message.to_owned()));
    if stated.unique || stated.max_per_person.is_some() {
        return fault("`expires`: wanted neither `unique` nor `max_per_person` beside it");
    }
    if !matches!(normalise, Normaliser::Exact | Normaliser::Text) {
        return fault("`expires`: wanted only where `normalise` is `exact` or `text`");
    }
    duration(life, "expires")
}

/// Whose hashes each namespace holds. It is told by name, and may be told of one that stands further below.
fn hashes(stated: &[HashStated], namespaces: &mut [Namespace]) -> Result<(), Fault> {
    for (place, hash) in stated.iter().enumerate() {
        let (name, spelling) = match hash {
            (None, None) => continue,
            (Some(name), Some(spelling)) => (name, *spelling.get_ref()),
            (Some(name), None) => {
                return Err(Fault::new(name.span(), "`hash_of`: wanted a `spelling` with it, found none".to_owned()));
            }
            (None, Some(spelling)) => {
                let message = "`spelling`: wanted only where there is `hash_of`".to_owned();
                return Err(Fault::new(spelling.span(), message));
            }
        };
        let found = namespaces.iter().position(|namespace| namespace.name.as_ref() == name.get_ref());
        let is_plain = |at: &usize| matches!(namespaces[*at].normalise, Normaliser::Email | Normaliser::Phone(_));
        let Some(plain) = found.filter(is_plain).and_then(|at| u16::try_from(at).ok()) else {
            let message = format!("`hash_of`: wanted a namespace of `email` or `phone`, found `{}`", name.get_ref());
            return Err(Fault::new(name.span(), message));
        };
        if namespaces[place].normalise != Normaliser::Sha256 {
            let message = "`hash_of`: wanted only where `normalise` is `sha256`".to_owned();
            return Err(Fault::new(name.span(), message));
        }
        namespaces[place].hash_of = Some(HashOf { plain: NamespaceId(plain), spelling: spelling.into() });
    }
    Ok(())
}

/// The namespaces that hold hashes: of which, which, and how.
fn hashed(namespaces: &[Namespace]) -> Vec<(NamespaceId, NamespaceId, Spelling)> {
    let id = |place: usize| u16::try_from(place).ok().map(NamespaceId);
    let of = |(place, namespace): (usize, &Namespace)| {
        namespace.hash_of.and_then(|hash| Some((hash.plain, id(place)?, hash.spelling)))
    };
    namespaces.iter().enumerate().filter_map(of).collect()
}

/// The lists of values that identify nobody which come with Musubi, by their version.
const DEFAULTS: [(&str, &str); 1] = [("2026-11", include_str!("../../policies/blocked-2026-11.toml"))];

/// The lists that a policy extends.
fn defaults(version: Option<&Spanned<String>>) -> Result<file::Blocked, Fault> {
    let Some(version) = version else { return Ok(file::Blocked::default()) };
    let known = DEFAULTS.iter().find(|(known, _)| known == version.get_ref());
    let Some((_, text)) = known else {
        let known: Vec<String> = DEFAULTS.iter().map(|(known, _)| format!("`{known}`")).collect();
        let message = format!("`defaults`: wanted one of {}, found `{}`", known.join(", "), version.get_ref());
        return Err(Fault::new(version.span(), message));
    };
    Ok(toml::from_str(text).expect("the lists that come with Musubi are lists, as a test holds"))
}

fn blocked(stated: &file::Blocked) -> Result<Blocked, Fault> {
    let defaults = defaults(stated.defaults.as_ref())?;
    for value in &stated.values {
        filled(value, "values")?;
    }
    for pattern in &stated.patterns {
        check_pattern(pattern)?;
    }
    let patterns = defaults.patterns.iter().chain(&stated.patterns).map(Spanned::get_ref);
    let patterns = RegexSet::new(patterns).map_err(|error| {
        let span = stated.patterns.first().map_or(0..0, Spanned::span);
        Fault::new(span, format!("`patterns`: together too large: {}", last_line(&error.to_string())))
    })?;
    let values = defaults.values.iter().chain(&stated.values);
    Ok(Blocked::new(values.map(|value| value.get_ref().as_str()), patterns))
}

fn check_pattern(pattern: &Spanned<String>) -> Result<(), Fault> {
    let fault = |message: String| Fault::new(pattern.span(), message);
    let compiled = Regex::new(pattern.get_ref()).map_err(|error| {
        let why = last_line(&error.to_string());
        fault(format!("`patterns`: wanted a regular expression, found `{}`: {why}", pattern.get_ref()))
    })?;
    // A pattern without an anchor that is found in nothing blocks every value: surely not what was meant.
    if pattern.get_ref().is_empty() || (compiled.is_match("") && compiled.is_match("taro@example.jp")) {
        return Err(fault(format!("`patterns`: wanted one that leaves some values, found `{}`", pattern.get_ref())));
    }
    Ok(())
}

/// What the regex crate says, without the drawing above it.
fn last_line(message: &str) -> String {
    let line = message.trim_end().rsplit('\n').next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

fn traits(stated: Vec<Spanned<file::Trait>>) -> Result<Vec<TraitRule>, Fault> {
    distinct(stated.iter().map(|rule| &rule.get_ref().name), "trait")?;
    stated.into_iter().map(|rule| trait_rule(rule.into_inner())).collect()
}

fn trait_rule(stated: file::Trait) -> Result<TraitRule, Fault> {
    filled(&stated.name, "name")?;
    distinct(stated.sources.iter(), "source")?;
    if matches!(stated.survivorship, SurvivorshipName::SourcePriority) && stated.sources.is_empty() {
        let message = format!("trait `{}`: `source_priority` wanted `sources`, found none", stated.name.get_ref());
        return Err(Fault::new(stated.name.span(), message));
    }
    Ok(TraitRule {
        survivorship: stated.survivorship.into(),
        sources: stated.sources.into_iter().map(|source| source.into_inner().into()).collect(),
        name: stated.name.into_inner().into(),
    })
}

fn computed(stated: Vec<Spanned<file::Computed>>) -> Result<Vec<ComputedRule>, Fault> {
    distinct(stated.iter().map(|rule| &rule.get_ref().name), "computed")?;
    stated.into_iter().map(|rule| computed_rule(rule.into_inner())).collect()
}

fn computed_rule(stated: file::Computed) -> Result<ComputedRule, Fault> {
    filled(&stated.name, "name")?;
    let name = stated.name.get_ref();
    let function = function(&stated)?;
    if function != Function::Count && stated.of.is_none() {
        let message = format!("computed `{name}`: wanted `of`, the property that it folds, found none");
        return Err(Fault::new(stated.function.span(), message));
    }
    if let Some(path) = &stated.of
        && path.get_ref().split('.').any(str::is_empty)
    {
        let message = format!("`of`: wanted names of properties with a dot between them, found `{}`", path.get_ref());
        return Err(Fault::new(path.span(), message));
    }
    Ok(ComputedRule {
        name: name.as_str().into(),
        function,
        of: stated.of.map(|path| path.into_inner().into()),
        types: sorted(stated.types),
        per_channel: stated.per_channel,
    })
}

fn function(stated: &file::Computed) -> Result<Function, Fault> {
    let n = positive(stated.n.as_ref(), "n")?;
    let name = *stated.function.get_ref();
    if let (Some(n), true) = (&stated.n, name != FunctionName::LastN) {
        return Err(Fault::new(n.span(), "`n`: wanted only where `function` is `last_n`".to_owned()));
    }
    Ok(match name {
        FunctionName::Count => Function::Count,
        FunctionName::Sum => Function::Sum,
        FunctionName::Min => Function::Min,
        FunctionName::Max => Function::Max,
        FunctionName::First => Function::First,
        FunctionName::Last => Function::Last,
        FunctionName::Distinct => Function::Distinct,
        FunctionName::LastN => Function::LastN(n.ok_or_else(|| {
            let message = format!("computed `{}`: `last_n` wanted `n`, found none", stated.name.get_ref());
            Fault::new(stated.function.span(), message)
        })?),
    })
}

fn limits(stated: file::Limits) -> Result<Limits, Fault> {
    let max_identifiers = stated.max_identifiers_per_touchpoint.as_ref();
    Ok(Limits {
        max_cluster: positive(stated.max_cluster.as_ref(), "max_cluster")?.unwrap_or(MAX_CLUSTER),
        max_identifiers_per_touchpoint: positive(max_identifiers, "max_identifiers_per_touchpoint")?
            .unwrap_or(MAX_IDENTIFIERS),
        dedup_horizon: stated
            .dedup_horizon
            .as_ref()
            .map_or(Ok(DEDUP_HORIZON), |span| duration(span, "dedup_horizon"))?,
        recent_touchpoints: stated.recent_touchpoints.map_or(RECENT_TOUCHPOINTS, Spanned::into_inner),
        recent_properties: sorted(stated.recent_properties),
    })
}

/// A span of time such as `30d`, `12h`, `90m` or `45s`, in microseconds.
fn duration(stated: &Spanned<String>, key: &str) -> Result<u64, Fault> {
    let text = stated.get_ref().trim();
    let read = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds: u64 = match unit {
            "d" => 86_400,
            "h" => 3_600,
            "m" => 60,
            "s" => 1,
            _ => return None,
        };
        let number = if number.starts_with('+') { None } else { number.parse::<u64>().ok() };
        number.filter(|number| *number > 0)?.checked_mul(seconds * 1_000_000)
    };
    let wanted = "wanted a span of time such as `30d` or `12h`";
    read().ok_or_else(|| Fault::new(stated.span(), format!("`{key}`: {wanted}, found `{text}`")))
}

/// A number that must not be zero, where one is stated.
fn positive(stated: Option<&Spanned<u32>>, key: &str) -> Result<Option<u32>, Fault> {
    match stated {
        Some(zero) if *zero.get_ref() == 0 => {
            Err(Fault::new(zero.span(), format!("`{key}`: wanted at least 1, found 0")))
        }
        stated => Ok(stated.map(|number| *number.get_ref())),
    }
}

fn filled(stated: &Spanned<String>, key: &str) -> Result<(), Fault> {
    if stated.get_ref().trim().is_empty() {
        return Err(Fault::new(stated.span(), format!("`{key}`: wanted some text, found none")));
    }
    Ok(())
}

/// That no name comes twice.
fn distinct<'a>(names: impl Iterator<Item = &'a Spanned<String>>, what: &str) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name.get_ref().as_str()) {
            return Err(Fault::new(name.span(), format!("{what} `{}`: wanted once, found twice", name.get_ref())));
        }
    }
    Ok(())
}

fn sorted(names: Vec<String>) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = names.into_iter().map(Arc::from).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The first names of the paths that computed traits read, and the properties that recent touchpoints show.
fn kept_properties(computed: &[ComputedRule], limits: &Limits) -> Vec<Arc<str>> {
    let read = computed.iter().filter_map(|rule| rule.of.as_deref()?.split('.').next());
    let shown = limits.recent_properties.iter().map(AsRef::as_ref);
    sorted(read.chain(shown).map(str::to_owned).collect())
}
