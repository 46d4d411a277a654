//! The doors of sources before a cluster: what is answered with 200 is on its topics, and what is not answered comes again.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use musubi_log::kafka;
use musubi_serve::{Sources, cluster, open_settings};
use musubi_tests::cluster::{Fixture, PATIENCE};

const SIGNED_IN: &str = r#"{"batch":[
    {"type":"page","messageId":"m1","anonymousId":"a1","timestamp":"2026-04-01T03:00:00Z"},
    {"type":"identify","messageId":"m2","anonymousId":"a1","userId":"u1","timestamp":"2026-04-01T03:00:01Z"}]}"#;

/// How many records wait on the topics that a stitcher reads.
fn waiting(fixture: &Fixture) -> Result<u64> {
    Ok(kafka::lag(&fixture.cluster.settings)?.iter().map(kafka::Lag::behind).sum())
}

#[test]
fn a_collector_before_a_cluster_answers_when_the_topics_have_what_was_sent() -> Result<()> {
    let fixture = Fixture::start(2)?;
    let sources = Sources::open([open_settings("segment")])?;
    let collecting = cluster::collect(&fixture.cluster, sources, "127.0.0.1:0".parse()?)?;
    let base = format!("http://{}", collecting.address());
    let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
    let agent = agent.build().new_agent();
    let post =
        |path: &str| -> Result<u16> { Ok(agent.post(format!("{base}{path}")).send(SIGNED_IN)?.status().as_u16()) };
    ensure!(post("/in/segment/v1/batch")? == 200);
    ensure!(waiting(&fixture)? == 2);
    if let Some(faults) = fixture.faults() {
        // The answer of the cluster is lost: the producer asks again, and what it sent stands there once.
        faults.lose_answers(ApiKey::Produce, 1);
        ensure!(post("/in/segment/v1/batch")? == 200);
        ensure!(waiting(&fixture)? == 4);
    }
    ensure!(post("/in/nobody")? == 404);
    let metrics = agent.get(format!("{base}/metrics")).call()?.body_mut().read_to_string()?;
    ensure!(metrics.contains("musubi_source_touchpoints_total{source=\"segment\"}"), "{metrics}");
    collecting.stop()?;
    Ok(())
}

#[test]
fn a_cluster_that_will_not_have_it_is_no_fault_of_the_sender_who_is_told_to_come_again() -> Result<()> {
    let fixture = Fixture::start(2)?;
    // Only the test broker refuses when it is told to.
    let Some(faults) = fixture.faults() else { return Ok(()) };
    let sources = Sources::open([open_settings("segment")])?;
    let collecting = cluster::collect(&fixture.cluster, sources, "127.0.0.1:0".parse()?)?;
    let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
    let agent = agent.build().new_agent();
    let url = format!("http://{}/in/segment/v1/batch", collecting.address());
    faults.refuse(ApiKey::Produce, ResponseError::TopicAuthorizationFailed, 8);
    let refused = agent.post(&url).send(SIGNED_IN)?;
    let wait = refused.headers().get("retry-after").and_then(|value| value.to_str().ok()).unwrap_or_default();
    ensure!(refused.status() == 503 && wait == "1", "{} {wait}", refused.status());
    faults.clear();
    // The producer may still believe what it was told a moment ago: so the sender comes again, as it was told to.
    let begun = Instant::now();
    loop {
        let status = agent.post(&url).send(SIGNED_IN)?.status();
        if status == 200 {
            break;
        }
        ensure!(status == 503 && begun.elapsed() < PATIENCE, "and then it is taken, but was answered {status}");
        std::thread::sleep(Duration::from_millis(100));
    }
    ensure!(waiting(&fixture)? >= 2, "what was answered with 200 is there");
    collecting.stop()?;
    Ok(())
}
