//! Where a change of what is on offer finds everyone who listens for it.
//!
//! Whoever listens has an [`Inbox`] here, for as long as it keeps the [`Registration`]. A change is put into each inbox
//! that wants it; nothing is queued here.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::mcp::listen::inbox::Inbox;

/// Inboxes that one look at a shard takes out; so a publisher keeps nobody else waiting for long.
const CHUNK: usize = 64;
const SHARDS: usize = 8;

/// Something that clients may listen for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The list of resources or of their templates.
    Resources,
    /// The contents of the resource with this URI.
    Resource(String),
}

/// Everyone who listens, on any core.
#[derive(Default)]
pub(crate) struct Hub {
    shards: Arc<[Mutex<Shard>; SHARDS]>,
    next: AtomicUsize,
    /// Inboxes that subscribed to a resource.
    subscribers: Arc<AtomicUsize>,
}

/// Places for inboxes; one that falls free is taken again.
#[derive(Default)]
struct Shard {
    places: Vec<Option<Arc<Inbox>>>,
    free: Vec<usize>,
}

/// An inbox's place in the hub; dropping it leaves.
pub(crate) struct Registration {
    pub(crate) inbox: Arc<Inbox>,
    shards: Arc<[Mutex<Shard>; SHARDS]>,
    shard: usize,
    place: usize,
}

impl Hub {
    /// Tells everyone who listens for the change. Any thread may call it; it does not wait.
    pub(crate) fn publish(&self, change: &Change) {
        let mut told = 0;
        for shard in self.shards.iter() {
            let mut from = 0;
            loop {
                let (inboxes, next) = chunk(shard, from, change);
                told += inboxes.len();
                inboxes.iter().for_each(|inbox| inbox.put(change));
                match next {
                    Some(next) => from = next,
                    None => break,
                }
            }
        }
        tracing::debug!(?change, told, "changed");
    }

    /// How many listeners have subscribed to resources: who publishes changes of them often can ask this first.
    pub(crate) fn subscribers(&self) -> &Arc<AtomicUsize> {
        &self.subscribers
    }

    /// Takes an inbox in.
    pub(crate) fn register(&self, inbox: Arc<Inbox>) -> Registration {
        inbox.count_on(&self.subscribers);
        let shard = self.next.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let place = crate::mcp::lock(&self.shards[shard]).insert(inbox.clone());
        Registration { inbox, shards: self.shards.clone(), shard, place }
    }
}

/// Those of the next places whose inboxes may want the change, and where to go on.
fn chunk(shard: &Mutex<Shard>, from: usize, change: &Change) -> (Vec<Arc<Inbox>>, Option<usize>) {
    let shard = crate::mcp::lock(shard);
    let end = shard.places.len().min(from + CHUNK);
    let places = shard.places[from.min(end)..end].iter().flatten();
    let inboxes = places.filter(|inbox| inbox.may_want(change)).cloned().collect();
    (inboxes, (end < shard.places.len()).then_some(end))
}

impl Shard {
    fn insert(&mut self, inbox: Arc<Inbox>) -> usize {
        match self.free.pop() {
            Some(place) => {
                self.places[place] = Some(inbox);
                place
            }
            None => {
                self.places.push(Some(inbox));
                self.places.len() - 1
            }
        }
    }

    fn remove(&mut self, place: usize) {
        self.places[place] = None;
        self.free.push(place);
        if self.free.len() == self.places.len() {
            *self = Shard::default();
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.inbox.leave();
        crate::mcp::lock(&self.shards[self.shard]).remove(self.place);
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::listen::inbox::Wanted;
    use crate::mcp::listen::notice::Notice;

    fn inbox(wanted: Wanted) -> Arc<Inbox> {
        Arc::new(Inbox::new(wanted, Vec::new()))
    }

    #[test]
    fn everyone_who_wants_a_change_gets_it_once() {
        let hub = Hub::default();
        let tools = Wanted { tools: true, ..Wanted::default() };
        let registrations: Vec<_> = (0..1_000).map(|_| hub.register(inbox(tools))).collect();
        let other = hub.register(inbox(Wanted { prompts: true, ..Wanted::default() }));
        hub.publish(&Change::Tools);
        hub.publish(&Change::Tools);
        for registration in &registrations {
            assert_eq!(registration.inbox.take(), Some(Notice::Tools));
            assert_eq!(registration.inbox.take(), None);
        }
        assert_eq!(other.inbox.take(), None);
    }

    #[test]
    fn those_with_subscriptions_are_counted() {
        let hub = Hub::default();
        let count = || hub.subscribers().load(Ordering::Relaxed);
        let uris = vec!["a:1".into(), "a:2".into()];
        let from_the_start = hub.register(Arc::new(Inbox::new(Wanted::default(), uris)));
        let later = hub.register(inbox(Wanted::ALL));
        assert_eq!(count(), 1);
        assert!(later.inbox.subscribe("a:1", 2) && later.inbox.subscribe("a:2", 2));
        assert!(later.inbox.subscribe("a:1", 2));
        assert_eq!(count(), 2);
        later.inbox.unsubscribe("a:1");
        later.inbox.unsubscribe("a:1");
        assert_eq!(count(), 2);
        later.inbox.unsubscribe("a:2");
        later.inbox.unsubscribe("a:2");
        assert_eq!(count(), 1);
        drop((from_the_start, later));
        assert_eq!(count(), 0);
    }

    #[test]
    fn who_leaves_is_forgotten_and_its_place_taken_again() {
        let hub = Hub::default();
        let tools = Wanted { tools: true, ..Wanted::default() };
        for _ in 0..3 {
            let registrations: Vec<_> = (0..100).map(|_| hub.register(inbox(tools))).collect();
            let kept = registrations[50].inbox.clone();
            drop(registrations);
            hub.publish(&Change::Tools);
            assert_eq!((Arc::strong_count(&kept), kept.take()), (1, None));
        }
        assert!(hub.shards.iter().all(|shard| crate::mcp::lock(shard).places.is_empty()));
    }
}
