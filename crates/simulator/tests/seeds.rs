//! A fixed number of seeds, in which nothing is found.

use musubi_simulator::{Options, run_seeds, simulate};

#[test]
fn in_two_hundred_seeds_everything_agrees() {
    let summary = run_seeds(0, 200, 2, &Options { rocks: 25, ..Options::default() }, |_| ());
    assert!(summary.failures.is_empty(), "{}", summary.failures[0]);
    assert_eq!(summary.seeds, 200);
    let troubles = [summary.undone, summary.deaths, summary.moves];
    assert!(troubles.iter().all(|many| *many > 200), "too little went wrong: {summary:?}");
}

/// Seeds in which something was found once, and what.
const ONCE_FOUND: [(u64, &str); 4] = [
    (6, "an identifier alone that becomes shared is not published as such, where nothing else of it changes"),
    (22, "a conflicting duplicate is in quarantine without its source and event id"),
    (50, "as in seed 6"),
    (1367, "a redirect that is cleared when its identifier is forgotten, by which no person changes, has no version"),
];

#[test]
fn what_was_found_once_is_found_no_more() {
    for (seed, what) in ONCE_FOUND {
        if let Err(failure) = simulate(seed, &Options { rocks: 0, ..Options::default() }) {
            panic!("{what}: {failure}");
        }
    }
}
