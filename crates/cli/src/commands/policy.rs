//! `musubi policy`: look at a policy file before it decides about anybody.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use musubi_core::normalise::{CheckDigit, Normaliser};
use musubi_core::policy::{ComputedRule, Conflict, Function, Limits, Namespace, Policy, Survivorship, TraitRule};

use crate::output;

/// Check a policy file, or print the recommended one.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print what a policy file says as it is understood; exit with 2 where it is no policy.
    Check {
        /// The policy file.
        file: PathBuf,
    },
    /// Print the recommended policy of a retailer, commented: the place to start from.
    Default,
}

/// Does what is wanted of the policy.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let answer = match &args.command {
        Command::Check { file } => explain(&read(file)?),
        Command::Default => Policy::default_text().to_owned(),
    };
    let mut out = output::stdout();
    out.write_all(answer.as_bytes()).and_then(|()| out.flush()).context("cannot write the answer")?;
    Ok(ExitCode::SUCCESS)
}

/// The policy in a file.
///
/// # Errors
/// Where the file cannot be read, or is no policy, with the line.
pub(crate) fn read(file: &Path) -> Result<Policy> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    Policy::parse(&text).with_context(|| format!("`{}`", file.display()))
}

/// The policy in a file, or the recommended one where there is none.
///
/// # Errors
/// As for [`read`].
pub(crate) fn read_or_recommended(file: Option<&Path>) -> Result<Policy> {
    file.map_or_else(|| Ok(Policy::recommended()), read)
}

/// What a policy says, for a person to read.
fn explain(policy: &Policy) -> String {
    let (values, patterns) = (policy.blocked.values().len(), policy.blocked.patterns().len());
    [
        format!("version  {}\n", policy.version),
        format!("blocked  {values} values, {patterns} patterns\n"),
        format!("limits   {}\n", limits(&policy.limits)),
        section("namespaces, strongest first", &namespaces(&policy.namespaces)),
        section("traits (what is not named is the newest)", &traits(&policy.traits)),
        section("computed traits", &computed(&policy.computed)),
    ]
    .concat()
}

/// A title and a table; nothing where the table has no rows but its head.
fn section(title: &str, rows: &[Vec<String>]) -> String {
    if rows.len() > 1 { format!("\n{title}\n{}", table(rows)) } else { String::new() }
}

/// Rows with their columns one under the other.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.fold(String::new(), |line, cell| line + "  " + &cell);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row<const CELLS: usize>(cells: [&str; CELLS]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn namespaces(namespaces: &[Namespace]) -> Vec<Vec<String>> {
    let head = [
        "name",
        "normalise",
        "unique",
        "max per person",
        "shared after",
        "max links",
        "conflict",
        "anonymous",
        "expires",
        "hash of",
    ];
    let show = |one: &Namespace| {
        vec![
            one.name.to_string(),
            normaliser(one.normalise),
            yes(one.unique).to_owned(),
            bound(one.max_per_person),
            bound(one.shared_after),
            one.max_links.to_string(),
            conflict(one.conflict).to_owned(),
            yes(one.anonymous).to_owned(),
            one.expires.map_or_else(|| "-".to_owned(), duration),
            one.hash_of.map_or_else(|| "-".to_owned(), |hash| namespaces[hash.plain.index()].name.to_string()),
        ]
    };
    std::iter::once(row(head)).chain(namespaces.iter().map(show)).collect()
}

fn traits(traits: &[TraitRule]) -> Vec<Vec<String>> {
    let show = |rule: &TraitRule| {
        vec![rule.name.to_string(), survivorship(rule.survivorship).to_owned(), rule.sources.join(", ")]
    };
    std::iter::once(row(["name", "survivorship", "sources"])).chain(traits.iter().map(show)).collect()
}

fn computed(rules: &[ComputedRule]) -> Vec<Vec<String>> {
    let show = |rule: &ComputedRule| {
        let of = rule.of.as_deref().unwrap_or("-").to_owned();
        let types = if rule.types.is_empty() { "all".to_owned() } else { rule.types.join(", ") };
        vec![rule.name.to_string(), function(rule.function), of, yes(rule.per_channel).to_owned(), types]
    };
    std::iter::once(row(["name", "function", "of", "per channel", "types"])).chain(rules.iter().map(show)).collect()
}

