//! Lists that take little more room than they need. There are millions of clusters, most of them with one or two of each
//! thing, and a list that grows by itself makes room for four at once.

/// Adds an item at the end.
pub(crate) fn push<T>(list: &mut Vec<T>, item: T) {
    make_room(list);
    list.push(item);
}

/// Puts an item at a place.
pub(crate) fn insert<T>(list: &mut Vec<T>, place: usize, item: T) {
    make_room(list);
    list.insert(place, item);
}

/// A list that is full grows by a half: what is added costs a few moves of it, whatever its length.
fn make_room<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact(1 + list.len() / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_list_has_no_room_to_spare_and_a_long_one_little() {
        let mut list = Vec::new();
        push(&mut list, 1);
        assert_eq!(list.capacity(), 1);
        for number in 2..1_000 {
            insert(&mut list, 0, number);
        }
        assert_eq!((list.len(), list[998]), (999, 1));
        assert!(list.capacity() < 1_500);
    }
}
