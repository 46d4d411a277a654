//! Sources, requests, and what became of them in a form that a person can read.

use musubi_channels::{Outcome, Request, Secret, Secrets, Settings, Source, Taken};
use musubi_core::time::Timestamp;
use musubi_schema::{parse_time, render_touchpoint};

/// When everything is received, unless a test says otherwise.
pub(crate) fn received() -> Timestamp {
    parse_time("2026-04-01T03:00:00Z").expect("an instant")
}

/// An open source of these settings, which have a `preset` and what differs.
pub(crate) fn open(settings: &str) -> Source {
    let settings: Settings = toml::from_str(&format!("name = \"s\"\nopen = true\n{settings}")).expect("settings");
    Source::new(settings, None, Secrets::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// A source with a signing secret.
pub(crate) fn signed(settings: &str, secret: &str) -> Source {
    let settings: Settings = toml::from_str(&format!("name = \"s\"\n{settings}")).expect("settings");
    let secrets = Secrets { key: None, signing: vec![Secret::new(secret)] };
    Source::new(settings, None, secrets).unwrap_or_else(|error| panic!("{error}"))
}

/// A source with a key.
pub(crate) fn keyed(settings: &str, key: &str) -> Source {
    let settings: Settings = toml::from_str(&format!("name = \"s\"\n{settings}")).expect("settings");
    let secrets = Secrets { key: Some(Secret::new(key)), signing: Vec::new() };
    Source::new(settings, None, secrets).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn post(source: &Source, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Outcome {
    source.take(&Request { method: "POST", path, query: "", headers, body, received_at: received() })
}

/// What a payload becomes: a touchpoint a paragraph, then what was set aside.
pub(crate) fn told(taken: &Taken) -> String {
    let mut out = String::new();
    for touchpoint in &taken.touchpoints {
        let mut line = Vec::new();
        render_touchpoint(touchpoint, &mut line);
        let line: serde_json::Value = serde_json::from_slice(&line).expect("canonical JSON");
        let said = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        out += &format!("{} {} {} {}\n", said("channel"), said("type"), said("event_id"), said("occurred_at"));
        let identifiers: Vec<String> =
            touchpoint.identifiers.iter().map(|(namespace, value)| format!("{namespace}:{value}")).collect();
        out += &format!("  ids {}\n", identifiers.join(" "));
        for part in ["traits", "properties", "consent", "context"] {
            if line[part].as_object().is_some_and(|part| !part.is_empty()) {
                out += &format!("  {part} {}\n", line[part]);
            }
        }
    }
    for aside in &taken.set_aside {
        let item = aside.item.map_or_else(|| "whole".into(), |item| format!("item {item}"));
        let id = aside.event_id.as_deref().unwrap_or("?");
        out += &format!("aside {item} {id} {}: {}\n", aside.reason, aside.detail);
    }
    out
}

/// What a body becomes at an open source of a preset.
pub(crate) fn of(settings: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let outcome = post(&open(settings), path, headers, body.as_bytes());
    assert_eq!(outcome.answer.status, 200);
    told(&outcome.taken)
}
