//! What may depend on what, and what may stand at the top level.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::Table;

/// Every crate of the workspace with the crates of the workspace that it may depend on, each after those beneath it.
/// `cli`, `tests` and `benches` may know everybody, and nobody may know them.
const LAYERS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("log", &[]),
    ("generator", &[]),
    ("broker", &[]),
    ("schema", &["core"]),
    ("channels", &["core", "schema"]),
    ("registry", &["schema"]),
    ("store", &["core"]),
    ("stitcher", &["core", "schema", "store", "log"]),
    ("simulator", &["core", "schema", "store", "log", "stitcher"]),
    ("serve", &["core", "schema", "channels", "store", "log", "stitcher"]),
    ("cli", EVERYBODY),
    ("tests", EVERYBODY_AND_THE_BROKER),
    ("benches", EVERYBODY_AND_THE_BROKER),
];

/// What the tests of any crate may use beside: it makes touchpoints, and depends on nobody.
const FOR_TESTS: &str = "generator";

const EVERYBODY: &[&str] =
    &["core", "schema", "channels", "registry", "store", "log", "stitcher", "simulator", "serve", "generator"];

/// The test broker ships in no binary, so `cli` is not among those who may know it.
const EVERYBODY_AND_THE_BROKER: &[&str] = &[
    "broker",
    "core",
    "schema",
    "channels",
    "registry",
    "store",
    "log",
    "stitcher",
    "simulator",
    "serve",
    "generator",
];

/// What is seen at the top level by someone who lists it.
const TOP_LEVEL: &[&str] =
    &["Cargo.toml", "Cargo.lock", "README.md", "benches", "crates", "deploy", "schemas", "tests"];

/// The work of others that the core may use: none of it touches the world.
const PURE: &[&str] = &[
    "bigdecimal",
    "blake3",
    "idna",
    "petgraph",
    "phonenumber",
    "regex",
    "rustc-hash",
    "serde",
    "sha2",
    "thiserror",
    "toml",
    "unicode-normalization",
];

#[test]
fn every_crate_depends_only_on_those_beneath_it() {
    let wrong: Vec<String> = members().iter().flat_map(|member| wrong_edges(&manifest(member))).collect();
    assert!(wrong.is_empty(), "wrong edges in the crate graph:\n{}", wrong.join("\n"));
}

#[test]
fn a_wrong_edge_is_named() {
    let manifest =
        "[package]\nname = \"musubi-core\"\n[target.'cfg(unix)'.dev-dependencies]\nlog = { package = \"musubi-log\" }";
    let manifest = manifest.parse().expect("it is TOML");
    assert_eq!(wrong_edges(&manifest), ["`core` -> `log` in [dev-dependencies]"]);
}

#[test]
fn the_layers_have_no_cycle_and_name_only_what_is_there() {
    let there: BTreeSet<String> = members().iter().map(|member| short_name(&manifest(member))).collect();
    let mut beneath = BTreeSet::new();
    for (layer, allowed) in LAYERS {
        assert!(there.contains(*layer), "`{layer}` is in LAYERS and not in the workspace");
        let above: Vec<&&str> = allowed.iter().filter(|used| !beneath.contains(*used)).collect();
        assert!(above.is_empty(), "`{layer}` may use {above:?}, which LAYERS has not named before it");
        beneath.insert(*layer);
    }
}

#[test]
fn the_core_uses_nothing_that_touches_the_world() {
    let used = dependencies(&manifest(&root().join("crates/core")), "dependencies");
    let strange: Vec<&String> = used.iter().filter(|used| !PURE.contains(&used.as_str())).collect();
    assert!(strange.is_empty(), "`core` uses {strange:?}: does it touch the world? If not, add it to PURE");
}

#[test]
fn every_crate_stands_under_the_lints_of_the_workspace() {
    for manifest in members().iter().map(|member| manifest(member)) {
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
        assert_eq!(inherits, Some(true), "`{}` wants `[lints] workspace = true`", short_name(&manifest));
    }
}

