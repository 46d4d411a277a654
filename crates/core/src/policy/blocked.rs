//! Values that identify nobody, whatever their namespace.

use regex::RegexSet;

/// The longest value that is folded on the stack; a longer one costs an allocation and is rare.
const FOLDED_IN_PLACE: usize = 64;

#[expect(clippy::disallowed_types, reason = "asked for membership by every value there is; its order shows nowhere")]
type Values = rustc_hash::FxHashSet<Box<str>>;

/// Values that identify nobody, whatever their namespace: placeholders, withheld caller ids, the shop's own number.
#[derive(Clone, Debug)]
pub struct Blocked {
    /// Folded to lower case.
    values: Values,
    /// Bytes of the longest of them: most real values are longer, and are not looked up at all.
    longest: usize,
    patterns: RegexSet,
}

impl Default for Blocked {
    fn default() -> Self {
        Self { values: Values::default(), longest: 0, patterns: RegexSet::empty() }
    }
}

impl Blocked {
    /// These values, whatever their case, and whatever one of these patterns is found in.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>, patterns: RegexSet) -> Self {
        let values: Values = values.into_iter().map(|value| value.trim().to_lowercase().into()).collect();
        let longest = values.iter().map(|value| value.len()).max().unwrap_or(0);
        Self { values, longest, patterns }
    }

    /// Whether this value, trimmed, identifies nobody.
    pub fn contains(&self, value: &str) -> bool {
        self.is_listed(value) || (!self.patterns.is_empty() && self.patterns.is_match(value))
    }

    /// The values, folded to lower case, sorted.
    pub fn values(&self) -> Vec<&str> {
        let mut values: Vec<&str> = self.values.iter().map(AsRef::as_ref).collect();
        values.sort_unstable();
        values
    }

    /// The patterns as the policy states them, sorted and distinct.
    pub fn patterns(&self) -> Vec<&str> {
        let mut patterns: Vec<&str> = self.patterns.patterns().iter().map(String::as_str).collect();
        patterns.sort_unstable();
        patterns.dedup();
        patterns
    }

    fn is_listed(&self, value: &str) -> bool {
        if !value.is_ascii() {
            // Folding can change how many bytes a character takes, threefold at most.
            return value.len() <= 3 * self.longest && self.values.contains(value.to_lowercase().as_str());
        }
        if value.len() > self.longest {
            return false;
        }
        let mut folded = [0; FOLDED_IN_PLACE];
        match folded.get_mut(..value.len()) {
            Some(folded) => {
                folded.copy_from_slice(value.as_bytes());
                folded.make_ascii_lowercase();
                std::str::from_utf8(folded).is_ok_and(|folded| self.values.contains(folded))
            }
            None => self.values.contains(value.to_ascii_lowercase().as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked() -> Blocked {
        let long = "x".repeat(80);
        Blocked::new(["Null", " guest ", "ゲスト", "ÄH", long.as_str()], RegexSet::new(["^0+$"]).expect("a pattern"))
    }

    #[test]
    fn a_value_is_blocked_whatever_its_case() {
        let cases = [("NULL", true), ("null", true), ("Guest", true), ("ゲスト", true), ("äh", true), ("nul", false)];
        for (value, expected) in cases {
            assert_eq!(blocked().contains(value), expected, "{value}");
        }
        assert!(blocked().contains(&"X".repeat(80)), "longer than what is folded on the stack");
        assert!(!blocked().contains(&"y".repeat(80)));
    }

    #[test]
    fn a_pattern_blocks_what_it_is_found_in() {
        assert!(blocked().contains("0000"));
        assert!(!blocked().contains("1000"));
        assert!(!Blocked::default().contains("0000"));
    }
}
