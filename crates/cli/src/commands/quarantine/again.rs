//! What becomes of something that was set aside when it is taken again: decided from the record and the source alone.

use musubi_channels::{Record, Source, Taken};
use musubi_core::time::Timestamp;
use musubi_core::touchpoint::Touchpoint;
use musubi_schema::{Parser, is_directive, parse_time};

use super::Kept;

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It is these touchpoints.
    Touchpoints(Vec<Touchpoint>),
    /// It is a directive, as a line.
    Directive(Vec<u8>),
    /// It cannot be taken, and why.
    No(String),
}

impl Again {
    /// In a few words.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Touchpoints(touchpoints) if touchpoints.len() == 1 => "a touchpoint".to_owned(),
            Self::Touchpoints(touchpoints) => format!("{} touchpoints", touchpoints.len()),
            Self::Directive(_) => "a directive".to_owned(),
            Self::No(why) => why.clone(),
        }
    }
}

/// Reasons of what did not prove to be its sender's.
const STRANGERS: [&str; 6] =
    ["bad-key", "missing-signature", "bad-signature", "stale-signature", "foreign-topic", "suspicious-handshake"];
/// Reasons of rows whose digits or characters a spreadsheet has lost: no setting brings them back.
const BROKEN_ROWS: [&str; 4] = ["invalid-encoding", "invalid-date", "lost-digits", "extra-columns"];
/// Reasons of payloads that were set aside whole, where another reason means one item of them.
const WHOLE: [&str; 4] = ["invalid-json", "invalid-gzip", "too-large", "too-many-items"];

/// What becomes of it, its source being what `source` gives for its name.
pub(super) fn decide(kept: &Kept, trust: bool, source: impl FnOnce(&str) -> Option<Source>) -> Again {
    let reason = kept.reason.as_str();
    if reason == "conflicting-duplicate" {
        return Again::No("the first of two events with one id stands; give the second an id of its own".to_owned());
    }
    if STRANGERS.contains(&reason) && !trust {
        return Again::No("it did not prove to be its sender's (`--trust` takes it all the same)".to_owned());
    }
    let Some(received_at) = parse_time(&kept.time) else {
        return Again::No(format!("wanted a time of receipt, found `{}`", kept.time));
    };
    if is_directive(&kept.original) {
        return Again::Directive(kept.original.clone());
    }
    if let Ok(mut touchpoint) = Parser::new().parse_touchpoint(&kept.original) {
        touchpoint.received_at.get_or_insert(received_at);
        return Again::Touchpoints(vec![touchpoint]);
    }
    if BROKEN_ROWS.contains(&reason) {
        return Again::No("the row itself is broken: mend the file and take it in again".to_owned());
    }
    match kept.source.as_deref().and_then(source) {
        Some(source) => mapped(kept, &source, received_at),
        None => {
            let name = kept.source.as_deref().unwrap_or("?");
            Again::No(format!("it is no touchpoint, and no source `{name}` is configured that could read it"))
        }
    }
}

