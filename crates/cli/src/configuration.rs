//! What is configured: `musubi.toml`, above it the environment, above that the flags.
//!
//! A setting `key` of section `[section]` is `MUSUBI_SECTION_KEY` in the environment and `--set section.key=value` as a
//! flag. A property of librdkafka, whose names have dots, is `MUSUBI_KAFKA_PROPERTY_SASL_PASSWORD` for `sasl.password`.
//! Sources are tables of the file alone, `[[source]]`, each with all that [`musubi_channels::Settings`] knows; they say
//! where secrets are kept, and hold none.

mod contract;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use musubi_channels::{Settings, Source};
use musubi_log::kafka::Protocol;
use musubi_serve::cluster::{self, Cluster};
use musubi_serve::{Key, KeyOrigin, Sources};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::commands::policy;
use contract::{Contract, Schemas};

/// Where the configuration is looked for where nobody says.
const FILE: &str = "musubi.toml";
const ENVIRONMENT: &str = "MUSUBI_";
const PROPERTY: &str = "kafka_property_";
/// The sections, which is also which variables of the environment are ours.
const SECTIONS: [&str; 6] = ["rules", "kafka", "contract", "schemas", "stitch", "collect"];
/// What is shown in place of a secret.
const MASK: &str = "***";
/// Words in the name of a setting whose value nobody is to see.
const SECRET: [&str; 6] = ["password", "secret", "token", "key.pem", "oauthbearer.config", "keystore"];

/// How the flags find and change the configuration.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    /// The configuration; else `musubi.toml` here, where there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one value, above the file and the environment: `kafka.bootstrap=localhost:9092`.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    values: Vec<String>,
}

/// All that is configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Configuration {
    pub(crate) rules: Rules,
    pub(crate) kafka: Kafka,
    pub(crate) contract: Contract,
    pub(crate) schemas: Schemas,
    pub(crate) stitch: Stitch,
    pub(crate) collect: Collect,
    #[serde(rename = "source", skip_serializing_if = "Vec::is_empty")]
    pub(crate) sources: Vec<SourceTable>,
}

/// A `[[source]]` as it stands in the file, and known to be one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table")]
pub(crate) struct SourceTable(Table);

impl TryFrom<Table> for SourceTable {
    type Error = toml::de::Error;

    fn try_from(table: Table) -> Result<Self, Self::Error> {
        Settings::deserialize(table.clone())?;
        Ok(Self(table))
    }
}

impl SourceTable {
    /// What it says.
    fn settings(&self) -> Result<Settings> {
        Settings::deserialize(self.0.clone()).context("a source")
    }
}

/// The sources of a file, read for their errors alone.
#[derive(Deserialize)]
struct OnlySources {
    #[serde(default, rename = "source")]
    _sources: Vec<Settings>,
}

/// What rules the deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rules {
    /// The policy file; else the recommended policy.
    pub(crate) policy: Option<PathBuf>,
    /// A file with the deployment's secret; else `MUSUBI_KEY`.
    pub(crate) key_file: Option<PathBuf>,
}

/// How the cluster is met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Kafka {
    bootstrap: String,
    /// Stands before the name of every topic.
    prefix: String,
    group: String,
    /// The lasting name of this process in its group.
    instance: String,
    /// How many partitions every topic has, for life.
    partitions: u32,
    /// How many copies of each; 0 for what the cluster does by itself.
    replication: u16,
    /// `classic` or `consumer` (KIP-848).
    protocol: String,
    session_timeout_ms: u64,
    transaction_timeout_ms: u64,
    /// For how long the changelog is surely not compacted.
    uncompacted_ms: u64,
    /// For how long deletes surely stand in the changelog.
    tombstones_ms: u64,
    /// Properties of librdkafka as they are.
    properties: BTreeMap<String, String>,
}

impl Default for Kafka {
    fn default() -> Self {
        let settings = cluster::settings("", 12);
        Self {
            bootstrap: "127.0.0.1:9092".to_owned(),
            prefix: settings.prefix,
            group: settings.group,
            instance: settings.instance,
            partitions: settings.partitions,
            replication: 0,
            protocol: "classic".to_owned(),
            session_timeout_ms: milliseconds(settings.session_timeout),
            transaction_timeout_ms: milliseconds(settings.transaction_timeout),
            uncompacted_ms: milliseconds(settings.uncompacted),
            tombstones_ms: milliseconds(settings.tombstones),
            properties: BTreeMap::new(),
        }
    }
}

