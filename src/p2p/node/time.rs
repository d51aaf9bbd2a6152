//! Work within a time.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::runtime::Deadline;

/// What the work comes to, or `None` when the time is over; it is dropped then. Work that ends at its first poll costs
/// no deadline.
pub(super) async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut deadline = None;
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        let deadline = deadline.get_or_insert_with(|| {
            let deadline = Deadline::new();
            deadline.set_after(time);
            deadline
        });
        deadline.poll_expired(cx).map(|()| None)
    })
    .await
}
