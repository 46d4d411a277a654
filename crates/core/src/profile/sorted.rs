//! Sorted lists as small maps and sets: a person has a handful of each thing, and a list is cheap to clone and compare.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::tight;

/// Something that a sorted list holds once by its name.
pub(super) trait Named {
    /// The name that the list is sorted by.
    fn name(&self) -> &Arc<str>;
}

/// How many entries are looked through by address, which costs less than comparing texts.
const GLANCE: usize = 8;

/// How many entries are joined one by one, which moves little and seldom allocates; more are joined in one pass.
const FEW: usize = 8;

/// Where the entry `name` is, or where it belongs.
pub(super) fn find<T: Named>(entries: &[T], name: &Arc<str>) -> Result<usize, usize> {
    let glance = entries.iter().take(GLANCE).position(|entry| Arc::ptr_eq(entry.name(), name));
    glance.map_or_else(|| entries.binary_search_by(|entry| entry.name().as_ref().cmp(name)), Ok)
}

/// Puts an item into a sorted set.
pub(super) fn insert<T: Ord + Clone>(set: &mut Vec<T>, item: &T) {
    if let Err(place) = set.binary_search(item) {
        tight::insert(set, place, item.clone());
    }
}

/// Joins a list of named entries to another; `join` decides what two of one name become.
pub(super) fn merge_named<T: Named + Clone>(into: &mut Vec<T>, from: &[T], join: impl FnMut(&mut T, &T)) {
    merge(into, from, |left, right| left.name().cmp(right.name()), join);
}

/// Joins one sorted set to another.
pub(super) fn merge_set<T: Ord + Clone>(into: &mut Vec<T>, from: &[T]) {
    merge(into, from, Ord::cmp, |_, _| ());
}

/// Joins two lists that are sorted by `order`, in time linear in the longer; `join` decides what two equals become.
pub(super) fn merge<T: Clone>(
    into: &mut Vec<T>,
    from: &[T],
    order: impl Fn(&T, &T) -> Ordering,
    mut join: impl FnMut(&mut T, &T),
) {
    if into.is_empty() || from.is_empty() {
        into.extend_from_slice(from);
        return;
    }
    if from.len() <= FEW {
        return from.iter().for_each(|theirs| match into.binary_search_by(|ours| order(ours, theirs)) {
            Ok(place) => join(&mut into[place], theirs),
            Err(place) => into.insert(place, theirs.clone()),
        });
    }
    let mut merged = Vec::with_capacity(into.len() + from.len());
    let mut ours = std::mem::take(into).into_iter().peekable();
    for theirs in from {
        while let Some(item) = ours.next_if(|item| order(item, theirs).is_lt()) {
            merged.push(item);
        }
        match ours.next_if(|item| order(item, theirs).is_eq()) {
            Some(mut item) => {
                join(&mut item, theirs);
                merged.push(item);
            }
            None => merged.push(theirs.clone()),
        }
    }
    merged.extend(ours);
    *into = merged;
}

/// Joins two lists sorted from the greatest down and keeps the `keep` greatest of both.
pub(super) fn merge_greatest<T: Ord + Clone>(into: &mut Vec<T>, from: &[T], keep: usize) {
    let mut place = 0;
    for item in from {
        place += into[place..].partition_point(|held| held >= item);
        if place >= keep {
            break;
        }
        insert_bounded(into, place, item.clone(), keep);
        place += 1;
    }
    into.truncate(keep);
}

/// Puts an item at a place below `keep`, and drops what is pushed beyond it.
pub(super) fn insert_bounded<T>(into: &mut Vec<T>, place: usize, item: T, keep: usize) {
    if into.len() >= keep {
        into.truncate(keep - 1);
    }
    tight::insert(into, place, item);
}

/// Walks two lists of named entries side by side: each name once, with what either has under it.
pub(super) fn side_by_side<'a, T: Named>(
    before: &'a [T],
    after: &'a [T],
    mut visit: impl FnMut(&'a Arc<str>, Option<&'a T>, Option<&'a T>),
) {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let name = match (before.peek(), after.peek()) {
            (Some(old), Some(new)) => old.name().min(new.name()),
            (Some(one), None) | (None, Some(one)) => one.name(),
            (None, None) => return,
        };
        visit(name, before.next_if(|old| old.name() == name), after.next_if(|new| new.name() == name));
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn sets() -> impl Strategy<Value = BTreeSet<u8>> {
        prop::collection::btree_set(0u8..60, 0..30)
    }

    proptest! {
        #[test]
        fn joined_sets_are_their_union(ours in sets(), theirs in sets()) {
            let mut joined: Vec<u8> = ours.iter().copied().collect();
            merge_set(&mut joined, &theirs.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(joined, ours.union(&theirs).copied().collect::<Vec<_>>());
        }

        #[test]
        fn the_greatest_of_both_are_kept(
            ours in prop::collection::vec(0u8..20, 0..10),
            theirs in prop::collection::vec(0u8..20, 0..10),
            keep in 0usize..12,
        ) {
            let greatest = |mut items: Vec<u8>| {
                items.sort_by_key(|item| Reverse(*item));
                items.truncate(keep);
                items
            };
            let expected = greatest([ours.clone(), theirs.clone()].concat());
            let mut merged = greatest(ours);
            merge_greatest(&mut merged, &greatest(theirs), keep);
            prop_assert_eq!(merged, expected);
        }
    }
}
