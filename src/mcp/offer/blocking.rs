//! Tools that block a thread: they run on a bounded pool that the server brings.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};

use crate::mcp::offer::call_error::CallError;
use crate::mcp::offer::handler::Produced;

/// A bounded pool of threads.
pub trait Offload: Send + Sync {
    /// Runs the job on one of the threads, soon.
    ///
    /// # Errors
    /// No thread and no place in the queue is free; the job is dropped.
    fn submit(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), OffloadFull>;
}

/// The pool takes no more jobs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffloadFull;

impl std::fmt::Display for OffloadFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no thread and no place in the queue of the blocking pool is free")
    }
}

impl std::error::Error for OffloadFull {}

type JobResult = Result<Produced, CallError>;

#[derive(Default)]
struct Slot {
    result: Option<JobResult>,
    waker: Option<Waker>,
}

/// The job's end of the channel: takes one result. Dropped without one, the call fails instead of waiting for ever.
pub(crate) struct Completer(Arc<Mutex<Slot>>);

/// The call's end: resolves to the result.
pub(crate) struct Completion(Arc<Mutex<Slot>>);

pub(crate) fn completion() -> (Completer, Completion) {
    let slot = Arc::default();
    (Completer(Arc::clone(&slot)), Completion(slot))
}

impl Completer {
    pub(crate) fn complete(self, result: JobResult) {
        self.put(result);
    }

    fn put(&self, result: JobResult) {
        let waker = {
            let mut slot = crate::mcp::lock(&self.0);
            slot.result.get_or_insert(result);
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Completer {
    fn drop(&mut self) {
        if Arc::strong_count(&self.0) > 1 {
            self.put(Err(CallError::internal("the blocking job was dropped before it ended")));
        }
    }
}

impl Future for Completion {
    type Output = JobResult;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<JobResult> {
        let mut slot = crate::mcp::lock(&self.0);
        match slot.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
