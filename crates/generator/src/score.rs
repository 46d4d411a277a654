//! How right a set of persons is: pairwise precision, recall and F1 against the truth, counted exactly.
//!
//! The unit is the touchpoint. Two touchpoints make a *true* pair when one real person left both, a *predicted* pair
//! when they were given to one person, and a right one when both hold. Touchpoints that belong to nobody (a kiosk that
//! nobody signed in at, a bot) have no truth and are left out before they come here. A touchpoint that has a truth but
//! was given to nobody (quarantined, say) is a person of its own: it costs recall, never precision.

use std::collections::HashMap;

/// Counts touchpoints by (real person, predicted person).
///
/// Memory grows with the distinct persons and the distinct pairs of a real and a predicted one, not with touchpoints.
#[derive(Clone, Debug, Default)]
pub struct Scorer {
    truths: Names,
    predictions: Names,
    cells: HashMap<(u32, u32), u64>,
    alone: HashMap<u32, u64>,
}

impl Scorer {
    /// A scorer that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one touchpoint of the real person `truth` that was given to the person `predicted`.
    pub fn add(&mut self, truth: &str, predicted: &str) {
        let cell = (self.truths.number(truth), self.predictions.number(predicted));
        *self.cells.entry(cell).or_default() += 1;
    }

    /// Counts one touchpoint of the real person `truth` that was given to nobody.
    pub fn add_alone(&mut self, truth: &str) {
        *self.alone.entry(self.truths.number(truth)).or_default() += 1;
    }

    /// The score of everything added.
    pub fn finish(self) -> Score {
        let mut by_truth = vec![0_u64; self.truths.count()];
        let mut by_prediction = vec![0_u64; self.predictions.count()];
        let mut both = 0_u128;
        for (&(truth, predicted), &count) in &self.cells {
            by_truth[truth as usize] += count;
            by_prediction[predicted as usize] += count;
            both += pairs(count);
        }
        for (&truth, &count) in &self.alone {
            by_truth[truth as usize] += count;
        }
        Score::new(by_truth.into_iter().map(pairs).sum(), by_prediction.into_iter().map(pairs).sum(), both)
    }
}

/// Pairs of touchpoints, and the three rates that follow from them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Pairs of touchpoints that one real person left.
    pub pairs_true: u128,
    /// Pairs of touchpoints that were given to one person.
    pub pairs_predicted: u128,
    /// Pairs that are both.
    pub pairs_both: u128,
    /// Of the predicted pairs, the part that is true; 1 where nothing was predicted.
    pub precision: f64,
    /// Of the true pairs, the part that was predicted; 1 where nothing was true.
    pub recall: f64,
    /// The harmonic mean of the two; 0 where both are 0.
    pub f1: f64,
}

impl Score {
    fn new(pairs_true: u128, pairs_predicted: u128, pairs_both: u128) -> Self {
        let precision = part(pairs_both, pairs_predicted);
        let recall = part(pairs_both, pairs_true);
        let sum = precision + recall;
        let f1 = if sum == 0.0 { 0.0 } else { 2.0 * precision * recall / sum };
        Self { pairs_true, pairs_predicted, pairs_both, precision, recall, f1 }
    }
}

/// How many pairs there are among `count` touchpoints.
fn pairs(count: u64) -> u128 {
    let count = u128::from(count);
    count * count.saturating_sub(1) / 2
}

/// `some` of `all` as a rate; nothing of nothing is everything.
fn part(some: u128, all: u128) -> f64 {
    if all == 0 { 1.0 } else { some as f64 / all as f64 }
}

/// Numbers for names, in the order in which they were first heard.
#[derive(Clone, Debug, Default)]
struct Names(HashMap<Box<str>, u32>);

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.0.get(name) {
            return number;
        }
        let number = u32::try_from(self.0.len()).expect("fewer than four billion persons");
        self.0.insert(name.into(), number);
        number
    }

    fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(touchpoints: &[(&str, &str)]) -> Score {
        let mut scorer = Scorer::new();
        for (truth, predicted) in touchpoints {
            scorer.add(truth, predicted);
        }
        scorer.finish()
    }

    #[test]
    fn persons_found_exactly_score_one_whatever_they_are_called() {
        let found = score(&[("p-1", "x"), ("p-1", "x"), ("p-2", "y"), ("p-2", "y"), ("p-2", "y")]);
        assert_eq!((found.pairs_true, found.pairs_predicted, found.pairs_both), (4, 4, 4));
        assert_eq!((found.precision, found.recall, found.f1), (1.0, 1.0, 1.0));
    }

    #[test]
    fn a_person_cut_in_two_costs_recall_and_not_precision() {
        let found = score(&[("p-1", "x"), ("p-1", "x"), ("p-1", "y"), ("p-1", "y")]);
        assert_eq!((found.pairs_true, found.pairs_predicted, found.pairs_both), (6, 2, 2));
        assert_eq!((found.precision, found.recall), (1.0, 2.0 / 6.0));
        assert!((found.f1 - 0.5).abs() < 1e-12);
    }

    #[test]
    fn two_persons_run_together_cost_precision_and_not_recall() {
        let found = score(&[("p-1", "x"), ("p-1", "x"), ("p-2", "x"), ("p-2", "x")]);
        assert_eq!((found.pairs_true, found.pairs_predicted, found.pairs_both), (2, 6, 2));
        assert_eq!((found.precision, found.recall), (2.0 / 6.0, 1.0));
    }

    #[test]
    fn a_touchpoint_given_to_nobody_costs_recall_alone() {
        let mut scorer = Scorer::new();
        scorer.add("p-1", "x");
        scorer.add("p-1", "x");
        scorer.add_alone("p-1");
        scorer.add_alone("p-1");
        let found = scorer.finish();
        assert_eq!((found.pairs_true, found.pairs_predicted, found.pairs_both), (6, 1, 1));
    }

    #[test]
    fn nothing_at_all_is_perfect_and_everything_wrong_is_zero() {
        let nothing = score(&[]);
        assert_eq!((nothing.precision, nothing.recall, nothing.f1), (1.0, 1.0, 1.0));
        let wrong = score(&[("p-1", "x"), ("p-2", "x"), ("p-1", "y")]);
        assert_eq!((wrong.precision, wrong.recall, wrong.f1), (0.0, 0.0, 0.0));
    }

    #[test]
    fn a_hundred_million_touchpoints_of_one_person_are_counted_exactly() {
        assert_eq!(pairs(100_000_000), 4_999_999_950_000_000);
        assert_eq!(pairs(u64::MAX), u128::from(u64::MAX) * u128::from(u64::MAX - 1) / 2);
    }
}