/// How a stitcher works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Stitch {
    /// Where this process keeps its part of the state.
    pub(crate) data: PathBuf,
    /// Where it says how it is (`/healthz`, `/metrics`); nowhere if it is not set.
    pub(crate) listen: Option<SocketAddr>,
    workers: usize,
    /// Whether it keeps the state of others' partitions warm.
    standby: bool,
    /// How many records a batch takes at most.
    batch: usize,
    /// How long a batch waits for more after its first record.
    linger_ms: u64,
    block_cache_mib: usize,
    memtables_mib: usize,
}

impl Default for Stitch {
    fn default() -> Self {
        let store = musubi_store::Options::default();
        let linger = cluster::settings("", 1).linger;
        Self {
            data: "musubi-state".into(),
            listen: None,
            workers: 2,
            standby: false,
            batch: 10_000,
            linger_ms: milliseconds(linger),
            block_cache_mib: store.block_cache >> 20,
            memtables_mib: store.memtables >> 20,
        }
    }
}

/// How a collector works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Collect {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
}

impl Default for Collect {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8788)) }
    }
}

impl Kafka {
    /// Where the deployment's topics are: the cluster, and what stands before their names.
    pub(crate) fn place(&self) -> String {
        format!("{}/{}", self.bootstrap, self.prefix)
    }
}

impl Flags {
    /// What is configured.
    ///
    /// # Errors
    /// Where the file cannot be read, or a value is unknown or wrong, with its name.
    pub(crate) fn read(&self) -> Result<Configuration> {
        let mut table = match &self.config {
            Some(path) => read(path)?,
            None if Path::new(FILE).exists() => read(Path::new(FILE))?,
            None => Table::new(),
        };
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        overlay(&mut table, variables)?;
        for value in &self.values {
            let (name, value) =
                value.split_once('=').ok_or_else(|| anyhow!("wanted `section.key=value`, found `{value}`"))?;
            let path = name.split_once('.').with_context(|| format!("wanted `section.key`, found `{name}`"))?;
            set(&mut table, path, value)?;
        }
        table.try_into().context("the configuration")
    }
}

fn read(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    // Parsed once for its errors alone: they name the line, which is no longer known when the environment is laid above.
    let said = |why: toml::de::Error| anyhow!(at_line(path, &text, &why));
    toml::from_str::<OnlySources>(&text).map_err(said)?;
    toml::from_str::<Configuration>(&text).map_err(said)?;
    text.parse().map_err(said)
}

/// An error with its line and without what stands there, which may be a password.
fn at_line(path: &Path, text: &str, why: &toml::de::Error) -> String {
    let before = why.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!(", line {}", before.matches('\n').count() + 1)).unwrap_or_default();
    format!("`{}`{line}: {}", path.display(), why.message())
}

/// Lays the variables of the environment that name a section above the file.
fn overlay(table: &mut Table, variables: impl Iterator<Item = (String, String)>) -> Result<()> {
    for (name, value) in variables {
        let Some(path) = name.strip_prefix(ENVIRONMENT).map(str::to_lowercase) else { continue };
        let Some((section, key)) = path.split_once('_').filter(|(section, _)| SECTIONS.contains(section)) else {
            continue;
        };
        match path.strip_prefix(PROPERTY) {
            Some(property) => set(table, ("kafka", &format!("properties.{}", property.replace('_', "."))), &value),
            None => set(table, (section, key), &value),
        }
        .with_context(|| format!("`{name}`"))?;
    }
    Ok(())
}

/// Sets one value. It is a number or a truth value where the default is one; all else is text, whatever it looks like.
fn set(table: &mut Table, (section, key): (&str, &str), text: &str) -> Result<()> {
    let section_table = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    let section_table = section_table.as_table_mut().ok_or_else(|| anyhow!("`{section}` is no section"))?;
    if let Some(property) = key.strip_prefix("properties.") {
        let properties = section_table.entry("properties").or_insert_with(|| Value::Table(Table::new()));
        let properties = properties.as_table_mut().ok_or_else(|| anyhow!("`{section}.properties` is no section"))?;
        properties.insert(property.to_owned(), Value::String(text.to_owned()));
        return Ok(());
    }
    let value = match default_of(section, key)? {
        Some(Value::Integer(_)) => text.parse().map(Value::Integer).ok(),
        Some(Value::Boolean(_)) => text.parse().map(Value::Boolean).ok(),
        _ => None,
    };
    // What should be a number and is none stays text, and is refused with its name.
    let value = value.unwrap_or_else(|| Value::String(text.to_owned()));
    section_table.insert(key.to_owned(), value);
    Ok(())
}

