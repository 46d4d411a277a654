//! What Amazon SNS wants to be fetched: an address once before it sends anything, and the certificate by which it signs.

use std::time::Duration;

use musubi_channels::{Request, Source};

use ureq::http::Response;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body};

use crate::problem::Problem;

/// How long SNS may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest certificate, in bytes.
const LONGEST: u64 = 64 * 1_024;
/// How long SNS is to wait where its certificate could not be fetched, in seconds.
const LATER: u64 = 5;

/// Fetches the address, of which the channel has made sure that it is one of SNS. Where that fails, an operator can open
/// it: it stays good for three days.
pub(super) fn confirm(source: &str, address: &str) {
    match fetch(address) {
        Ok(_) => tracing::info!(source, "the subscription is confirmed"),
        Err(why) => {
            tracing::warn!(source, address, %why, "the subscription is not confirmed: open the address by hand")
        }
    }
}

/// Fetches the certificate that a request was signed with, where its source does not know it yet. Where that fails, the
/// request is to come again: whether it is signed nobody knows.
pub(super) fn certificate(source: &Source, request: &Request<'_>) -> Result<(), Problem> {
    certificate_by(source, request, |address| fetch(address)?.body_mut().with_config().limit(LONGEST).read_to_string())
}

fn certificate_by(
    source: &Source,
    request: &Request<'_>,
    fetch: impl FnOnce(&str) -> Result<String, ureq::Error>,
) -> Result<(), Problem> {
    let Some(address) = source.wants_certificate(request) else { return Ok(()) };
    let why = match fetch(&address) {
        Ok(pem) if source.learn(&address, &pem) => return Ok(()),
        Ok(_) => "what is there is no certificate".to_owned(),
        Err(why) => why.to_string(),
    };
    let source = source.settings().name.as_str();
    tracing::warn!(source, address, why, "the certificate of SNS cannot be fetched: it may stand in `secret` instead");
    Err(Problem::come_again(LATER, format!("the certificate `{address}` cannot be fetched: {why}")))
}

fn fetch(address: &str) -> Result<Response<Body>, ureq::Error> {
    let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder().tls_config(tls).https_only(true).max_redirects(0);
    let agent = config.timeout_global(Some(PATIENCE)).build().new_agent();
    agent.get(address).call()
}

#[cfg(test)]
mod tests {
    use musubi_channels::{Secrets, Settings};
    use musubi_core::time::Timestamp;

    use super::*;

    const SIGNED: &[u8] = include_bytes!("../../../channels/tests/fixtures/sns/notification-2.json");
    const CERTIFICATE: &str = include_str!("../../../channels/tests/fixtures/sns/signing.pem");

    fn request(body: &[u8]) -> Request<'_> {
        let received_at = Timestamp::from_micros(1_775_012_400_000_000);
        Request { method: "POST", path: "", query: "", headers: &[], body, received_at }
    }

    fn source() -> Source {
        let settings = r#"{"name":"mail","preset":"ses",
            "signature":{"sns":{"topics":["arn:aws:sns:ap-northeast-1:123456789012:mail"]}}}"#;
        let settings: Settings = serde_json::from_str(settings).expect("settings");
        Source::new(settings, None, Secrets::default()).expect("a source")
    }

    #[test]
    fn a_certificate_is_fetched_once_and_what_cannot_be_checked_is_to_come_again() {
        let source = source();
        let cannot = certificate_by(&source, &request(SIGNED), |_| Err(ureq::Error::HostNotFound));
        assert_eq!(cannot.map_err(|problem| problem.reason()), Err("too-much-waiting"), "no 4xx that is for good");
        let page = certificate_by(&source, &request(SIGNED), |_| Ok("<html>".into()));
        assert!(page.is_err_and(|problem| problem.detail().contains("no certificate")));
        let mut asked = Vec::new();
        let found = certificate_by(&source, &request(SIGNED), |address| {
            asked.push(address.to_owned());
            Ok(CERTIFICATE.into())
        });
        assert!(found.is_ok() && asked[0].starts_with("https://sns.ap-northeast-1.amazonaws.com/"), "{asked:?}");
        assert!(certificate_by(&source, &request(SIGNED), |_| panic!("it is known")).is_ok());
        assert!(certificate_by(&source, &request(b"{}"), |_| panic!("nobody says where")).is_ok());
        let outcome = source.take(&request(SIGNED));
        assert_eq!((outcome.answer.status, outcome.taken.touchpoints.len()), (200, 1));
    }

    #[test]
    fn nothing_is_fetched_in_the_clear() {
        assert!(matches!(fetch("http://127.0.0.1:9/"), Err(ureq::Error::RequireHttpsOnly(_))));
    }
}
