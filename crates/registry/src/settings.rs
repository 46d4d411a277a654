//! How a registry is reached, and what may be done to it.

use std::fmt;
use std::time::Duration;

use schema_registry_converter::blocking::schema_registry::SrSettings;

use crate::Error;

/// How a registry is reached, and what may be done to it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens, such as `https://registry:8081`. They are tried in turn.
    pub urls: Vec<String>,
    /// Who asks, where the registry wants to know.
    pub credentials: Option<Credentials>,
    /// Whether schemas that are not there are registered. If not, they must be there already.
    pub register: bool,
    /// What stands before the name of a topic on the cluster, and so before its subject.
    pub prefix: String,
    /// How long one call may take.
    pub timeout: Duration,
    /// How often a question is put before it is given up.
    pub attempts: u32,
    /// How long to wait before the second attempt; before each further one, twice as long as before.
    pub pause: Duration,
}

/// A name and a password, for HTTP's basic authentication. The password is never shown.
#[derive(Clone)]
pub struct Credentials {
    /// The name; of a hosted registry, the API key.
    pub user: String,
    /// The password; of a hosted registry, the API secret.
    pub password: String,
}

impl Settings {
    /// A registry that anybody may write to, with 5 attempts of at most 5 seconds, some 2 seconds of pauses in all.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            urls: vec![url.into()],
            credentials: None,
            register: true,
            prefix: String::new(),
            timeout: Duration::from_secs(5),
            attempts: 5,
            pause: Duration::from_millis(150),
        }
    }

    pub(crate) fn client(&self) -> Result<SrSettings, Error> {
        let mut urls = self.urls.iter().map(|url| url.trim_end_matches('/').to_owned());
        let Some(first) = urls.next() else {
            return Err(Error::Settings("wanted at least one address, found none".to_owned()));
        };
        let mut builder = SrSettings::new_builder(first);
        for url in urls {
            builder.add_url(url);
        }
        if let Some(Credentials { user, password }) = &self.credentials {
            builder.set_basic_authorization(user, Some(password));
        }
        builder.set_timeout(self.timeout).build().map_err(|why| Error::Settings(crate::ask::reason(&why)))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("user", &self.user).field("password", &"…").finish()
    }
}
