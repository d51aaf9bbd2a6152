//! What one listener wants to hear of, and what of it has happened since it last looked.
//!
//! A change that is noted already is not noted twice. So however slow a listener is, its inbox holds three flags and at
//! most the URIs that it subscribed to.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use crate::mcp::listen::hub::Change;
use crate::mcp::listen::notice::Notice;

/// Which lists a listener wants to hear of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) tools: bool,
    pub(crate) prompts: bool,
    pub(crate) resources: bool,
}

const TOOLS: u8 = 1;
const PROMPTS: u8 = 2;
const RESOURCES: u8 = 4;
const URIS: u8 = 8;

pub(crate) struct Inbox {
    /// Which kinds of changes are wanted, so that a publisher passes by the others without their locks.
    kinds: AtomicU8,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The lists that have changed.
    changed: u8,
    /// The URIs subscribed to; true for those that changed.
    uris: HashMap<Arc<str>, bool>,
    /// Those that changed, first come first.
    order: VecDeque<Arc<str>>,
    waker: Option<Waker>,
    /// The turn of the latest reader.
    turn: u64,
    /// Counts the inboxes with subscriptions, this one among them for as long as it has any.
    counter: Option<Arc<AtomicUsize>>,
}

impl Wanted {
    #[cfg(test)]
    pub(crate) const ALL: Wanted = Wanted { tools: true, prompts: true, resources: true };

    fn kinds(self) -> u8 {
        let kind = |wanted: bool, kind: u8| if wanted { kind } else { 0 };
        kind(self.tools, TOOLS) | kind(self.prompts, PROMPTS) | kind(self.resources, RESOURCES)
    }
}

