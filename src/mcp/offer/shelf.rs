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
        if let Some(pages) = self.pages[place].get() {
            return pages;
        }
        // Several cores may get here at once. Each makes its own pages and one's are kept, so that none waits.
        let entries: Vec<String> = self.entries.iter().map(|entry| entry.entry(revision)).collect();
        let pages = Pages::build(T::MEMBER, &entries, frame);
        let mut known = self.pages.iter().filter_map(OnceLock::get);
        let same = known.find(|known| ***known == pages).cloned();
        let _ = self.pages[place].set(same.unwrap_or_else(|| Arc::new(pages)));
        self.pages[place].get().expect("invariant: set one line above, by this core or another")
    }

    /// A shelf with one thing more, whose key is not taken.
    pub(crate) fn with(&self, entry: Arc<T>) -> Shelf<T> {
        let mut by_key = self.by_key.clone();
        let place = by_key.partition_point(|index| self.at(*index).key() < entry.key());
        by_key.insert(place, self.entries.len() as u32);
        let entries = self.entries.iter().cloned().chain([entry]).collect();
        Shelf { entries, by_key, pages: Default::default() }
    }

    /// A shelf with one thing in the place of the one that has its key; `None` where there is none.
    pub(crate) fn replaced(&self, entry: Arc<T>) -> Option<Shelf<T>> {
        let index = self.find(entry.key())?;
        let mut entries = self.entries.clone();
        entries[index as usize] = entry;
        Some(Shelf { entries, by_key: self.by_key.clone(), pages: Default::default() })
    }

    /// A shelf without one thing; `None` where there is no such thing.
    pub(crate) fn without(&self, key: &str) -> Option<Shelf<T>> {
        let gone = self.find(key)?;
        let mut entries = self.entries.clone();
        entries.remove(gone as usize);
        let others = self.by_key.iter().filter(|index| **index != gone);
        let by_key = others.map(|index| index - u32::from(*index > gone)).collect();
        Some(Shelf { entries, by_key, pages: Default::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads differently from 2025-11-25 on.
    struct Thing(&'static str);

    impl Listed for Thing {
        const MEMBER: &'static str = "things";

        fn key(&self) -> &str {
            self.0
        }

        fn entry(&self, revision: Revision) -> String {
            format!("[\"{}\",{}]", self.0, revision >= Revision::V2025_11_25)
        }
    }

    fn check(shelf: &Shelf<Thing>, keys: &[&str]) {
        let entries: Vec<_> = shelf.entries().iter().map(|thing| thing.0).collect();
        assert_eq!(entries, keys);
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(shelf.find(key), Some(index as u32), "{key}");
        }
        assert_eq!(shelf.find("none"), None);
    }

    #[test]
    fn things_are_found_by_key_and_kept_in_their_order() {
        let shelf = Shelf::new(["m", "c", "x"].map(|key| Arc::new(Thing(key))).to_vec());
        check(&shelf, &["m", "c", "x"]);
        let more = shelf.with(Arc::new(Thing("d"))).with(Arc::new(Thing("a"))).with(Arc::new(Thing("z")));
        check(&more, &["m", "c", "x", "d", "a", "z"]);
        let less = more.without("c").unwrap().without("z").unwrap().without("m").unwrap();
        check(&less, &["x", "d", "a"]);
        assert!(less.without("c").is_none());
        check(&less.with(Arc::new(Thing("c"))), &["x", "d", "a", "c"]);
        let new = Arc::new(Thing("d"));
        let replaced = less.replaced(new.clone()).unwrap();
        check(&replaced, &["x", "d", "a"]);
        assert!(Arc::ptr_eq(&replaced.entries()[1], &new) && less.replaced(Arc::new(Thing("c"))).is_none());
    }

    #[test]
    fn pages_that_read_the_same_are_the_same() {
        let shelf = Shelf::new(vec![Arc::new(Thing("a"))]);
        let frame = &Frame { start: "", end: "}", page_entries: 10 };
        let pages = |revision| std::ptr::from_ref(shelf.pages(revision, frame));
        let old = pages(Revision::V2025_06_18);
        assert_eq!((pages(Revision::V2025_03_26), pages(Revision::V2024_11_05)), (old, old));
        assert_ne!(pages(Revision::V2025_11_25), old);
        assert_eq!(pages(Revision::V2025_11_25), pages(Revision::V2026_07_28));
    }
}
