//! How many may be answered at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;

/// Connections of everybody at once.
const OF_ALL: usize = 64;
/// Of those, kept for operators.
const KEPT: usize = 16;
/// Of one uid that is no operator's.
const OF_ONE: usize = 4;

/// Who is being answered.
#[derive(Default, Clone)]
pub(super) struct Places(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    operators: usize,
    others: usize,
    by_uid: HashMap<u32, usize>,
}

/// A connection that is being answered, until dropped.
pub(super) struct Place {
    places: Places,
    /// `None` for an operator.
    uid: Option<u32>,
}

impl Places {
    /// A place for an operator.
    pub(super) fn enter_operator(&self) -> Option<Place> {
        let mut counts = self.0.lock();
        if counts.operators + counts.others >= OF_ALL {
            return None;
        }
        counts.operators += 1;
        Some(Place { places: self.clone(), uid: None })
    }

    /// A place for somebody else.
    pub(super) fn enter(&self, uid: u32) -> Option<Place> {
        let mut counts = self.0.lock();
        let own = counts.by_uid.get(&uid).copied().unwrap_or(0);
        if counts.others >= OF_ALL - KEPT || counts.operators + counts.others >= OF_ALL || own >= OF_ONE {
            return None;
        }
        counts.others += 1;
        *counts.by_uid.entry(uid).or_default() += 1;
        Some(Place { places: self.clone(), uid: Some(uid) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.places.0.lock();
        let Some(uid) = self.uid else {
            counts.operators = counts.operators.saturating_sub(1);
            return;
        };
        counts.others = counts.others.saturating_sub(1);
        if let Entry::Occupied(mut own) = counts.by_uid.entry(uid) {
            *own.get_mut() = own.get().saturating_sub(1);
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_others_do_there_is_room_for_operators() {
        let places = Places::default();
        let others = (1..100).flat_map(|uid| std::iter::repeat_n(uid, 9));
        let held: Vec<_> = others.filter_map(|uid| places.enter(uid)).collect();
        assert_eq!(held.len(), OF_ALL - KEPT);
        let operators: Vec<_> = (0..100).filter_map(|_| places.enter_operator()).collect();
        assert_eq!(operators.len(), KEPT);
        drop(held);
        assert!(places.enter_operator().is_some());
        drop(operators);
        let own: Vec<_> = (0..100).filter_map(|_| places.enter(7)).collect();
        assert_eq!(own.len(), OF_ONE);
        assert!(places.enter(8).is_some());
    }
}