impl Inbox {
    /// An inbox for changes of these lists and of the resources with these URIs.
    pub(crate) fn new(wanted: Wanted, uris: Vec<Arc<str>>) -> Inbox {
        let kinds = wanted.kinds() | if uris.is_empty() { 0 } else { URIS };
        let uris = uris.into_iter().map(|uri| (uri, false)).collect();
        Inbox { kinds: AtomicU8::new(kinds), inner: Mutex::new(Inner { uris, ..Inner::default() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        crate::mcp::lock(&self.inner)
    }

    /// False where the change is none of this listener's.
    pub(crate) fn may_want(&self, change: &Change) -> bool {
        self.kinds.load(Ordering::Acquire) & kind(change) != 0
    }

    /// Notes a change, if it is wanted and not noted yet, and wakes the listener.
    pub(crate) fn put(&self, change: &Change) {
        if !self.may_want(change) {
            return;
        }
        let waker = {
            let mut inner = self.lock();
            if !inner.put(change) {
                return;
            }
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Counts on `counter` for as long as there are subscriptions.
    pub(crate) fn count_on(&self, counter: &Arc<AtomicUsize>) {
        let mut inner = self.lock();
        if !inner.uris.is_empty() {
            counter.fetch_add(1, Ordering::AcqRel);
        }
        inner.counter = Some(counter.clone());
    }

    /// Counts no more.
    pub(crate) fn leave(&self) {
        let mut inner = self.lock();
        if let (false, Some(counter)) = (inner.uris.is_empty(), inner.counter.take()) {
            counter.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Subscribes to a resource; false when there are `most` subscriptions without it.
    pub(crate) fn subscribe(&self, uri: &str, most: usize) -> bool {
        let mut inner = self.lock();
        if !inner.uris.contains_key(uri) {
            if inner.uris.len() >= most {
                return false;
            }
            inner.uris.insert(uri.into(), false);
            if let (1, Some(counter)) = (inner.uris.len(), &inner.counter) {
                counter.fetch_add(1, Ordering::AcqRel);
            }
            self.kinds.fetch_or(URIS, Ordering::AcqRel);
        }
        true
    }

    /// Ends a subscription; what changed and was not told is forgotten.
    pub(crate) fn unsubscribe(&self, uri: &str) {
        let mut inner = self.lock();
        let Some(changed) = inner.uris.remove(uri) else { return };
        if changed {
            inner.order.retain(|changed| **changed != *uri);
        }
        if inner.uris.is_empty() {
            if let Some(counter) = &inner.counter {
                counter.fetch_sub(1, Ordering::AcqRel);
            }
            inner.uris = HashMap::new();
            inner.order = VecDeque::new();
            self.kinds.fetch_and(!URIS, Ordering::AcqRel);
        }
    }

    /// The next thing to tell.
    #[cfg(test)]
    pub(crate) fn take(&self) -> Option<Notice> {
        self.lock().take()
    }

    /// The next thing to tell; the task is woken when there is one. A reader of an earlier `turn` cannot take the place
    /// of a later one: it gets nothing and is not woken.
    pub(crate) fn poll_take(&self, turn: u64, cx: &Context<'_>) -> Poll<Notice> {
        let mut inner = self.lock();
        if turn < inner.turn {
            return Poll::Pending;
        }
        inner.turn = turn;
        if let Some(notice) = inner.take() {
            return Poll::Ready(notice);
        }
        match &mut inner.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            slot => *slot = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Inner {
    /// False when the change is known, or not wanted.
    fn put(&mut self, change: &Change) -> bool {
        let Change::Resource(uri) = change else {
            let before = self.changed;
            self.changed |= kind(change);
            return before != self.changed;
        };
        let Some((uri, changed @ false)) = entry(&mut self.uris, uri) else { return false };
        *changed = true;
        self.order.push_back(uri);
        true
    }

    fn take(&mut self) -> Option<Notice> {
        for (kind, notice) in
            [(TOOLS, Notice::Tools), (PROMPTS, Notice::Prompts), (RESOURCES, Notice::Resources)]
        {
            if self.changed & kind != 0 {
                self.changed &= !kind;
                return Some(notice);
            }
        }
        let uri = self.order.pop_front()?;
        if let Some(changed) = self.uris.get_mut(&uri) {
            *changed = false;
        }
        Some(Notice::Resource(uri))
    }
}

fn kind(change: &Change) -> u8 {
    match change {
        Change::Tools => TOOLS,
        Change::Prompts => PROMPTS,
        Change::Resources => RESOURCES,
        Change::Resource(_) => URIS,
    }
}

/// A subscription with its key.
fn entry<'a>(uris: &'a mut HashMap<Arc<str>, bool>, uri: &str) -> Option<(Arc<str>, &'a mut bool)> {
    let key = uris.get_key_value(uri)?.0.clone();
    Some((key, uris.get_mut(uri)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(uri: &str) -> Change {
        Change::Resource(uri.into())
    }

    #[test]
    fn what_is_noted_is_not_noted_twice() {
        let inbox = Inbox::new(Wanted::ALL, vec!["a:1".into(), "a:2".into()]);
        for _ in 0..1_000 {
            for change in [Change::Resources, changed("a:2"), changed("a:1"), changed("a:3"), Change::Tools] {
                inbox.put(&change);
            }
        }
        let told: Vec<_> = std::iter::from_fn(|| inbox.take()).collect();
        let uri = |uri: &str| Notice::Resource(uri.into());
        assert_eq!(told, [Notice::Tools, Notice::Resources, uri("a:2"), uri("a:1")]);
        inbox.put(&changed("a:1"));
        assert_eq!(inbox.take(), Some(uri("a:1")));
    }

    #[test]
    fn subscriptions_come_go_and_are_bounded() {
        let inbox = Inbox::new(Wanted::default(), Vec::new());
        assert!(!inbox.may_want(&changed("a:1")));
        assert!(inbox.subscribe("a:1", 2) && inbox.subscribe("a:2", 2) && inbox.subscribe("a:1", 2));
        assert!(!inbox.subscribe("a:3", 2));
        inbox.put(&changed("a:1"));
        inbox.unsubscribe("a:1");
        inbox.unsubscribe("a:9");
        assert_eq!(inbox.take(), None);
        inbox.unsubscribe("a:2");
        assert!(!inbox.may_want(&changed("a:2")));
    }

    #[test]
    fn an_earlier_reader_does_not_take_the_place_of_a_later_one() {
        let inbox = Inbox::new(Wanted::ALL, Vec::new());
        let cx = Context::from_waker(Waker::noop());
        assert!(inbox.poll_take(1, &cx).is_pending());
        assert!(inbox.poll_take(2, &cx).is_pending());
        assert!(inbox.poll_take(1, &cx).is_pending());
        inbox.put(&Change::Tools);
        assert!(inbox.poll_take(1, &cx).is_pending());
        assert_eq!(inbox.poll_take(2, &cx), Poll::Ready(Notice::Tools));
    }
}
