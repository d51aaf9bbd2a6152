//! The connections of one core, so that a drain can wake each of them without a lock or a broadcast on the hot path.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::{Context, Waker};

/// How far the shutdown of this core has come, as its connections see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Requests are taken.
    Serving,
    /// What has been accepted is still answered; each answer closes its connection.
    Draining,
    /// Connections without a request close now.
    Closing,
    /// Requests in flight are cancelled.
    Cancelling,
}

/// The open connections of one core and the phase they follow.
#[derive(Debug)]
pub(crate) struct Roster {
    phase: Cell<Phase>,
    next: Cell<u64>,
    entries: RefCell<HashMap<u64, Rc<Entry>>>,
    /// Members that a drain waits for.
    awaited: Cell<usize>,
    /// Counts the requests seen, so that a drain can tell an idle core from a busy one.
    activity: Cell<u64>,
}

#[derive(Debug, Default)]
struct Entry {
    waker: RefCell<Option<Waker>>,
}

impl Roster {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            phase: Cell::new(Phase::Serving),
            next: Cell::new(0),
            entries: RefCell::default(),
            awaited: Cell::new(0),
            activity: Cell::new(0),
        })
    }

    /// How many members a drain still waits for.
    pub(crate) fn awaited(&self) -> usize {
        self.awaited.get()
    }

    pub(crate) fn activity(&self) -> u64 {
        self.activity.get()
    }

    /// Moves every connection to a later phase and wakes it; an earlier phase is ignored.
    pub(crate) fn advance(&self, phase: Phase) {
        if phase <= self.phase.get() {
            return;
        }
        self.phase.set(phase);
        // Wakers are taken out first: waking may run code that enters or leaves the roster.
        let wakers: Vec<Waker> =
            self.entries.borrow().values().filter_map(|entry| entry.waker.borrow_mut().take()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Takes a member in. A drain waits for it only if it is `awaited`; one that is not, a probe's connection, is told
    /// of the last phase alone.
    pub(crate) fn enter(self: &Rc<Self>, awaited: bool) -> Member {
        let id = self.next.get();
        self.next.set(id + 1);
        let entry = Rc::new(Entry::default());
        self.entries.borrow_mut().insert(id, entry.clone());
        self.awaited.set(self.awaited.get() + usize::from(awaited));
        Member { roster: self.clone(), entry, id, awaited }
    }
}

/// One connection's place in the roster; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Member {
    roster: Rc<Roster>,
    entry: Rc<Entry>,
    id: u64,
    awaited: bool,
}

impl Member {
    pub(crate) fn phase(&self) -> Phase {
        match self.roster.phase.get() {
            Phase::Closing if !self.awaited => Phase::Draining,
            phase => phase,
        }
    }

    /// Has the task woken when the phase changes. Cheap when the task is the one already known.
    pub(crate) fn watch(&self, cx: &Context<'_>) {
        let mut waker = self.entry.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
    }

    pub(crate) fn note_request(&self) {
        self.roster.activity.set(self.roster.activity.get() + 1);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.roster.entries.borrow_mut().remove(&self.id);
        self.roster.awaited.set(self.roster.awaited.get() - usize::from(self.awaited));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn every_member_is_woken_once_for_a_later_phase() {
        let roster = Roster::new();
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let members: Vec<_> = (0..3).map(|_| roster.enter(true)).collect();
        for member in &members {
            member.watch(&Context::from_waker(&waker));
        }
        roster.advance(Phase::Draining);
        roster.advance(Phase::Draining);
        assert_eq!(count.0.load(Ordering::SeqCst), 3);
        assert_eq!(members[0].phase(), Phase::Draining);
        roster.advance(Phase::Serving);
        assert_eq!(roster.phase.get(), Phase::Draining);
    }

    #[test]
    fn a_probe_is_neither_awaited_nor_closed_early() {
        let roster = Roster::new();
        let probe = roster.enter(false);
        assert_eq!(roster.awaited(), 0);
        roster.advance(Phase::Closing);
        assert_eq!(probe.phase(), Phase::Draining);
        roster.advance(Phase::Cancelling);
        assert_eq!(probe.phase(), Phase::Cancelling);
    }

    #[test]
    fn a_dropped_member_leaves() {
        let roster = Roster::new();
        let first = roster.enter(true);
        let second = roster.enter(true);
        drop(first);
        assert_eq!(roster.awaited(), 1);
        drop(second);
        assert_eq!(roster.awaited(), 0);
    }
}