/// The value of a setting that nobody sets; None where it has none.
fn default_of(section: &str, key: &str) -> Result<Option<Value>> {
    let defaults = Table::try_from(Configuration::default())?;
    Ok(defaults.get(section).and_then(|section| section.get(key)).cloned())
}

impl Configuration {
    /// The deployment on the cluster that this describes.
    ///
    /// # Errors
    /// Where the policy or the key cannot be read, or a value cannot be.
    pub(crate) fn cluster(&self) -> Result<Cluster> {
        let (kafka, stitch) = (&self.kafka, &self.stitch);
        ensure!(
            (1..=1_024).contains(&kafka.partitions),
            "`kafka.partitions`: wanted 1 to 1024, found {}",
            kafka.partitions
        );
        ensure!(stitch.batch > 0 && stitch.workers > 0, "`stitch.batch` and `stitch.workers`: wanted at least 1");
        let mut settings = cluster::settings(&kafka.bootstrap, kafka.partitions);
        settings.properties.extend(kafka.properties.clone());
        settings.prefix.clone_from(&kafka.prefix);
        settings.group = format!("{}{}", kafka.prefix, kafka.group);
        settings.instance.clone_from(&kafka.instance);
        settings.protocol = match kafka.protocol.as_str() {
            "classic" => Protocol::Classic,
            "consumer" => Protocol::Consumer,
            other => bail!("`kafka.protocol`: wanted `classic` or `consumer`, found `{other}`"),
        };
        settings.session_timeout = Duration::from_millis(kafka.session_timeout_ms);
        settings.transaction_timeout = Duration::from_millis(kafka.transaction_timeout_ms);
        settings.uncompacted = Duration::from_millis(kafka.uncompacted_ms);
        settings.tombstones = Duration::from_millis(kafka.tombstones_ms);
        settings.workers = stitch.workers;
        settings.standby = stitch.standby;
        settings.linger = Duration::from_millis(stitch.linger_ms);
        settings.inbox = stitch.batch.saturating_mul(3);
        let key = Key::find(self.rules.key_file.as_deref())?;
        if key.origin == KeyOrigin::Development {
            tracing::warn!("no `MUSUBI_KEY` and no `rules.key_file`: the key is one that everybody knows");
        }
        Ok(Cluster {
            settings,
            replication: kafka.replication,
            policy: Arc::new(policy::read_or_recommended(self.rules.policy.as_deref())?),
            key: key.key,
            store: musubi_store::Options {
                block_cache: stitch.block_cache_mib << 20,
                memtables: stitch.memtables_mib << 20,
                ..musubi_store::Options::default()
            },
            machine: musubi_stitcher::Options::default(),
            contract: self.contract.plain()?,
            writers: musubi_schema::Writers::default(),
            batch: stitch.batch,
        })
    }

    /// The settings of every source.
    ///
    /// # Errors
    /// None in practice: they were read before.
    pub(crate) fn source_settings(&self) -> Result<Vec<Settings>> {
        self.sources.iter().map(SourceTable::settings).collect()
    }

    /// One source by its name, made ready: its secrets fetched, its mapping read.
    ///
    /// # Errors
    /// Where there is no such source, or it cannot stand.
    pub(crate) fn source(&self, name: &str) -> Result<Source> {
        let settings = self.source_settings()?;
        let names: Vec<String> = settings.iter().map(|settings| format!("`{}`", settings.name)).collect();
        let found = settings.into_iter().find(|settings| settings.name == name);
        let found = found.ok_or_else(|| anyhow!("wanted one of the sources {}, found `{name}`", names.join(", ")))?;
        Ok(musubi_serve::open_source(found)?)
    }

    /// Every source, made ready.
    ///
    /// # Errors
    /// Where one of them cannot stand, or two share a name or a path.
    pub(crate) fn all_sources(&self) -> Result<Sources> {
        Ok(Sources::open(self.source_settings()?)?)
    }

