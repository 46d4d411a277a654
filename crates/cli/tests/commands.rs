//! The binary from outside: what it prints where, and how it exits.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// The binary with these arguments, told nothing by the environment.
fn musubi(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_musubi"));
    command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Result<Output> {
    Ok(musubi(arguments).output()?)
}

/// What a command that went well printed.
fn answer(arguments: &[&str]) -> Result<String> {
    let output = run(arguments)?;
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// What a command that could not run said of it.
fn refusal(arguments: &[&str]) -> Result<String> {
    let output = run(arguments)?;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
    Ok(String::from_utf8(output.stderr)?)
}

fn path(folder: &Path, name: &str) -> Result<String> {
    folder.join(name).into_os_string().into_string().ok().context("a path of UTF-8")
}

fn lines(text: &str) -> Result<Vec<Value>> {
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

const SMALL: [&str; 7] = ["generate", "--persons", "50", "--touchpoints", "400", "--seed", "7"];

#[test]
fn generate_writes_the_same_touchpoints_every_time_and_as_many_as_asked() -> Result<()> {
    let stream = answer(&SMALL)?;
    assert_eq!(stream, answer(&SMALL)?);
    let touchpoints = lines(&stream)?;
    assert!(touchpoints.len() >= 400, "and copies: {}", touchpoints.len());
    assert!(touchpoints.iter().all(|touchpoint| touchpoint["identifiers"].is_array()));
    assert_ne!(stream, answer(&[&SMALL[..], &["--shape", "b2b"]].concat())?);
    Ok(())
}

#[test]
fn generate_compresses_by_name_and_tells_the_truth_of_each_touchpoint_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (out, truth) = (path(folder.path(), "touchpoints.zst")?, path(folder.path(), "truth.gz")?);
    assert_eq!(answer(&[&SMALL[..], &["--out", &out, "--truth", &truth]].concat())?, "");
    let stream = String::from_utf8(zstd::decode_all(fs::File::open(&out)?)?)?;
    assert_eq!(stream, answer(&SMALL)?);
    let truth = std::io::read_to_string(flate2::read::MultiGzDecoder::new(fs::File::open(&truth)?))?;
    assert_eq!(lines(&truth)?.len(), 400);
    Ok(())
}

#[test]
fn generate_can_break_lines_on_purpose() -> Result<()> {
    let stream = run(&[&SMALL[..], &["--malformed", "0.5"]].concat())?.stdout;
    let broken = stream.split(|byte| *byte == b'\n').filter(|line| serde_json::from_slice::<Value>(line).is_err());
    assert!(broken.count() > 20);
    assert!(refusal(&[&SMALL[..], &["--malformed", "2"]].concat())?.starts_with("error: wanted a rate from 0 to 1"));
    Ok(())
}

#[test]
fn a_reader_that_has_seen_enough_ends_a_command_quietly() -> Result<()> {
    let arguments = ["generate", "--persons", "1000", "--touchpoints", "100000000"];
    let mut child = musubi(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut first = String::new();
    BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut first)?;
    let output = child.wait_with_output()?;
    assert!(first.starts_with('{'));
    assert_eq!((output.status.code(), String::from_utf8(output.stderr)?), (Some(0), String::new()));
    Ok(())
}

/// The map of a run that gave every user id its own person, from a stream.
fn map_of_logins(stream: &str) -> Result<String> {
    let touchpoints = lines(stream)?;
    let identifiers = touchpoints.iter().filter_map(|touchpoint| touchpoint["identifiers"].as_array()).flatten();
    let logins = identifiers.filter(|identifier| identifier["namespace"] == "user_id");
    let row = |login: &Value| {
        let value = login["value"].as_str().unwrap_or_default();
        format!("{{\"namespace\":\"user_id\",\"value\":\"{value}\",\"person_id\":\"of-{value}\"}}\n")
    };
    Ok(logins.map(row).collect())
}

#[test]
fn score_reads_what_generate_wrote_in_any_order_and_from_stdin() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (map, truth) = (path(folder.path(), "identity-map.ndjson")?, path(folder.path(), "truth")?);
    let stream = answer(&[&SMALL[..], &["--truth", &truth]].concat())?;
    fs::write(&map, map_of_logins(&stream)?)?;
    let touchpoints = path(folder.path(), "touchpoints.ndjson")?;
    fs::write(&touchpoints, &stream)?;
    let score = answer(&["score", "--truth", &truth, "--identity-map", &map, &touchpoints])?;
    let found: Value = serde_json::from_str(&score)?;
    let rate = |name: &str| found[name].as_f64().unwrap_or(-1.0);
    assert!(rate("precision") > 0.95 && rate("recall") > 0.0 && rate("recall") < 0.9, "{found}");
    assert_eq!(rate("touchpoints") + rate("nobody"), 400.0);
    assert_eq!(rate("missing"), 0.0);

    let reversed: Vec<&str> = stream.lines().rev().collect();
    let packed = zstd::encode_all(reversed.join("\n").as_bytes(), 1)?;
    let mut child = musubi(&["score", "--quiet", "--truth", &truth, "--identity-map", &map, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("a pipe")?.write_all(&packed)?;
    assert_eq!(String::from_utf8(child.wait_with_output()?.stdout)?, score);
    Ok(())
}

#[test]
fn score_says_which_file_and_line_it_cannot_read() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (map, truth) = (path(folder.path(), "map")?, path(folder.path(), "truth")?);
    fs::write(&map, "\n{\"namespace\":\"email\"}\n")?;
    fs::write(&truth, "")?;
    let said = refusal(&["score", "--truth", &truth, "--identity-map", &map, &truth])?;
    assert!(said.starts_with("error: `") && said.contains("map`, line 2: wanted a row of an identity map: "), "{said}");
    let said = refusal(&["score", "--truth", "nowhere", "--identity-map", &map, &truth])?;
    assert!(said.starts_with("error: cannot read `nowhere`: "), "{said}");
    Ok(())
}

#[test]
fn the_recommended_policy_is_printed_and_checked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = path(folder.path(), "policy.toml")?;
    let text = answer(&["policy", "default"])?;
    assert_eq!(text, musubi_core::policy::Policy::default_text());
    fs::write(&file, text)?;
    let understood = answer(&["policy", "check", &file])?;
    assert!(understood.starts_with("version  "), "{understood}");
    assert!(understood.contains("  loyalty_card            card  "), "{understood}");
    Ok(())
}

#[test]
fn a_policy_with_a_mistake_is_refused_with_its_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = path(folder.path(), "policy.toml")?;
    fs::write(&file, "[[namespace]]\nname = \"email\"\nuniqe = true\n")?;
    let said = refusal(&["policy", "check", &file])?;
    assert!(said.contains("policy.toml`: line 3: unknown key `uniqe`"), "{said}");
    Ok(())
}

#[test]
fn what_is_no_command_is_refused_and_help_is_an_answer() -> Result<()> {
    assert!(refusal(&["unheard-of"])?.contains("unrecognized subcommand"));
    assert!(refusal(&["--log", "a=b=c", "policy", "default"])?.starts_with("error: wanted a log filter"));
    assert!(answer(&["--help"])?.contains("generate"));
    Ok(())
}
