//! A fixed number of seeds, in which nothing is found.

use musubi_simulator::{Options, run_seeds};

#[test]
fn in_two_hundred_seeds_everything_agrees() {
    let summary = run_seeds(0, 200, 2, &Options { rocks: 25, ..Options::default() }, |_| ());
    assert!(summary.failures.is_empty(), "{}", summary.failures[0]);
    assert_eq!(summary.seeds, 200);
    let troubles = [summary.undone, summary.deaths, summary.moves];
    assert!(troubles.iter().all(|many| *many > 200), "too little went wrong: {summary:?}");
}