    /// What is in force, as a `musubi.toml` with secrets masked.
    ///
    /// # Errors
    /// None in practice: all of it has a form in TOML.
    pub(crate) fn masked(&self) -> Result<String> {
        let mut masked = self.clone();
        if !masked.schemas.password.is_empty() {
            masked.schemas.password = MASK.to_owned();
        }
        for (name, value) in &mut masked.kafka.properties {
            if SECRET.iter().any(|word| name.contains(word)) {
                *value = MASK.to_owned();
            }
        }
        Ok(toml::to_string_pretty(&masked)?)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(file: &str, variables: &[(&str, &str)]) -> Result<Configuration> {
        let mut table: Table = file.parse()?;
        overlay(&mut table, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))?;
        Ok(table.try_into()?)
    }

    #[test]
    fn the_environment_stands_above_the_file() {
        let variables = [
            ("MUSUBI_KAFKA_BOOTSTRAP", "broker:1"),
            ("MUSUBI_STITCH_LINGER_MS", "9"),
            ("MUSUBI_STITCH_STANDBY", "true"),
            ("MUSUBI_KAFKA_PROPERTY_SASL_PASSWORD", "x=y"),
            ("MUSUBI_KAFKA_INSTANCE", "0"),
            ("MUSUBI_KEY", "somebody else's"),
        ];
        let found = laid("[kafka]\nbootstrap = \"file:1\"\npartitions = 3\n", &variables).expect("a configuration");
        assert_eq!((found.kafka.bootstrap.as_str(), found.kafka.partitions), ("broker:1", 3));
        assert_eq!((found.stitch.linger_ms, found.stitch.standby), (9, true));
        assert_eq!(found.kafka.instance, "0", "a name may be a number");
        assert_eq!(found.kafka.properties["sasl.password"], "x=y");
    }

    #[test]
    fn what_nobody_knows_is_named() {
        let unknown = laid("[kafka]\nbotstrap = \"x\"", &[]).expect_err("it is misspelt").to_string();
        assert!(unknown.contains("botstrap"), "{unknown}");
        let unknown = laid("", &[("MUSUBI_STITCH_WORKER", "3")]).expect_err("it is misspelt").to_string();
        assert!(unknown.contains("worker"), "{unknown}");
    }

    #[test]
    fn the_example_in_deploy_is_understood() {
        let found = laid(include_str!("../../../deploy/musubi.toml"), &[]).expect("a configuration");
        assert_eq!((found.kafka.partitions, found.stitch.workers, found.stitch.standby), (12, 2, true));
    }

    #[test]
    fn no_secret_is_shown() {
        let file = "[kafka.properties]\n\"sasl.password\" = \"hush\"\n\"ssl.ca.location\" = \"/ca\"";
        let found = laid(file, &[("MUSUBI_SCHEMAS_PASSWORD", "hush")]);
        let shown = found.and_then(|found| found.masked()).expect("a configuration");
        assert!(!shown.contains("hush") && shown.contains("/ca"), "{shown}");
    }

    #[test]
    fn sources_are_read_and_shown_as_they_stand() {
        let file = "[[source]]\nname = \"line\"\npreset = \"line\"\nsecret = { env = \"LINE_SECRET\" }\n\
                    [[source]]\nname = \"shop\"\nopen = true\nrate_limit = { per_second = 5, burst = 9 }\n";
        let found = laid(file, &[]).expect("a configuration");
        let names: Vec<String> =
            found.source_settings().expect("settings").into_iter().map(|settings| settings.name).collect();
        assert_eq!(names, ["line", "shop"]);
        let shown = found.masked().expect("a configuration");
        assert_eq!(toml::from_str::<Configuration>(&shown).expect("a configuration"), found);
        assert!(shown.contains("LINE_SECRET"), "{shown}");
        assert!(found.source("till").is_err_and(|why| why.to_string().contains("`line`, `shop`")));
    }

    #[test]
    fn a_wrong_source_is_named_with_its_line_and_no_secret_is_repeated() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("musubi.toml");
        for (text, wanted) in [
            ("[rules]\n[[source]]\nname = \"a\"\nkey = \"hunter2\"\n", "line 4"),
            ("[[source]]\nname = \"a\"\nchanel = \"hunter2\"\n", "chanel"),
            ("[kafka.properties]\n\"sasl.password\" = \"hunter2\n", "line 2"),
        ] {
            std::fs::write(&path, text).expect("written");
            let told = format!("{:#}", read(&path).expect_err("it is wrong"));
            assert!(told.contains(wanted) && !told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let shown = Configuration::default().masked().expect("a configuration");
        assert_eq!(toml::from_str::<Configuration>(&shown).expect("a configuration"), Configuration::default());
    }
}
