//! The places for event streams that stay open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many streams are open, and may be.
pub(crate) struct Places {
    max: usize,
    taken: Arc<AtomicUsize>,
}

/// One open stream; dropping it frees the place.
pub(crate) struct Place(Arc<AtomicUsize>);

impl Places {
    pub(crate) fn new(max: u64) -> Places {
        Places { max: usize::try_from(max).unwrap_or(usize::MAX), taken: Arc::default() }
    }

    /// How many are open.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// A place for one more, or none.
    pub(crate) fn enter(&self) -> Option<Place> {
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        // A place that is not handed out gives its count back when it is dropped here.
        let place = Place(self.taken.clone());
        (before < self.max).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
