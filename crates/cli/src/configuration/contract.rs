//! What a deployment promises downstream, and the Schema Registry that it may promise it with.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use musubi_registry::{Credentials, Notation, Registry, Settings};
use musubi_schema::{Framing, Writers};
use musubi_serve::cluster::Cluster;
use serde::{Deserialize, Serialize};

use super::Configuration;

/// How what is said downstream is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Contract {
    /// `single-object`, `confluent` (with a registry) or `json`.
    framing: String,
    /// Who says it: `ce_source` is this, a slash, and the topic.
    source: String,
    /// Whether identifiers and traits are also told as flat rows.
    rows: bool,
}

impl Default for Contract {
    fn default() -> Self {
        let musubi_stitcher::Contract { source, rows, .. } = musubi_stitcher::Contract::default();
        Self { framing: "single-object".to_owned(), source, rows }
    }
}

/// How a Schema Registry is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Schemas {
    /// Its addresses, with commas between; none where there is no registry.
    url: String,
    /// Who asks, where it wants to know; of a hosted registry, the API key.
    user: String,
    /// The password; of a hosted registry, the API secret.
    pub(super) password: String,
    /// Whether schemas must be there already, and none is registered.
    read_only: bool,
}

impl Contract {
    /// All of it but the framing, for which a registry may have to be asked.
    pub(super) fn plain(&self) -> Result<musubi_stitcher::Contract> {
        ensure!(!self.source.is_empty(), "`contract.source`: wanted a name, found none");
        Ok(musubi_stitcher::Contract { framing: Framing::default(), source: self.source.clone(), rows: self.rows })
    }
}

impl Schemas {
    fn registry(&self, prefix: &str) -> Result<Option<Registry>> {
        let urls: Vec<String> =
            self.url.split(',').map(str::trim).filter(|url| !url.is_empty()).map(Into::into).collect();
        if urls.is_empty() {
            return Ok(None);
        }
        let credentials = Credentials { user: self.user.clone(), password: self.password.clone() };
        let settings = Settings {
            urls,
            credentials: (!self.user.is_empty()).then_some(credentials),
            register: !self.read_only,
            prefix: prefix.to_owned(),
            ..Settings::new("")
        };
        Ok(Some(Registry::new(settings)?))
    }
}

impl Configuration {
    /// The Schema Registry, where one is configured.
    ///
    /// # Errors
    /// Where its settings cannot be used.
    pub(crate) fn registry(&self) -> Result<Option<Registry>> {
        self.schemas.registry(&self.kafka.prefix)
    }

    /// The deployment, with the schemas of its registry, where there is one: they are found or registered now.
    ///
    /// # Errors
    /// As [`Configuration::cluster`]; where the registry does not answer or will not have our schemas.
    pub(crate) fn contracted(&self) -> Result<Cluster> {
        let mut cluster = self.cluster()?;
        let registry = self.schemas.registry(&self.kafka.prefix)?;
        let number = |notation| {
            let asked = registry.as_ref().map(|registry| registry.ids(notation));
            asked.transpose().context("the schema registry")
        };
        let framing = match self.contract.framing.as_str() {
            "single-object" => Framing::SingleObject,
            "json" => Framing::Json(number(Notation::Json)?),
            "confluent" => {
                let ids = number(Notation::Avro)?;
                Framing::Confluent(ids.context("`contract.framing` is `confluent`: wanted `schemas.url`, found none")?)
            }
            other => {
                bail!("`contract.framing`: wanted `single-object`, `confluent` or `json`, found `{other}`")
            }
        };
        cluster.contract.framing = framing;
        if let Some(registry) = registry {
            cluster.writers = Writers::from_source(Arc::new(registry));
        }
        Ok(cluster)
    }
}
