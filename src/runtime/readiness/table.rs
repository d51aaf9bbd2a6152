//! What is known of the readiness of each socket that a core watches.
//!
//! Pure: completions come in as numbers, wakers go out. A socket is watched by one poll that stays armed. It tells of
//! changes, not of states: what it said holds until a read found less than it asked for.

use std::task::{Context, Waker};

/// Events that no later read takes back: the peer has ended its side, or the connection is broken.
const ENDED: i32 = (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) as i32;

/// The end of the list of free slots.
const NONE: u32 = u32::MAX;

/// A watched socket's place in the table, with the number of its use: a late completion for an earlier use of the
/// place is told apart by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    index: u32,
    turn: u32,
}

impl Key {
    /// As the ring carries it.
    pub(super) fn user_data(self) -> u64 {
        u64::from(self.turn) << 32 | u64::from(self.index)
    }

    fn from_user_data(data: u64) -> Self {
        Self { index: data as u32, turn: (data >> 32) as u32 }
    }
}

/// Who holds a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Nobody,
    Stream,
    /// The stream is gone, its poll is not yet.
    Poll,
}

#[derive(Debug)]
struct Slot {
    turn: u32,
    holder: Holder,
    /// A poll of it is with the kernel.
    armed: bool,
    /// A read may find something.
    ready: bool,
    /// It will stay ready.
    ended: bool,
    /// The kernel would not watch it.
    refused: bool,
    waker: Option<Waker>,
    next_free: u32,
}

