//! One shard of the session table: sessions by id, and in two lists by their last use.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::mcp::session::entry::{Session, SessionId};

/// Which list a session is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    /// Waits for `notifications/initialized`.
    Fresh,
    /// Initialized.
    Used,
}

/// The end of a list.
const NIL: u32 = u32::MAX;

#[derive(Default)]
pub(crate) struct Shard {
    index: HashMap<u128, u32>,
    /// Entries keep their place while they live; places that fell free are reused.
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    fresh: Ends,
    used: Ends,
}

struct Entry {
    session: Arc<Session>,
    last_used: Instant,
    list: List,
    previous: u32,
    next: u32,
}

/// First and last of a list: unused for longest, and used last.
struct Ends {
    first: u32,
    last: u32,
}

impl Default for Ends {
    fn default() -> Self {
        Ends { first: NIL, last: NIL }
    }
}

/// A session at a glance.
pub(crate) struct Seen<'a> {
    pub(crate) principal: &'a str,
    pub(crate) list: List,
    pub(crate) last_used: Instant,
    /// Whether a request of it is being served.
    pub(crate) busy: bool,
}

/// What one step of a sweep did.
pub(crate) struct Expired {
    pub(crate) removed: Vec<Arc<Session>>,
    /// False when there may be more.
    pub(crate) done: bool,
}

impl Shard {
    pub(crate) fn insert(&mut self, session: Arc<Session>, now: Instant) {
        let bits = session.id.bits();
        let entry = Entry { session, last_used: now, list: List::Fresh, previous: NIL, next: NIL };
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.entries.push(None);
                u32::try_from(self.entries.len() - 1).expect("invariant: at most a million sessions")
            }
        };
        self.entries[place as usize] = Some(entry);
        self.index.insert(bits, place);
        self.append(place, List::Fresh);
    }

    /// Looks at a session without using it.
    pub(crate) fn peek(&self, id: SessionId) -> Option<Seen<'_>> {
        let Entry { session, list, last_used, .. } = self.entry(*self.index.get(&id.bits())?);
        let busy = session.is_busy();
        Some(Seen { principal: &session.principal, list: *list, last_used: *last_used, busy })
    }

    /// Notes a use. A session that waits to be initialized keeps its place: its time runs from its opening.
    pub(crate) fn touch(&mut self, id: SessionId, now: Instant) -> Option<Arc<Session>> {
        let place = *self.index.get(&id.bits())?;
        if self.entry(place).list == List::Used {
            self.requeue(place, now);
        }
        Some(self.entry(place).session.clone())
    }

    /// Moves a session to the initialized ones.
    pub(crate) fn promote(&mut self, id: SessionId, now: Instant) {
        let Some(place) = self.index.get(&id.bits()).copied() else { return };
        self.unlink(place);
        self.entry_mut(place).last_used = now;
        self.append(place, List::Used);
    }

    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Arc<Session>> {
        let place = self.index.remove(&id.bits())?;
        self.unlink(place);
        self.free.push(place);
        self.entries[place as usize].take().map(|entry| entry.session)
    }

    /// Removes the session unless it is in use.
    pub(crate) fn remove_idle(&mut self, id: SessionId) -> Option<Arc<Session>> {
        let place = *self.index.get(&id.bits())?;
        if self.entry(place).session.is_busy() {
            return None;
        }
        self.remove(id)
    }

    /// The session of a list that was unused for longest. Those in use go to the end of the list, `most` at a time.
    pub(crate) fn oldest_idle(
        &mut self,
        list: List,
        now: Instant,
        most: usize,
    ) -> Option<(SessionId, Instant)> {
        for _ in 0..most {
            let place = self.ends(list).first;
            if place == NIL {
                return None;
            }
            let entry = self.entry(place);
            if !entry.session.is_busy() {
                return Some((entry.session.id, entry.last_used));
            }
            self.requeue(place, now);
        }
        None
    }

    /// Removes up to `most` sessions of a list that were unused for `time`, those in use excepted.
    pub(crate) fn expire(&mut self, list: List, time: Duration, now: Instant, most: usize) -> Expired {
        let mut removed = Vec::new();
        for _ in 0..most {
            let place = self.ends(list).first;
            if place == NIL || now.saturating_duration_since(self.entry(place).last_used) < time {
                return Expired { removed, done: true };
            }
            if self.entry(place).session.is_busy() {
                self.requeue(place, now);
                continue;
            }
            let id = self.entry(place).session.id;
            removed.extend(self.remove(id));
        }
        Expired { removed, done: false }
    }

    fn requeue(&mut self, place: u32, now: Instant) {
        let list = self.entry(place).list;
        self.unlink(place);
        self.entry_mut(place).last_used = now;
        self.append(place, list);
    }

    fn append(&mut self, place: u32, list: List) {
        let last = std::mem::replace(&mut self.ends(list).last, place);
        let entry = self.entry_mut(place);
        (entry.list, entry.previous, entry.next) = (list, last, NIL);
        match last {
            NIL => self.ends(list).first = place,
            last => self.entry_mut(last).next = place,
        }
    }

    fn unlink(&mut self, place: u32) {
        let entry = self.entry(place);
        let (list, previous, next) = (entry.list, entry.previous, entry.next);
        match previous {
            NIL => self.ends(list).first = next,
            previous => self.entry_mut(previous).next = next,
        }
        match next {
            NIL => self.ends(list).last = previous,
            next => self.entry_mut(next).previous = previous,
        }
    }

    fn ends(&mut self, list: List) -> &mut Ends {
        match list {
            List::Fresh => &mut self.fresh,
            List::Used => &mut self.used,
        }
    }

    fn entry(&self, place: u32) -> &Entry {
        self.entries[place as usize].as_ref().expect("invariant: indexed and linked places are taken")
    }

    fn entry_mut(&mut self, place: u32) -> &mut Entry {
        self.entries[place as usize].as_mut().expect("invariant: indexed and linked places are taken")
    }
}
