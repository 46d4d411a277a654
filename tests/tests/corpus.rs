//! What the fuzzer found worth keeping, replayed: every file of the corpus through the function of its family.

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, reason = "the targets of the fuzzer use the rest")]
mod fuzz;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

#[test]
fn nothing_of_the_corpus_breaks_its_family() -> Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (family, take) in fuzz::FAMILIES {
        let mut count = 0;
        for entry in fs::read_dir(corpus.join(family)).with_context(|| format!("a corpus of `{family}`"))? {
            take(&fs::read(entry?.path())?);
            count += 1;
        }
        ensure!(count > 2, "the corpus of `{family}` has {count} files");
    }
    Ok(())
}

#[test]
fn every_preset_is_in_a_family_of_the_fuzzer() {
    let targets = include_str!("../fuzz/src/lib.rs");
    for preset in musubi_channels::PRESETS {
        assert!(targets.contains(&format!("\"{}\"", preset.name)), "{}", preset.name);
    }
}