fn mapped(kept: &Kept, source: &Source, received_at: Timestamp) -> Again {
    let is_whole = WHOLE.contains(&kept.reason.as_str())
        || STRANGERS.contains(&kept.reason.as_str())
        || kept.detail.starts_with("items: ");
    let taken = if let Some(envelope) = &kept.envelope {
        source.take_whole(&kept.original, envelope, received_at)
    } else if is_whole {
        // Set aside before envelopes were kept.
        let (partition, offset) = kept.id.split_once(':').unwrap_or_default();
        let position = ("quarantine", partition.parse().unwrap_or_default(), offset.parse().unwrap_or_default());
        source.take_record(&Record { position, key: None, value: Some(&kept.original), headers: &[], received_at })
    } else {
        source.take_item(&kept.original, received_at)
    };
    match taken {
        Taken { touchpoints, set_aside } if set_aside.is_empty() && !touchpoints.is_empty() => {
            Again::Touchpoints(touchpoints)
        }
        Taken { set_aside, .. } => match set_aside.first() {
            Some(aside) => Again::No(format!("{}: {}", aside.reason, aside.detail)),
            None => Again::No("the mapping makes nothing of it".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use musubi_channels::{Secrets, Settings};

    use super::*;

    const LINE: &str = r#"{"source":"till","event_id":"r-1","channel":"store","type":"store_visited","occurred_at":"2026-04-01T10:00:00Z","identifiers":[{"namespace":"loyalty_card","value":"4901"}]}"#;

    fn kept(reason: &str, original: &str) -> Kept {
        Kept {
            id: "0:7".into(),
            time: "2026-04-01T12:00:00Z".into(),
            source: Some("till".into()),
            event_id: None,
            reason: reason.into(),
            detail: String::new(),
            file: None,
            line: None,
            original: original.as_bytes().to_vec(),
            envelope: None,
        }
    }

    fn till(_: &str) -> Option<Source> {
        let settings = r#"{"name":"till","open":true,"fields":{"event_id":["id"],"type":"x","identifiers":{"card":"loyalty_card"}}}"#;
        let settings: Settings = serde_json::from_str(settings).expect("settings");
        Some(Source::new(settings, None, Secrets::default()).expect("a source"))
    }

    fn told(kept: &Kept, trust: bool) -> String {
        decide(kept, trust, till).told()
    }

    #[test]
    fn a_line_of_our_own_is_a_touchpoint_received_when_it_first_came() {
        let Again::Touchpoints(found) = decide(&kept("unknown-namespaces", LINE), false, |_| None) else {
            panic!("a touchpoint")
        };
        assert_eq!(found[0].received_at, parse_time("2026-04-01T12:00:00Z"));
    }

    #[test]
    fn what_cannot_be_mended_says_so() {
        let cases = [
            ("conflicting-duplicate", LINE, "the first of two events"),
            ("bad-signature", "{}", "did not prove to be its sender's"),
            ("lost-digits", r#"{"card":"4.9E+12"}"#, "the row itself is broken"),
            ("invalid-json", "{", "invalid-json"),
        ];
        for (reason, original, expected) in cases {
            let said = told(&kept(reason, original), false);
            assert!(said.contains(expected), "{reason}: {said}");
        }
        let unknown = decide(&kept("unmappable", "{}"), false, |_| None).told();
        assert!(unknown.contains("no source `till` is configured"), "{unknown}");
    }

    #[test]
    fn what_a_source_could_not_map_is_mapped_by_the_source_as_it_is_now_and_twice_alike() {
        let item = kept("unmappable", r#"{"data":{"id":"7","card":"4901"}}"#);
        let one = decide(&item, false, till);
        assert!(matches!(&one, Again::Touchpoints(found) if found.len() == 1), "{one:?}");
        assert_eq!(one, decide(&item, false, till), "so that a second retry is a copy");
    }

    #[test]
    fn a_payload_with_its_headers_is_mapped_as_it_would_have_been() {
        let shop = |_: &str| {
            let settings = serde_json::from_str(r#"{"name":"shop","preset":"shopify","open":true}"#).expect("settings");
            Some(Source::new(settings, None, Secrets::default()).expect("a source"))
        };
        let order = Kept {
            envelope: Some(
                r#"{"headers":{"x-shopify-topic":"orders/create","x-shopify-event-id":"ev-1"},"query":{},"path":""}"#
                    .into(),
            ),
            ..kept("bad-signature", r#"{"id":7,"email":"hanako@shop.example","created_at":"2026-04-01T11:00:00Z"}"#)
        };
        let Again::Touchpoints(found) = decide(&order, true, shop) else { panic!("touchpoints") };
        assert_eq!((found[0].kind.as_ref(), found[0].event_id.as_ref()), ("order_completed", "orders/create:7:ev-1"));
        let bare = Kept { envelope: None, ..order };
        let Again::Touchpoints(found) = decide(&bare, true, shop) else { panic!("touchpoints") };
        assert_eq!(found[0].kind.as_ref(), "received", "without its headers nobody knows what it was");
    }

    #[test]
    fn what_strangers_sent_is_taken_where_an_operator_trusts_it() {
        let stranger = kept("bad-key", r#"{"id":"7","card":"4901"}"#);
        assert!(told(&stranger, false).contains("--trust"));
        assert_eq!(told(&stranger, true), "a touchpoint");
    }
}
