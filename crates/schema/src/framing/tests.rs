//! Every record through every framing, and any bytes at all.

use musubi_core::directive::Directive;
use musubi_core::touchpoint::Touchpoint;
use proptest::prelude::*;

use super::*;
use crate::avro::{decode_directive, decode_touchpoint, to_json_with};
use crate::{Parser, Registered, Writers, samples};

/// Numbers that differ from topic to topic, and in every byte.
fn ids() -> Ids {
    Ids::try_of(|topic| Ok::<_, ()>(0x0102_0300 + topic as u32)).expect("it gives a number for each")
}

fn framings() -> [Framing; 4] {
    [Framing::SingleObject, Framing::Confluent(ids()), Framing::Json(None), Framing::Json(Some(ids()))]
}

fn writers(framing: &Framing) -> Writers {
    let mut writers = Writers::default();
    writers.add_ours(framing);
    writers
}

fn encoded(framing: &Framing, record: Record<'_>) -> Vec<u8> {
    let mut out = b"before".to_vec();
    framing.encode(&record, &mut out).expect("a record fits its schema");
    out.split_off(6)
}

fn touchpoint(bytes: &[u8], writers: &Writers) -> Result<Touchpoint, Error> {
    decode_touchpoint(bytes, &mut Parser::new(), writers)
}

fn directive(bytes: &[u8], writers: &Writers) -> Result<Directive, Error> {
    decode_directive(bytes, &mut Parser::new(), writers)
}

#[test]
fn every_record_comes_back_from_every_framing() {
    for framing in framings() {
        samples::each_record(|record| {
            let (mut direct, mut through) = (Vec::new(), Vec::new());
            record.render(&mut direct);
            let bytes = encoded(&framing, record);
            to_json_with(record.topic(), &bytes, &writers(&framing), &mut through).expect("what we wrote");
            assert_eq!(String::from_utf8(through), String::from_utf8(direct), "{framing:?}");
        });
        for one in samples::directives() {
            assert_eq!(directive(&encoded(&framing, Record::Directive(&one)), &writers(&framing)).expect("ours"), one);
        }
    }
}

#[test]
fn a_number_stands_before_the_body_as_clients_of_a_registry_want_it() {
    let identifier = samples::identifier("email", "a@x.jp");
    let record = Record::Identity(&identifier, None);
    assert_eq!(encoded(&Framing::Confluent(ids()), record), b"\x00\x01\x02\x03\x04\x0aemail\x0ca@x.jp\x00");
    let json = r#"{"namespace":"email","value":"a@x.jp","person_id":null}"#;
    assert_eq!(encoded(&Framing::Json(None), record), json.as_bytes());
    assert_eq!(encoded(&Framing::Json(Some(ids())), record), [b"\x00\x01\x02\x03\x04", json.as_bytes()].concat());
}

#[test]
fn numbers_end_with_the_first_that_is_missing() {
    let mut asked = Vec::new();
    let tried = Ids::try_of(|topic| {
        asked.push(topic);
        if topic == Topic::Profiles { Err(topic) } else { Ok(1) }
    });
    assert_eq!(tried, Err(Topic::Profiles));
    assert_eq!(asked.len(), 4);
}

#[test]
fn json_may_begin_with_blanks_and_is_held_to_the_rules_of_a_line() {
    let nobody = Writers::default();
    let line = format!("\n {} \n", samples::FULL);
    assert_eq!(touchpoint(line.as_bytes(), &nobody).expect("a touchpoint"), samples::touchpoint());
    let Err(Error::Malformed(refused)) = touchpoint(br#"{"source":"pos","event_id":"e-1"}"#, &nobody) else {
        panic!("wanted a refusal");
    };
    assert_eq!((refused.reason, refused.event_id.as_deref()), ("missing-field", Some("e-1")));
    assert!(matches!(touchpoint(b"[]", &nobody), Err(Error::Unframed(_))));
}

#[test]
fn a_tail_of_json_topics_shows_only_what_is_json_on_one_line() {
    let shown = |text: &str| {
        let mut out = Vec::new();
        to_json_with(Topic::Redirects, text.as_bytes(), &Writers::default(), &mut out).map(|()| out)
    };
    assert_eq!(shown(" {\"from\":\"a\"} ").expect("JSON"), br#"{"from":"a"}"#);
    assert!(matches!(shown("{\"from\":\"a\""), Err(Error::Malformed(_))));
    assert!(matches!(shown("{\"from\":\n\"a\"}"), Err(Error::Malformed(_))));
}

proptest! {
    #[test]
    fn a_touchpoint_comes_back_from_every_framing(one in samples::touchpoints()) {
        for framing in framings() {
            let bytes = encoded(&framing, Record::Touchpoint(&one));
            prop_assert_eq!(touchpoint(&bytes, &writers(&framing)).expect("ours"), one.clone());
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), start in 0usize..6) {
        let mut writers = writers(&Framing::Confluent(ids()));
        let evolved = Topic::Touchpoints.text().replace("\"default\": null", "\"default\": null, \"order\": \"ignore\"");
        let renamed = evolved.replace("\"household\"", "\"house\"");
        writers.add(Topic::Touchpoints, 7, &Registered::Avro(renamed));
        writers.add(Topic::Touchpoints, 8, &Registered::Json);
        let mut header = encoded(&Framing::SingleObject, Record::Touchpoint(&samples::touchpoint()));
        header.truncate(HEADER);
        let starts: [&[u8]; 6] =
            [b"", &header, &prefix(ids().of(Topic::Touchpoints)), &prefix(7), &prefix(8), b"{"];
        let bytes = [starts[start], &bytes].concat();
        drop(touchpoint(&bytes, &writers));
        drop(directive(&bytes, &writers));
        for topic in Topic::ALL {
            drop(to_json_with(topic, &bytes, &writers, &mut Vec::new()));
        }
    }

    #[test]
    fn a_record_with_a_wrong_byte_makes_no_decoder_panic(
        framing in 0usize..4, place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let framing = &framings()[framing];
        let mut bytes = encoded(framing, Record::Touchpoint(&samples::touchpoint()));
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if cut {
            bytes.truncate(place);
        }
        drop(touchpoint(&bytes, &writers(framing)));
    }
}
