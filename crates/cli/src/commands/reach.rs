//! Reaching a deployment: a running one through its doors, or the directory of one that does not run.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use ureq::http::Response;
use ureq::{Agent, Body};

/// Which deployment.
#[derive(clap::Args)]
pub(crate) struct Reach {
    /// The directory of a deployment that does not run.
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub(crate) data: Option<PathBuf>,
    /// Where a running one listens.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8787")]
    url: String,
}

/// An agent that hands every answer back, whatever its status.
pub(crate) fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).build().new_agent()
}

impl Reach {
    /// Where a running one listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Asks the running deployment. An answer that is none is an error with the words of the door.
    pub(crate) fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Response<Body>> {
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let request = query.iter().fold(agent().get(&url), |request, (name, value)| request.query(*name, *value));
        let mut response = request.call().with_context(|| {
            format!("cannot reach `{}`: is `musubi up` running there? (for a directory: --data)", self.url)
        })?;
        if !response.status().is_success() {
            let said = response.body_mut().read_to_string().unwrap_or_default();
            let shape = serde_json::from_str::<serde_json::Value>(&said).ok();
            let detail = shape.as_ref().and_then(|shape| shape["detail"].as_str()).unwrap_or(&said);
            bail!("{detail} ({})", response.status());
        }
        Ok(response)
    }
}
