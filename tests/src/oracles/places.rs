//! The oracles of offsets: what was consumed, where everybody stands, and whether anything is still open.

use std::collections::BTreeMap;

use musubi_log::kafka::{Ends, Footer};
use musubi_log::{Offset, Partition};

/// Where everybody stands in one partition, at rest.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The footers of its changelog in order, each with the offset behind it.
    pub footers: Vec<(Offset, Footer)>,
    /// What the group has committed, by input.
    pub committed: BTreeMap<String, Offset>,
    /// Where each state says that the changelog goes on, by the state's name.
    pub states: BTreeMap<String, Offset>,
}

/// The first oracle: in each input of a partition, the footers' stretches run from 0 to what the group has committed, each
/// where the one before it ended; and no batch is missing or there twice.
pub fn coverage(partition: Partition, place: &Place) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut reached = BTreeMap::<&str, Offset>::new();
    for (number, (_, footer)) in (1..).zip(&place.footers) {
        if footer.batch != number {
            wrong.push(format!("partition {partition}: batch {} stands where batch {number} belongs", footer.batch));
            break;
        }
        for covered in &footer.inputs {
            let before = reached.insert(&covered.topic, covered.next).unwrap_or_default();
            if covered.from > before {
                let (topic, from) = (&covered.topic, covered.from);
                wrong.push(format!("{topic}/{partition}: batch {number} leaves out {before}..{from}"));
            } else if covered.from < before || covered.next < covered.from {
                let (topic, from, next) = (&covered.topic, covered.from, covered.next);
                wrong.push(format!("{topic}/{partition}: batch {number} takes {from}..{next} after {before}"));
            }
        }
    }
    for (topic, committed) in &place.committed {
        let reached = reached.get(topic.as_str()).copied().unwrap_or_default();
        if reached != *committed {
            wrong.push(format!("{topic}/{partition}: footers cover up to {reached}, the group has {committed}"));
        }
    }
    wrong
}

/// The second oracle: the group's offsets are those of the last footer, the state that leads stands right behind that
/// footer, and no state is ahead of it.
pub fn positions(partition: Partition, place: &Place) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some((next, last)) = place.footers.last() else {
        if !place.committed.is_empty() || !place.states.is_empty() {
            wrong.push(format!("partition {partition}: somebody stands somewhere, and there is no footer"));
        }
        return wrong;
    };
    for covered in &last.inputs {
        let committed = place.committed.get(&covered.topic).copied().unwrap_or_default();
        if committed != covered.next {
            let (topic, at) = (&covered.topic, covered.next);
            wrong.push(format!("{topic}/{partition}: the last footer is at {at}, the group at {committed}"));
        }
    }
    let ahead = place.states.iter().filter(|(_, at)| *at > next);
    wrong.extend(ahead.map(|(name, at)| format!("partition {partition}: state `{name}` is at {at}, ahead of {next}")));
    if !place.states.values().any(|at| at == next) {
        let states = &place.states;
        wrong.push(format!("partition {partition}: no state is at {next}, behind the last footer: {states:?}"));
    }
    wrong
}

/// The fifth oracle: everything that was written is decided.
pub fn openness(ends: &[Ends]) -> Vec<String> {
    let open = ends.iter().filter(|ends| ends.stable != ends.end);
    open.map(|Ends { topic, partition, stable, end, .. }| {
        format!("{topic}/{partition}: a transaction is open at {stable}, and {end} is the end")
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use musubi_log::Topic;
    use musubi_log::kafka::Covered;

    use super::*;

    fn covered(from: Offset, next: Offset) -> Covered {
        Covered { topic: "touchpoints".to_owned(), from, next }
    }

    /// Batches of one input, each with a record of the changelog and its mark behind it.
    fn place(stretches: &[(Offset, Offset)]) -> Place {
        let footer = |(number, (from, next)): (u64, &(Offset, Offset))| {
            (number * 3 - 1, Footer { batch: number, inputs: vec![covered(*from, *next)], ..Footer::default() })
        };
        let footers: Vec<_> = (1..).zip(stretches).map(footer).collect();
        let committed = stretches.last().map(|(_, next)| ("touchpoints".to_owned(), *next)).into_iter().collect();
        let states = footers.last().map(|(next, _)| ("a".to_owned(), *next)).into_iter().collect();
        Place { footers, committed, states }
    }

    fn objects(found: &[String], word: &str) {
        assert!(found.iter().any(|said| said.contains(word)), "wanted `{word}` in {found:?}");
    }

    #[test]
    fn a_whole_story_is_believed() {
        let whole = place(&[(0, 10), (10, 10), (10, 25)]);
        assert_eq!(coverage(0, &whole), Vec::<String>::new());
        assert_eq!(positions(0, &whole), Vec::<String>::new());
        assert_eq!(coverage(0, &Place::default()), Vec::<String>::new());
        assert_eq!(positions(0, &Place::default()), Vec::<String>::new());
    }

    #[test]
    fn coverage_objects_to_a_gap_an_overlap_and_an_end_that_is_not_the_groups() {
        objects(&coverage(0, &place(&[(0, 10), (12, 25)])), "leaves out 10..12");
        objects(&coverage(0, &place(&[(3, 10)])), "leaves out 0..3");
        objects(&coverage(0, &place(&[(0, 10), (8, 25)])), "takes 8..25 after 10");
        objects(&coverage(0, &place(&[(0, 10), (10, 7)])), "takes 10..7");
        let mut short = place(&[(0, 10)]);
        short.committed.insert("touchpoints".to_owned(), 12);
        objects(&coverage(0, &short), "the group has 12");
    }

    #[test]
    fn coverage_objects_to_a_batch_that_is_missing_or_there_twice() {
        let mut missing = place(&[(0, 10), (10, 20), (20, 30)]);
        missing.footers.remove(1);
        objects(&coverage(0, &missing), "batch 3 stands where batch 2 belongs");
        let mut twice = place(&[(0, 10), (10, 20)]);
        twice.footers.insert(1, twice.footers[0].clone());
        objects(&coverage(0, &twice), "batch 1 stands where batch 2 belongs");
    }

    #[test]
    fn positions_object_to_whoever_stands_elsewhere() {
        let mut behind = place(&[(0, 10)]);
        behind.committed.insert("touchpoints".to_owned(), 4);
        objects(&positions(0, &behind), "the group at 4");
        let mut ahead = place(&[(0, 10)]);
        ahead.states.insert("b".to_owned(), 99);
        objects(&positions(0, &ahead), "`b` is at 99, ahead");
        let mut late = place(&[(0, 10), (10, 20)]);
        late.states.insert("a".to_owned(), 2);
        objects(&positions(0, &late), "no state is at 5");
        let nobody = Place { states: late.states, ..Place::default() };
        objects(&positions(0, &nobody), "there is no footer");
    }

    #[test]
    fn openness_objects_to_what_is_undecided() {
        let ends = |stable| Ends { topic: Topic::new("mesh"), partition: 2, start: 0, stable, end: 9 };
        assert_eq!(openness(&[ends(9)]), Vec::<String>::new());
        objects(&openness(&[ends(9), ends(4)]), "mesh/2: a transaction is open at 4");
    }
}