/// The watched sockets of a core.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: u32,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), free: NONE }
    }

    /// A place for a socket of which nothing is known; its poll is about to be armed.
    pub(super) fn insert(&mut self) -> Key {
        if self.free == NONE {
            let index = u32::try_from(self.slots.len()).expect("invariant: a process has fewer descriptors");
            self.slots.push(Slot {
                turn: 0,
                holder: Holder::Nobody,
                armed: false,
                ready: false,
                ended: false,
                refused: false,
                waker: None,
                next_free: NONE,
            });
            self.free = index;
        }
        let index = self.free;
        let slot = &mut self.slots[index as usize];
        self.free = slot.next_free;
        (slot.holder, slot.armed) = (Holder::Stream, true);
        Key { index, turn: slot.turn }
    }

    /// Its stream is gone. Says whether a poll is left that must be taken back; the place is free once that has ended.
    pub(super) fn leave(&mut self, key: Key) -> (bool, Option<Waker>) {
        let Some(slot) = self.slot(key) else { return (false, None) };
        let waker = slot.waker.take();
        slot.holder = Holder::Poll;
        let armed = slot.armed;
        if !armed {
            self.release(key.index);
        }
        (armed, waker)
    }

    /// Takes in a completion: `result` is a mask of events, or an error below zero; after `more` the poll is still armed.
    /// Gives whom to wake.
    pub(super) fn complete(&mut self, user_data: u64, result: i32, more: bool) -> Option<Waker> {
        let key = Key::from_user_data(user_data);
        let slot = self.slot(key)?;
        slot.armed = more;
        slot.ready = true;
        slot.ended |= result < 0 || result & ENDED != 0;
        slot.refused |= result < 0;
        let waker = slot.waker.take();
        if slot.holder == Holder::Poll && !more {
            self.release(key.index);
            return None;
        }
        waker
    }

    /// The ring has failed: everybody looks for themselves, and watches elsewhere.
    pub(super) fn refuse_all(&mut self) -> Vec<Waker> {
        for slot in &mut self.slots {
            (slot.ready, slot.refused, slot.armed) = (true, true, false);
        }
        self.slots.iter_mut().filter_map(|slot| slot.waker.take()).collect()
    }

    /// Whether a read may find something.
    pub(super) fn is_ready(&self, key: Key) -> bool {
        self.slots[key.index as usize].ready
    }

    /// Whether the kernel would not watch it.
    pub(super) fn is_refused(&self, key: Key) -> bool {
        self.slots[key.index as usize].refused
    }

    /// A read found less than it asked for: the next one has to wait, unless nothing more can come.
    pub(super) fn drained(&mut self, key: Key) {
        let slot = &mut self.slots[key.index as usize];
        slot.ready = slot.ended;
    }

    /// A read would have blocked: its task waits. Says whether the poll has to be armed anew.
    pub(super) fn wait(&mut self, key: Key, cx: &Context<'_>) -> (bool, Option<Waker>) {
        let slot = &mut self.slots[key.index as usize];
        (slot.ready, slot.ended) = (false, false);
        let arm = !std::mem::replace(&mut slot.armed, true);
        if slot.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return (arm, None);
        }
        (arm, slot.waker.replace(cx.waker().clone()))
    }

    fn slot(&mut self, key: Key) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(key.index as usize)?;
        (slot.turn == key.turn && slot.holder != Holder::Nobody).then_some(slot)
    }

    fn release(&mut self, index: u32) {
        let next_free = std::mem::replace(&mut self.free, index);
        let slot = &mut self.slots[index as usize];
        let turn = slot.turn.wrapping_add(1);
        *slot = Slot {
            turn,
            holder: Holder::Nobody,
            armed: false,
            ready: false,
            ended: false,
            refused: false,
            waker: None,
            next_free,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    const IN: i32 = libc::POLLIN as i32;
    const END: i32 = IN | libc::POLLRDHUP as i32;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn wait(table: &mut Table, key: Key) -> (bool, Arc<Count>) {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        (table.wait(key, &Context::from_waker(&waker)).0, count)
    }

    #[test]
    fn an_event_wakes_its_waiter_once_and_holds_until_a_read_falls_short() {
        let mut table = Table::new();
        let (a, b) = (table.insert(), table.insert());
        let (arm, woken) = wait(&mut table, a);
        assert!(!arm && !table.is_ready(a));
        table.complete(a.user_data(), IN, true).unwrap().wake();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(table.complete(a.user_data(), IN, true).is_none());
        assert!(table.is_ready(a) && !table.is_ready(b));
        table.drained(a);
        assert!(!table.is_ready(a));
    }

    #[test]
    fn after_the_end_a_short_read_is_followed_by_another() {
        let mut table = Table::new();
        let key = table.insert();
        table.complete(key.user_data(), END, true);
        table.drained(key);
        assert!(table.is_ready(key), "the end of the stream has not been read yet");
        wait(&mut table, key);
        assert!(!table.is_ready(key), "a read that would block does not spin");
    }

    #[test]
    fn a_poll_that_ended_is_armed_anew_by_the_next_wait() {
        let mut table = Table::new();
        let key = table.insert();
        table.complete(key.user_data(), IN, false);
        assert!(wait(&mut table, key).0);
        assert!(!wait(&mut table, key).0);
    }

    #[test]
    fn a_place_is_used_again_only_after_its_poll_has_ended() {
        let mut table = Table::new();
        let old = table.insert();
        assert!(table.leave(old).0);
        let other = table.insert();
        assert_ne!(other.index, old.index);
        assert!(table.complete(old.user_data(), -libc::ECANCELED, false).is_none());
        let new = table.insert();
        assert_eq!(new.index, old.index);
        table.complete(old.user_data(), IN, true);
        assert!(!table.is_ready(new), "a late event of the one before");
    }

    #[test]
    fn a_stream_whose_poll_has_ended_leaves_nothing_to_take_back() {
        let mut table = Table::new();
        let key = table.insert();
        table.complete(key.user_data(), END, false);
        assert!(!table.leave(key).0);
        assert_eq!(table.insert().index, key.index);
    }

    #[test]
    fn what_the_kernel_refuses_is_ready_and_said_to_be_refused() {
        let mut table = Table::new();
        let (a, b) = (table.insert(), table.insert());
        let (_, woken) = wait(&mut table, a);
        table.complete(a.user_data(), -libc::ENOMEM, false).unwrap().wake();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(table.is_refused(a) && table.is_ready(a) && !table.is_refused(b));
        let (_, woken) = wait(&mut table, b);
        table.refuse_all().into_iter().for_each(Waker::wake);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(table.is_refused(b));
    }
}
