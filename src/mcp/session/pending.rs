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

    /// Takes the client's answer; false where nobody waits for it.
    pub(crate) fn answer(&self, id: u64, reply: Reply) -> bool {
        let slot = crate::mcp::lock(&self.open).remove(&id);
        slot.is_some_and(|slot| slot.put(reply))
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
}

impl Slot {
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
        let pending = Pending::default();
        let ((first, one), (second, two)) = (pending.open(), pending.open());
        assert_ne!(first, second);
        assert!(poll(&one).is_pending());
        assert!(pending.answer(first, Reply::Malformed));
        assert!(!pending.answer(first, Reply::TimedOut), "twice");
        assert!(!pending.answer(99, Reply::TimedOut), "unknown");
        assert_eq!(poll(&one), Poll::Ready(Reply::Malformed));
        assert!(poll(&one).is_pending() && one.is_done());
        assert!(poll(&two).is_pending() && !two.is_done());
        pending.close(second);
        assert!(!pending.answer(second, Reply::Malformed), "late");
    }

    #[test]
    fn an_answer_wakes_another_thread() {
        let pending = Arc::new(Pending::default());
        let (id, slot) = pending.open();
        let waiting = std::thread::spawn(move || {
            futures_lite::future::block_on(std::future::poll_fn(|cx| slot.poll(cx)))
        });
        assert!(pending.answer(id, Reply::Result("{}".into())));
        assert_eq!(waiting.join().unwrap(), Reply::Result("{}".into()));
    }

    #[test]
    fn the_first_reply_counts() {
        let slot = Slot::default();
        assert!(slot.put(Reply::TimedOut));
        assert!(!slot.put(Reply::Malformed));
        assert_eq!(poll(&slot), Poll::Ready(Reply::TimedOut));
    }
}
