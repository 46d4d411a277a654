//! One copy of each short text that comes again and again: sources, channels, names of traits.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

/// Places in the table. A deployment has some hundreds of distinct names; more of them share places, and are merely
/// copied more often.
const PLACES: usize = 4_096;

/// The longest text that is shared. Longer ones are no names.
const LONGEST: usize = 64;

/// A bounded table of texts. Each has one place, and the newest keeps it: no sender can make the table grow, and what
/// comes out never depends on what went in before, except in the address.
pub(crate) struct Interner {
    places: Box<[Option<Arc<str>>]>,
}

impl Interner {
    pub(crate) fn new() -> Self {
        Self { places: vec![None; PLACES].into() }
    }

    /// The text, shared where it was seen before.
    pub(crate) fn intern(&mut self, text: &str) -> Arc<str> {
        if text.len() > LONGEST {
            return text.into();
        }
        let hash = xxh3_64(text.as_bytes());
        let place = &mut self.places[hash as usize % PLACES];
        match place {
            Some(held) if held.as_ref() == text => Arc::clone(held),
            Some(_) | None => Arc::clone(place.insert(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_share_one_copy_and_long_texts_do_not() {
        let mut interner = Interner::new();
        assert!(Arc::ptr_eq(&interner.intern("store"), &interner.intern("store")));
        let long = "x".repeat(LONGEST + 1);
        assert!(!Arc::ptr_eq(&interner.intern(&long), &interner.intern(&long)));
    }

    #[test]
    fn more_names_than_places_are_still_right() {
        let mut interner = Interner::new();
        for name in (0..3 * PLACES).chain(0..3 * PLACES).map(|number| number.to_string()) {
            assert_eq!(interner.intern(&name).as_ref(), name);
        }
    }
}
