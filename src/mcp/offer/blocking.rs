//! What blocks a thread: it runs on a bounded pool that the server brings.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};

use crate::mcp::call::context::Context;
use crate::mcp::call::outcome::panicked;
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::offer::call_error::{CallError, Failure};

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

struct Slot<T> {
    result: Option<Result<T, CallError>>,
    waker: Option<Waker>,
}

/// The job's end of the channel: takes one result. Dropped without one, the call fails instead of waiting for ever.
pub(crate) struct Completer<T>(Arc<Mutex<Slot<T>>>);

/// The call's end: resolves to the result.
pub(crate) struct Completion<T>(Arc<Mutex<Slot<T>>>);

pub(crate) fn completion<T>() -> (Completer<T>, Completion<T>) {
    let slot = Arc::new(Mutex::new(Slot { result: None, waker: None }));
    (Completer(Arc::clone(&slot)), Completion(slot))
}

impl<T> Completer<T> {
    pub(crate) fn complete(self, result: Result<T, CallError>) {
        self.put(result);
    }

    fn put(&self, result: Result<T, CallError>) {
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

impl<T> Drop for Completer<T> {
    fn drop(&mut self) {
        if Arc::strong_count(&self.0) > 1 {
            self.put(Err(CallError::internal("the blocking job was dropped before it ended")));
        }
    }
}

impl<T> Future for Completion<T> {
    type Output = Result<T, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Result<T, CallError>> {
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

impl Context {
    /// Runs a function that blocks its thread on the bounded pool of the blocking tools, and waits for what it returns.
    /// Resources, prompts and completions, which run on the core that took the request, read files this way.
    ///
    /// A function that has begun runs to its end, also when the call is cancelled meanwhile.
    ///
    /// # Errors
    /// Every thread is busy and their queue is full (`max_blocking_threads`, `max_blocking_queue`): the call is answered
    /// as overloaded. The function panicked, or there is no pool: an internal error.
    pub async fn offload<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CallError> {
        let Some(pool) = self.state.snapshot.shared().options.offload.as_ref() else {
            return Err(CallError::internal("there is no pool for functions that block"));
        };
        let (completer, completion) = completion();
        let name = self.name().to_owned();
        let run = move || {
            let result = catch_unwind(AssertUnwindSafe(job));
            completer.complete(result.map_err(|panic| panicked(&name, &*panic)));
        };
        pool.submit(Box::new(run)).map_err(|OffloadFull| {
            let message = "Every thread for functions that block is taken; try again later".into();
            CallError(Failure::Known { kind: ErrorKind::BlockingFull, message })
        })?;
        completion.await
    }
}
