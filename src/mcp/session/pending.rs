//! The server's own requests to the client of a session, until they are answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// The questions of one session. An answer may come on any core.
#[derive(Default)]
pub(crate) struct Pending {
    last_id: AtomicU64,
    /// Each belongs to a call in flight, which may have `max_questions` of them.
    open: Mutex<BTreeMap<u64, Arc<Slot>>>,
}

impl Pending {
    /// A new request, with an id that the session has not seen.
    pub(crate) fn open(&self) -> (u64, Arc<Slot>) {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let slot = Arc::new(Slot::default());
        crate::mcp::lock(&self.open).insert(id, slot.clone());
        (id, slot)
    }

    /// Takes the client's answer, as far as there is room for it; false where nobody waits for it.
    pub(crate) fn answer(&self, id: u64, reply: Reply, room: &Arc<AnswerRoom>) -> bool {
        let Some(slot) = crate::mcp::lock(&self.open).remove(&id) else { return false };
        let reply = match reply {
            Reply::Result(raw) if !slot.hold(room, raw.len()) => Reply::NoRoom,
            reply => reply,
        };
        slot.put(reply)
    }

    /// Forgets a request that nobody waits for any more.
    pub(crate) fn close(&self, id: u64) {
        crate::mcp::lock(&self.open).remove(&id);
    }
}

/// What became of a request to the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The result, as JSON text.
    Result(Box<str>),
    /// The client's error.
    Error { code: i64, message: String },
    /// Neither a result nor an error that can be read.
    Malformed,
    /// There was none in time.
    TimedOut,
    /// The process holds as many bytes of answers as it may.
    NoRoom,
    /// The client cannot be reached while the call runs.
    Unreachable,
}

/// Where one reply is put and waited for.
#[derive(Default)]
pub(crate) struct Slot {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    reply: Option<Reply>,
    waker: Option<Waker>,
    done: bool,
    held: Option<HeldAnswer>,
}

/// The bytes of answers that calls of the process keep, and may keep.
pub(crate) struct AnswerRoom {
    max: u64,
    held: AtomicU64,
}

/// The room that one answer takes; dropping it gives it back.
struct HeldAnswer {
    room: Arc<AnswerRoom>,
    bytes: u64,
}

impl AnswerRoom {
    pub(crate) fn new(max: u64) -> Arc<AnswerRoom> {
        Arc::new(AnswerRoom { max, held: AtomicU64::new(0) })
    }
}

impl Drop for HeldAnswer {
    fn drop(&mut self) {
        self.room.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Slot {
    /// Makes room for an answer for as long as the slot lives; false where there is none.
    fn hold(&self, room: &Arc<AnswerRoom>, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let before = room.held.fetch_add(bytes, Ordering::Relaxed);
        let held = HeldAnswer { room: room.clone(), bytes };
        let fits = before + bytes <= room.max;
        if fits {
            crate::mcp::lock(&self.inner).held = Some(held);
        }
        fits
    }

    /// Puts the reply; the first one counts. Wakes whoever waits, on whatever core.
    pub(crate) fn put(&self, reply: Reply) -> bool {
        let mut inner = crate::mcp::lock(&self.inner);
        if std::mem::replace(&mut inner.done, true) {
            return false;
        }
        inner.reply = Some(reply);
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Resolves to the reply, once.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Reply> {
        let mut inner = crate::mcp::lock(&self.inner);
        match inner.reply.take() {
            Some(reply) => Poll::Ready(reply),
            None => {
                inner.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Whether a reply was put, taken or not.
    pub(crate) fn is_done(&self) -> bool {
        crate::mcp::lock(&self.inner).done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(slot: &Slot) -> Poll<Reply> {
        slot.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn each_request_has_an_id_of_its_own_and_one_answer() {
        let (pending, room) = (Pending::default(), AnswerRoom::new(100));
        let ((first, one), (second, two)) = (pending.open(), pending.open());
        assert_ne!(first, second);
        assert!(poll(&one).is_pending());
        assert!(pending.answer(first, Reply::Malformed, &room));
        assert!(!pending.answer(first, Reply::TimedOut, &room), "twice");
        assert!(!pending.answer(99, Reply::TimedOut, &room), "unknown");
        assert_eq!(poll(&one), Poll::Ready(Reply::Malformed));
        assert!(poll(&one).is_pending() && one.is_done());
        assert!(poll(&two).is_pending() && !two.is_done());
        pending.close(second);
        assert!(!pending.answer(second, Reply::Malformed, &room), "late");
    }

    #[test]
    fn an_answer_wakes_another_thread() {
        let (pending, room) = (Arc::new(Pending::default()), AnswerRoom::new(100));
        let (id, slot) = pending.open();
        let waiting = std::thread::spawn(move || {
            futures_lite::future::block_on(std::future::poll_fn(|cx| slot.poll(cx)))
        });
        assert!(pending.answer(id, Reply::Result("{}".into()), &room));
        assert_eq!(waiting.join().unwrap(), Reply::Result("{}".into()));
    }

    #[test]
    fn the_first_reply_counts() {
        let slot = Slot::default();
        assert!(slot.put(Reply::TimedOut));
        assert!(!slot.put(Reply::Malformed));
        assert_eq!(poll(&slot), Poll::Ready(Reply::TimedOut));
    }

    #[test]
    fn answers_take_room_for_as_long_as_they_are_kept() {
        let (pending, room) = (Pending::default(), AnswerRoom::new(100));
        let answer = |bytes: usize| {
            let (id, slot) = pending.open();
            assert!(pending.answer(id, Reply::Result("x".repeat(bytes).into()), &room));
            (poll(&slot) == Poll::Ready(Reply::NoRoom), slot)
        };
        let (first, second) = (answer(60), answer(60));
        assert!(!first.0 && second.0);
        drop(first);
        assert!(!answer(100).0);
        assert_eq!(room.held.load(Ordering::Relaxed), 0);
    }
}
