//! Numbers in place of names, and the reading of files in which each line is one row.

use std::path::Path;

use anyhow::{Context as _, Result};
use rustc_hash::FxHashMap;

use crate::input::Inputs;

/// A number for each name, in the order in which they were first heard. Only ever looked up by name.
#[derive(Default)]
pub(super) struct Numbers(FxHashMap<Box<str>, u32>);

impl Numbers {
    /// The number of a name, which is a new one where the name is new.
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.0.get(name) {
            return *number;
        }
        let number = u32::try_from(self.0.len()).expect("four billion names do not fit the memory of a machine");
        self.0.insert(name.into(), number);
        number
    }

    /// The number of a name that was heard before.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.0.get(name).copied()
    }
}

/// Hands each line of a file to `read`, which says why a line is not `what` it should be.
pub(super) fn each_row(
    file: &Path,
    what: &str,
    mut read: impl FnMut(&[u8]) -> Result<(), serde_json::Error>,
) -> Result<()> {
    let mut inputs = Inputs::new(vec![file.to_owned()])?;
    while let Some(mut lines) = inputs.next()? {
        let name = lines.name().clone();
        while let Some(line) = lines.next()? {
            read(line.bytes).with_context(|| format!("`{name}`, line {}: wanted {what}", line.number))?;
        }
    }
    Ok(())
}