fn limits(limits: &Limits) -> String {
    format!(
        "{} identifiers in a cluster, {} in a touchpoint; copies known for {}; {} recent touchpoints with {}",
        limits.max_cluster,
        limits.max_identifiers_per_touchpoint,
        duration(limits.dedup_horizon),
        limits.recent_touchpoints,
        if limits.recent_properties.is_empty() { "no properties".into() } else { limits.recent_properties.join(", ") },
    )
}

/// Microseconds in the greatest unit of which they are a whole number, as a policy writes them.
fn duration(micros: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let unit = UNITS.iter().find(|(seconds, _)| micros.is_multiple_of(seconds * 1_000_000));
    unit.map_or_else(|| format!("{micros}µs"), |(seconds, name)| format!("{}{name}", micros / (seconds * 1_000_000)))
}

const fn yes(truth: bool) -> &'static str {
    if truth { "yes" } else { "-" }
}

fn bound(bound: Option<u32>) -> String {
    bound.map_or_else(|| "-".to_owned(), |bound| bound.to_string())
}

fn normaliser(normaliser: Normaliser) -> String {
    match normaliser {
        Normaliser::Exact => "exact".to_owned(),
        Normaliser::Text => "text".to_owned(),
        Normaliser::Email => "email".to_owned(),
        Normaliser::Phone(region) => format!("phone ({region})"),
        Normaliser::Digits => "digits".to_owned(),
        Normaliser::Card(CheckDigit::None) => "card".to_owned(),
        Normaliser::Card(CheckDigit::Jan) => "card (jan)".to_owned(),
        Normaliser::Card(CheckDigit::Luhn) => "card (luhn)".to_owned(),
        Normaliser::Uuid => "uuid".to_owned(),
        Normaliser::Sha256 => "sha256".to_owned(),
    }
}

const fn conflict(conflict: Conflict) -> &'static str {
    match conflict {
        Conflict::Newest => "newest",
        Conflict::Oldest => "oldest",
    }
}

const fn survivorship(survivorship: Survivorship) -> &'static str {
    match survivorship {
        Survivorship::Newest => "newest",
        Survivorship::Oldest => "oldest",
        Survivorship::SourcePriority => "source_priority",
        Survivorship::Max => "max",
        Survivorship::Min => "min",
        Survivorship::Union => "union",
    }
}

fn function(function: Function) -> String {
    match function {
        Function::Count => "count".to_owned(),
        Function::Sum => "sum".to_owned(),
        Function::Min => "min".to_owned(),
        Function::Max => "max".to_owned(),
        Function::First => "first".to_owned(),
        Function::Last => "last".to_owned(),
        Function::Distinct => "distinct".to_owned(),
        Function::LastN(count) => format!("last {count}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_one_under_the_other_and_no_line_ends_in_blanks() {
        let rows = [row(["name", "unique"]), row(["loyalty_card", "yes"]), row(["電話", "-"])];
        assert_eq!(table(&rows), "  name          unique\n  loyalty_card  yes\n  電話            -\n");
    }

    #[test]
    fn a_span_is_written_in_its_greatest_whole_unit() {
        let cases = [(30 * 86_400_000_000, "30d"), (36 * 3_600_000_000, "36h"), (90_000_000, "90s"), (7, "7µs")];
        for (micros, text) in cases {
            assert_eq!(duration(micros), text);
        }
    }

    #[test]
    fn every_namespace_and_rule_of_the_recommended_policy_is_told() {
        let policy = Policy::recommended();
        let told = explain(&policy);
        let names = policy.namespaces.iter().map(|namespace| &namespace.name);
        let names = names.chain(policy.traits.iter().map(|rule| &rule.name));
        for name in names.chain(policy.computed.iter().map(|rule| &rule.name)).chain([&policy.version]) {
            assert!(told.contains(&format!("  {name}")), "{name} is not in\n{told}");
        }
    }
}
