//! Scores of streams small enough to count by hand.

use std::fs;

use super::*;

const POLICY: &str = r#"
[[namespace]]
name = "user_id"
unique = true
[[namespace]]
name = "email"
[[namespace]]
name = "device_id"
shared_after = 2
"#;

/// A touchpoint of the source `s` with these identifiers.
fn touchpoint(event_id: &str, identifiers: &[(&str, &str)]) -> String {
    let identifiers = identifiers.iter().map(|(name, value)| format!(r#"{{"namespace":"{name}","value":"{value}"}}"#));
    let identifiers = identifiers.collect::<Vec<_>>().join(",");
    format!(
        r#"{{"source":"s","event_id":"{event_id}","channel":"web","type":"t","occurred_at":"2026-04-01T00:00:00Z","identifiers":[{identifiers}]}}"#
    )
}

fn truth(rows: &[(&str, Option<&str>)]) -> Vec<String> {
    let row = |(event_id, person): &(&str, Option<&str>)| {
        let person = person.map_or("null".to_owned(), |person| format!("\"{person}\""));
        format!(r#"{{"source":"s","event_id":"{event_id}","person":{person}}}"#)
    };
    rows.iter().map(row).collect()
}

fn identity(namespace: &str, value: &str, person: &str) -> String {
    format!(r#"{{"namespace":"{namespace}","value":"{value}","person_id":"{person}"}}"#)
}

/// What a judge says of these files' lines.
fn judged(truth: &[String], map: &[String], profiles: &[&str], touchpoints: &[String]) -> Result<serde_json::Value> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str, lines: String| -> Result<PathBuf> {
        let path = folder.path().join(name);
        fs::write(&path, lines)?;
        Ok(path)
    };
    let truth = Truth::read(&file("truth", truth.join("\n"))?)?;
    let deployment = DeploymentKey::derive(b"test");
    let mut persons = Persons::read(&file("map", map.join("\n"))?, &deployment)?;
    persons.read_shared(&file("profiles", profiles.join("\n"))?)?;
    let mut judge = Judge::new(Policy::parse(POLICY)?, deployment, truth, persons);
    judge.read_all(Inputs::new(vec![file("touchpoints", touchpoints.join("\n"))?])?, true)?;
    Ok(serde_json::from_str(&judge.answer())?)
}

#[test]
fn a_touchpoint_goes_to_the_person_of_its_strongest_identifier() -> Result<()> {
    let truth = truth(&[("1", Some("p-1")), ("2", Some("p-1")), ("3", Some("p-2"))]);
    let map = [identity("user_id", "a", "A"), identity("user_id", "b", "B"), identity("email", "a@b.jp", "A")];
    // Out of the truth's order, and with a copy that must not count twice.
    let touchpoints = [
        touchpoint("3", &[("user_id", "b"), ("email", "a@b.jp")]),
        touchpoint("1", &[("user_id", "a")]),
        touchpoint("1", &[("user_id", "a")]),
        touchpoint("2", &[("email", "A@B.JP")]),
    ];
    let score = judged(&truth, &map, &[], &touchpoints)?;
    assert_eq!((&score["precision"], &score["recall"]), (&1.into(), &1.into()), "{score}");
    assert_eq!((&score["touchpoints"], &score["pairs_true"], &score["other_lines"]), (&3.into(), &1.into(), &1.into()));
    Ok(())
}

#[test]
fn a_shared_device_is_passed_over_where_somebody_else_is_named() -> Result<()> {
    let truth = truth(&[("1", Some("p-1")), ("2", Some("p-1")), ("3", Some("p-2")), ("4", Some("p-2"))]);
    let map = [identity("email", "shop@x.jp", "S"), identity("device_id", "d", "D"), identity("device_id", "e", "E")];
    let touchpoints = [
        touchpoint("1", &[("email", "shop@x.jp"), ("device_id", "d")]),
        touchpoint("2", &[("device_id", "d")]),
        touchpoint("3", &[("email", "shop@x.jp"), ("device_id", "e")]),
        touchpoint("4", &[("email", "shop@x.jp")]),
    ];
    let shared = [r#"{"person_id":"D"}"#, r#"{"person_id":"S","shared":true}"#, r#"{"person_id":"E"}"#];
    let score = judged(&truth, &map, &shared, &touchpoints)?;
    assert_eq!(
        (&score["pairs_true"], &score["pairs_predicted"], &score["pairs_both"]),
        (&2.into(), &1.into(), &1.into())
    );
    let blind = judged(&truth, &map, &[], &touchpoints)?;
    assert_eq!((&blind["pairs_predicted"], &blind["pairs_both"]), (&3.into(), &1.into()), "1, 3 and 4 are at the shop");
    Ok(())
}

#[test]
fn what_was_refused_costs_recall_and_what_is_nobodys_counts_nowhere() -> Result<()> {
    let truth = truth(&[("1", Some("p-1")), ("2", Some("p-1")), ("3", Some("p-1")), ("4", None), ("5", Some("p-1"))]);
    let map = [identity("user_id", "a", "A"), identity("user_id", "b", "B")];
    let touchpoints = [
        touchpoint("1", &[("user_id", "a")]),
        touchpoint("2", &[("user_id", "a"), ("user_id", "b")]),
        touchpoint("3", &[("device_id", "forgotten")]),
        touchpoint("4", &[("user_id", "a")]),
        "no touchpoint".to_owned(),
        touchpoint("unheard of", &[("user_id", "a")]),
    ];
    let score = judged(&truth, &map, &[], &touchpoints)?;
    let count = |name: &str| score[name].as_u64().unwrap_or(u64::MAX);
    let counts = ["touchpoints", "unresolved", "nobody", "other_lines", "missing", "pairs_true", "pairs_predicted"];
    assert_eq!(counts.map(count), [3, 2, 1, 2, 1, 3, 0], "{score}");
    Ok(())
}

#[test]
fn profiles_are_looked_for_beside_an_identity_map_of_the_usual_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let map = folder.path().join("identity-map.ndjson");
    assert_eq!(beside(&map), None);
    fs::write(folder.path().join("profiles.ndjson"), "")?;
    assert_eq!(beside(&map), Some(folder.path().join("profiles.ndjson")));
    assert_eq!(beside(&folder.path().join("other.ndjson")), None);
    Ok(())
}

#[test]
fn a_row_that_is_none_names_its_line() -> Result<()> {
    let error = judged(&["{}".to_owned()], &[], &[], &[]).err().context("no truth")?;
    assert!(
        format!("{error:#}").contains("truth`, line 1: wanted a row of a truth: missing field `source`"),
        "{error:#}"
    );
    Ok(())
}
