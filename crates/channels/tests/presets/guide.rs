//! The examples of the guide, as a reader would copy them.

use musubi_channels::files::Rows;
use musubi_channels::samples::SAMPLES;
use musubi_channels::{Row, Scheme, Secret, Secrets, Settings, Source};
use serde::Deserialize;

use crate::common::{post, received};

const GUIDE: &str = include_str!("../../README.md");

#[derive(Deserialize)]
struct Configuration {
    source: Vec<Settings>,
}

/// Every source of the guide.
fn sources() -> Vec<Settings> {
    let blocks = GUIDE.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let read = |block: &str| toml::from_str::<Configuration>(block).unwrap_or_else(|why| panic!("{why}\n{block}"));
    blocks.flat_map(|block| read(block).source).collect()
}

/// A source of the guide, with secrets for those that it asks for.
fn ready(settings: Settings) -> Source {
    let key = settings.key.as_ref().map(|_| Secret::new("key"));
    let signing = settings.secret.iter().map(|_| Secret::new("secret")).collect();
    Source::new(settings, None, Secrets { key, signing }).unwrap_or_else(|why| panic!("{why}"))
}

/// The same without its door.
fn open(settings: &Settings) -> Source {
    let settings = Settings { open: true, key: None, signature: Some(Scheme::None), ..settings.clone() };
    Source::new(settings, None, Secrets::default()).unwrap_or_else(|why| panic!("{why}"))
}

#[test]
fn every_source_of_the_guide_stands_and_asks_for_its_key_or_signature() {
    let all = sources();
    assert_eq!(all.len(), 8, "one for each tier, and more");
    for settings in all.into_iter().filter(|settings| settings.preset.as_deref() != Some("csv")) {
        let name = settings.name.clone();
        let outcome = post(&ready(settings), "", &[], b"{}");
        assert!(!outcome.proven && outcome.taken.touchpoints.is_empty(), "{name}: {outcome:?}");
    }
}

#[test]
fn every_source_of_the_guide_takes_what_its_sender_sends() {
    for settings in sources().into_iter().filter(|settings| settings.preset.as_deref() != Some("csv")) {
        let preset = settings.preset.as_deref().unwrap_or("webhook");
        let sample = SAMPLES.iter().find(|sample| sample.preset == preset).expect("a sample of each preset");
        let taken = sample.take(&open(&settings)).taken;
        assert_eq!((taken.touchpoints.len(), taken.set_aside), (sample.touchpoints, vec![]), "{}", settings.name);
        assert!(taken.touchpoints.iter().all(|touchpoint| touchpoint.source.as_ref() == settings.name));
    }
}

#[test]
fn the_till_of_the_guide_takes_its_file() {
    let settings = sources().into_iter().find(|settings| settings.name == "ginza-pos").expect("the till");
    let text = "店舗,レシート,営業日,時刻,金額,会員番号,電話,氏名\n銀座,17,20260401,25:30,3300,490123456789,03-1234-5678,山田 花子\n";
    let (file, _, _) = encoding_rs::SHIFT_JIS.encode(text);
    let source = open(&settings);
    let rows = Rows::new(file.as_ref(), &settings.csv).expect("headings");
    let taken: Vec<_> = rows
        .map(|line| line.expect("a row"))
        .map(|line| source.take_row(&Row { file: "pos.csv", sha256: "", line: &line, received_at: received() }))
        .collect();
    let touchpoint = &taken[0].touchpoints[0];
    assert_eq!(touchpoint.event_id.as_ref(), "銀座:17:2026-04-01");
    let card = touchpoint.identifiers.iter().find(|(namespace, _)| namespace.as_ref() == "loyalty_card");
    assert_eq!(card.expect("a card").1.as_ref(), "0490123456789", "the zero that a spreadsheet took is back");
}
