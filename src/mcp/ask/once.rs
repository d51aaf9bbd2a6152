//! Side effects that happen once, however often the handler runs again.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::mcp::call::context::{CallState, Context};
use crate::mcp::message::json;
use crate::mcp::offer::call_error::CallError;

thread_local! {
    /// The call whose body of `once` this thread runs right now; zero for none.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
}

/// True while this thread runs a body of `once` of the call.
pub(crate) fn is_inside(state: &Arc<CallState>) -> bool {
    INSIDE.get() == Arc::as_ptr(state).addr()
}

/// Puts the mark back at the end of the scope.
struct Mark(usize);

impl Mark {
    fn set(state: &Arc<CallState>) -> Mark {
        Mark(INSIDE.replace(Arc::as_ptr(state).addr()))
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        INSIDE.set(self.0);
    }
}

impl Context {
    /// Does something once over all rounds of a call, and gives its result each time.
    ///
    /// In 2026-07-28 the handler runs again from its start when the client has answered a question. What must not
    /// happen twice, such as placing an order, belongs in here: its result is kept, as JSON, in the sealed state that
    /// travels with the client, so it should be small, and later rounds get it back without running the function. A
    /// function that has begun is let to its end before a question beside it ends the run. An error is not kept.
    ///
    /// It is once for one call of the client and its retries: another call runs it again, and so does a retry from a
    /// state of before it ran (see [`Tool::single_use`](crate::mcp::Tool::single_use)). A call that fails after it
    /// forgets it.
    ///
    /// # Errors
    /// The function's own. A result that cannot be written as JSON, or read back as `T`, a question asked inside the
    /// function, and a key that runs already beside it are internal errors.
    pub async fn once<T, F, Fut>(&self, key: impl AsRef<str>, function: F) -> Result<T, CallError>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, CallError>>,
    {
        let key = key.as_ref();
        if let Some(result) = self.state.asking.with(|inner| inner.memory.done.get(key).cloned()) {
            return serde_json::from_str(&result)
                .map_err(|error| CallError::internal(format!("the kept result of once({key:?}): {error}")));
        }
        let running = self.state.asking.run_once(key);
        let running = running.ok_or_else(|| CallError::internal(format!("once({key:?}) runs already")))?;
        let mut future = pin!(function());
        let value = poll_fn(|cx| {
            let _mark = Mark::set(&self.state);
            future.as_mut().poll(cx)
        })
        .await;
        let kept = value.and_then(|value| self.keep_done(key, value));
        drop(running);
        if self.state.asking.is_suspended() {
            // On another thread nobody else would tell the call that a question beside this may end it.
            self.state.signals.wake();
        }
        kept
    }

    fn keep_done<T: Serialize>(&self, key: &str, value: T) -> Result<T, CallError> {
        let result =
            json::line(&value).map_err(|error| CallError::internal(format!("once({key:?}): {error}")))?;
        self.state.asking.with(|inner| inner.memory.done.insert(key.to_owned(), result));
        Ok(value)
    }
}
