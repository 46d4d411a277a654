//! The address that Amazon SNS wants to be fetched once before it sends anything.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

/// How long SNS may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Fetches the address, of which the channel has made sure that it is one of SNS. Where that fails, an operator can open
/// it: it stays good for three days.
pub(super) fn confirm(source: &str, address: &str) {
    match fetch(address) {
        Ok(()) => tracing::info!(source, "the subscription is confirmed"),
        Err(why) => {
            tracing::warn!(source, address, %why, "the subscription is not confirmed: open the address by hand")
        }
    }
}

fn fetch(address: &str) -> Result<(), ureq::Error> {
    let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder().tls_config(tls).https_only(true).max_redirects(0);
    let agent = config.timeout_global(Some(PATIENCE)).build().new_agent();
    agent.get(address).call().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_fetched_in_the_clear() {
        assert!(matches!(fetch("http://127.0.0.1:9/"), Err(ureq::Error::RequireHttpsOnly(_))));
    }
}
