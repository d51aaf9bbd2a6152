//! Lists that are read page by page while everything changes.

use std::sync::Arc;

use super::super::super::*;
use super::Drive;

/// A list under way.
#[derive(Default)]
pub(super) struct Listing {
    status: Option<Status>,
    kinds: &'static [&'static str],
    cursor: Option<String>,
    /// When what was listed last was created.
    last: (u64, u64),
    /// What the list would have had at its beginning, and what it had so far.
    at_first: Vec<TaskId>,
    listed: Vec<TaskId>,
}

impl Drive {
    /// The next page of the list, or the first of another.
    pub(super) fn list(&mut self) {
        if self.listing.cursor.is_none() {
            self.listing = Listing {
                status: self.pick(&[None, None, Some(Status::Queued), Some(Status::Completed)]),
                kinds: self.pick(&[&[][..], &["a"], &["c", "b", "c"]]),
                ..Listing::default()
            };
            let rows = self.model.listed(self.listing.status, self.listing.kinds, (0, 0));
            self.listing.at_first = rows.iter().map(|row| row.id).collect();
        }
        let (limit, max_bytes) = (self.below(4) as usize + 1, self.pick(&[usize::MAX, usize::MAX, 1]));
        let listing = &mut self.listing;
        let types: Vec<Arc<str>> = listing.kinds.iter().map(|kind| Arc::from(*kind)).collect();
        let page = self.queue.list(listing.status, &types, listing.cursor.as_deref(), limit, max_bytes);
        let page = page.unwrap();
        let rest = self.model.listed(listing.status, listing.kinds, listing.last);
        // No two tasks have room in one byte, and one alone is always given.
        let expected = &rest[..rest.len().min(if max_bytes == 1 { 1 } else { limit })];
        assert_eq!(page.tasks.len(), expected.len());
        expected.iter().zip(&page.tasks).for_each(|(row, task)| row.compare(task));
        assert_eq!(page.cursor.is_some(), rest.len() > expected.len());
        listing.listed.extend(page.tasks.iter().map(|task| task.core.id));
        listing.cursor = page.cursor;
        match expected.last() {
            Some(row) if listing.cursor.is_some() => listing.last = (row.created_ms, row.sequence),
            _ => self.listed_all(),
        }
    }

    /// Whatever was there from the first page to the last was listed, if no status was asked for, which changes.
    fn listed_all(&self) {
        let Listing { status, at_first, listed, .. } = &self.listing;
        let stayed = at_first.iter().filter(|id| status.is_none() && self.model.row(**id).is_some());
        stayed.for_each(|id| assert!(listed.contains(id), "{id} is missing among {listed:?}"));
    }
}
