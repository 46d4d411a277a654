//! A client of an API that wants tokens: OAuth 2.0 with client credentials (RFC 6749, 4.4), tried again where that helps.

use std::fmt;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use musubi_channels::Secret;
use serde::Deserialize;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Response, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use super::pause::Pause;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest that an API may send us away for.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// The largest answer.
const LARGEST: u64 = 64 << 20;

/// How an API is met.
pub(super) struct Access {
    /// Where it is, without a slash at its end.
    pub(super) url: String,
    pub(super) token_url: String,
    pub(super) client_id: String,
    pub(super) secret: Secret,
    pub(super) scope: &'static str,
}

/// Why nothing came.
#[derive(Debug)]
pub(super) struct Failure {
    why: String,
    /// Whether it may pass, and how long the API wants to be left alone.
    again: Option<Option<Duration>>,
}

impl Failure {
    /// Something that may pass.
    pub(super) fn passing(why: &str) -> Self {
        Self { why: why.to_owned(), again: Some(None) }
    }

    /// Something that stays.
    pub(super) fn lasting(why: String) -> Self {
        Self { why, again: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

struct Token {
    bearer: String,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

/// A client that keeps its token until it expires or is refused.
pub(super) struct Client {
    access: Access,
    agent: Agent,
    token: Option<Token>,
    pause: Pause,
}

/// Whether a secret can be sent there: nobody reads along, or it stays on this machine.
pub(super) fn is_safe(url: &str) -> bool {
    let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    let is_local = |rest: &str| rest.is_empty() || rest.starts_with(':') || rest.starts_with('/');
    url.len() > "https://".len() && url.starts_with("https://")
        || local.iter().any(|local| url.strip_prefix(local).is_some_and(is_local))
}

impl Client {
    pub(super) fn new(access: Access, pause: Pause) -> Self {
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder().tls_config(tls).http_status_as_error(false).max_redirects(0);
        let agent = config.timeout_global(Some(PATIENCE)).build().new_agent();
        Self { access, agent, token: None, pause }
    }

    /// What stands at a path of the API; none, where there is no such thing. What may pass is tried again: after the time
    /// that the API names, and else after longer and longer times.
    pub(super) fn get(&mut self, path: &str, query: &[(&str, String)]) -> Result<Option<Value>, Failure> {
        let backoff = ExponentialBuilder::new().with_min_delay(Duration::from_millis(500)).with_factor(2.0);
        let mut delays = backoff.with_max_delay(Duration::from_secs(30)).with_max_times(6).with_jitter().build();
        loop {
            if self.pause.is_over() {
                return Err(Failure::passing("the process ends"));
            }
            let failure = match self.attempt(path, query) {
                Ok(found) => return Ok(found),
                Err(failure) => failure,
            };
            let (Some(asked), Some(delay)) = (failure.again, delays.next()) else { return Err(failure) };
            if !self.pause.wait(asked.map_or(delay, |asked| asked.min(LONGEST_WAIT))) {
                return Err(failure);
            }
        }
    }

    fn attempt(&mut self, path: &str, query: &[(&str, String)]) -> Result<Option<Value>, Failure> {
        let bearer = self.bearer()?;
        let request = self.agent.get(format!("{}{path}", self.access.url)).header(header::AUTHORIZATION, bearer);
        let query = query.iter().map(|(name, value)| (*name, value.as_str()));
        let answer = request.query_pairs(query).call().map_err(|why| Failure::passing(&why.to_string()))?;
        match answer.status() {
            StatusCode::OK => read(answer).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNAUTHORIZED => {
                self.token = None;
                Err(Failure::passing(&format!("`{path}` answered 401: the token is renewed")))
            }
            status => Err(refused(path, status, &answer)),
        }
    }

    /// The token, a fresh one where there is none that holds.
    fn bearer(&mut self) -> Result<String, Failure> {
        if let Some(token) = self.token.as_ref().filter(|token| Instant::now() < token.until) {
            return Ok(token.bearer.clone());
        }
        let mut pair = format!("{}:", self.access.client_id).into_bytes();
        pair.extend_from_slice(self.access.secret.reveal());
        let request = self.agent.post(&self.access.token_url);
        let request = request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
        let form = [("grant_type", "client_credentials"), ("scope", self.access.scope)];
        let answer = request.send_form(form).map_err(|why| Failure::passing(&why.to_string()))?;
        if answer.status() != StatusCode::OK {
            return Err(refused("the address of tokens", answer.status(), &answer));
        }
        let granted: Granted =
            serde_json::from_value(read(answer)?).map_err(|why| Failure::lasting(format!("the token: {why}")))?;
        // A tenth is left, so that none expires on its way.
        let holds = Duration::from_secs(granted.expires_in.min(86_400)) * 9 / 10;
        let bearer = format!("Bearer {}", granted.access_token);
        self.token = Some(Token { bearer: bearer.clone(), until: Instant::now() + holds });
        Ok(bearer)
    }
}

fn refused(what: &str, status: StatusCode, answer: &Response<ureq::Body>) -> Failure {
    let why = format!("`{what}` answered {}", status.as_u16());
    let passes =
        status.is_server_error() || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status);
    let asked = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Failure { why, again: passes.then_some(asked.map(Duration::from_secs)) }
}

fn read(mut answer: Response<ureq::Body>) -> Result<Value, Failure> {
    let body = answer.body_mut().with_config().limit(LARGEST).read_to_vec();
    let body = body.map_err(|why| Failure::passing(&why.to_string()))?;
    serde_json::from_slice(&body).map_err(|why| Failure::lasting(format!("wanted JSON, found {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_sent_in_the_clear() {
        assert!(is_safe("https://api.smaregi.jp") && is_safe("http://127.0.0.1:8080/x") && is_safe("http://[::1]"));
        for url in
            ["http://api.smaregi.jp", "http://127.0.0.1.example.com/", "http://localhost.jp", "https://", "ftp://a"]
        {
            assert!(!is_safe(url), "{url}");
        }
    }
}
