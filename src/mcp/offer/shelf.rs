//! One list of what is on offer: looked up by key, and listed in pages that each revision can read.

use std::sync::{Arc, OnceLock};

use crate::mcp::message::era::Revision;
use crate::mcp::offer::pages::{Frame, Pages};

/// Something that a list has entries of.
pub(crate) trait Listed {
    /// The member of the result that holds the list.
    const MEMBER: &'static str;

    /// What tells it from the others, and what requests name.
    fn key(&self) -> &str;

    /// Its entry in a list of the revision, as a JSON object on one line.
    fn entry(&self, revision: Revision) -> String;
}

/// Things of one kind, in the order of their registration. Never changes; a change makes a new one.
pub(crate) struct Shelf<T> {
    entries: Vec<Arc<T>>,
    /// Indexes of the entries in the order of their keys.
    by_key: Vec<u32>,
    /// For each revision its pages, made when they are first asked for, and the same where they read the same.
    pages: [OnceLock<Arc<Pages>>; Revision::ALL.len()],
}

impl<T: Listed> Shelf<T> {
    pub(crate) fn new(entries: Vec<Arc<T>>) -> Shelf<T> {
        let mut by_key: Vec<u32> = (0u32..).zip(&entries).map(|(index, _)| index).collect();
        by_key.sort_by_key(|index| entries[*index as usize].key());
        Shelf { entries, by_key, pages: Default::default() }
    }

    pub(crate) fn entries(&self) -> &[Arc<T>] {
        &self.entries
    }

    pub(crate) fn at(&self, index: u32) -> &T {
        &self.entries[index as usize]
    }

    pub(crate) fn find(&self, key: &str) -> Option<u32> {
        let place = self.by_key.binary_search_by_key(&key, |index| self.at(*index).key()).ok()?;
        Some(self.by_key[place])
    }

    /// The list as the revision knows it.
    pub(crate) fn pages(&self, revision: Revision, frame: &Frame<'_>) -> &Pages {
        let place = Revision::ALL.iter().position(|known| *known == revision).unwrap_or(0);
        self.pages[place].get_or_init(|| {
            let entries: Vec<String> = self.entries.iter().map(|entry| entry.entry(revision)).collect();
            let pages = Pages::build(T::MEMBER, &entries, frame);
            let known = self.pages.iter().filter_map(OnceLock::get);
            known.into_iter().find(|known| ***known == pages).cloned().unwrap_or_else(|| Arc::new(pages))
        })
    }

    /// A shelf with one thing more.
    pub(crate) fn with(&self, entry: Arc<T>) -> Shelf<T> {
        Shelf::new(self.entries.iter().cloned().chain([entry]).collect())
    }

    /// A shelf without one thing.
    pub(crate) fn without(&self, key: &str) -> Option<Shelf<T>> {
        let index = self.find(key)? as usize;
        let mut entries = self.entries.clone();
        entries.remove(index);
        Some(Shelf::new(entries))
    }
}