#[test]
fn the_top_level_holds_eight_names_and_no_more() {
    let names: BTreeSet<String> = top_level().into_iter().filter(|name| !name.starts_with('.')).collect();
    let wanted: BTreeSet<String> = TOP_LEVEL.iter().map(|name| (*name).to_owned()).collect();
    let strange: Vec<&String> = names.difference(&wanted).collect();
    let missing: Vec<&String> = wanted.difference(&names).collect();
    assert!(strange.is_empty() && missing.is_empty(), "at the top level: unwanted {strange:?}, missing {missing:?}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package stands in the workspace").to_owned()
}

/// What stands at the top level: what git holds, since people work here too; where there is no git, what is there but
/// for cargo's `target`.
fn top_level() -> BTreeSet<String> {
    let git = std::process::Command::new("git").arg("-C").arg(root()).args(["ls-files", "-z"]).output();
    if let Some(listed) = git.ok().filter(|git| git.status.success() && !git.stdout.is_empty()) {
        let paths = String::from_utf8_lossy(&listed.stdout).into_owned();
        return paths.split_terminator('\0').filter_map(|path| Some(path.split('/').next()?.to_owned())).collect();
    }
    let entries = std::fs::read_dir(root()).expect("the workspace can be listed");
    let names = entries.map(|entry| entry.expect("an entry can be read").file_name().to_string_lossy().into_owned());
    names.filter(|name| name != "target").collect()
}

/// The directories of the packages: each crate, the stories with their broker, and the benches.
fn members() -> Vec<PathBuf> {
    let crates = std::fs::read_dir(root().join("crates")).expect("the crates can be listed");
    let crates = crates.map(|entry| entry.expect("an entry can be read").path());
    let mut members: Vec<PathBuf> = crates.filter(|path| path.join("Cargo.toml").is_file()).collect();
    members.extend(["tests", "tests/broker", "benches"].map(|package| root().join(package)));
    members
}

fn manifest(member: &Path) -> Table {
    let text = std::fs::read_to_string(member.join("Cargo.toml")).expect("a package has a manifest");
    text.parse().expect("a manifest is TOML")
}

fn short_name(manifest: &Table) -> String {
    let name = manifest["package"]["name"].as_str().expect("a package has a name");
    name.strip_prefix("musubi-").expect("our packages are named `musubi-…`").to_owned()
}

/// The edges of one crate that the table does not allow, each in words.
fn wrong_edges(manifest: &Table) -> Vec<String> {
    let name = short_name(manifest);
    let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == name) else {
        return vec![format!("`{name}` is in no layer: give it a line in LAYERS")];
    };
    let sections = ["dependencies", "build-dependencies", "dev-dependencies"];
    let edges = sections.into_iter().flat_map(|section| {
        let used = dependencies(manifest, section).into_iter();
        used.filter_map(move |used| Some((used.strip_prefix("musubi-")?.to_owned(), section)))
    });
    let for_tests = |used: &str, section: &str| section == "dev-dependencies" && used == FOR_TESTS;
    let wrong = edges.filter(|(used, section)| !allowed.contains(&used.as_str()) && !for_tests(used, section));
    wrong.map(|(used, section)| format!("`{name}` -> `{used}` in [{section}]")).collect()
}

/// The names of the packages in a section, those for single platforms among them.
fn dependencies(manifest: &Table, section: &str) -> Vec<String> {
    let platforms = manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(Table::values);
    let tables = manifest.get(section).into_iter().chain(platforms.filter_map(|platform| platform.get(section)));
    tables.filter_map(toml::Value::as_table).flat_map(Table::iter).map(package_of).collect()
}

/// The package behind a dependency, which may go by another name.
fn package_of((name, how): (&String, &toml::Value)) -> String {
    how.get("package").and_then(toml::Value::as_str).unwrap_or(name).to_owned()
}
