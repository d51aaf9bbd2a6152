//! Panics as values: caught where a task is polled, kept as a message.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Runs `action` and turns a panic into its message.
///
/// The state that `action` touches may be half changed after a panic. Callers drop it, or are built to bear it.
pub(super) fn catch<T>(action: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(action)).map_err(|payload| panic_message(payload.as_ref()))
}

/// The text of a panic's payload, or a stand-in when the payload is no text.
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a text message".to_owned()
    }
}

/// Runs a future to its end or to its first panic.
pub(super) async fn caught<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(Some(future));
    let outcome = poll_fn(|cx| {
        let running = future.as_mut().as_pin_mut().expect("invariant: polled only until it is ready");
        match catch(|| running.poll(cx)) {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(message) => Poll::Ready(Err(message)),
        }
    })
    .await;
    // The destructor of what the future held may panic as well.
    let dropped = catch(|| future.set(None));
    outcome.and_then(|output| dropped.map(|()| output))
}
