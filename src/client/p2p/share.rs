//! The part of a stream that belongs to one request, or to none.

use std::rc::Rc;
use std::time::Duration;

use futures_lite::future;

use super::feed::{Arrival, Feed};
use super::lane::{Lane, Parcel, Wish};
use super::scan::Id;
use crate::client::transport::{Event, EventSource, LocalBoxFuture, TransportError};
use crate::runtime::sleep;

/// What a request, or whoever stands at the stream, hears. Dropping it gives that up.
pub(super) struct Share {
    pub(super) lane: Rc<Lane>,
    pub(super) feed: Rc<Feed>,
    /// The request, and its message on the way.
    pub(super) request: Option<(Id, Rc<Parcel>)>,
    pub(super) idle_timeout: Option<Duration>,
    /// What was read to tell which kind of answer it is.
    pub(super) first: Option<Arrival>,
    pub(super) is_over: bool,
}

impl Share {
    async fn arrival(&mut self) -> Result<Arrival, TransportError> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        let Some(most) = self.idle_timeout else { return self.feed.next().await };
        let late = async {
            sleep(most).await;
            Err(TransportError::Timeout { what: "the next message" })
        };
        future::or(self.feed.next(), late).await
    }
}

impl EventSource for Share {
    fn next<'a>(&'a mut self) -> LocalBoxFuture<'a, Option<Result<Event, TransportError>>> {
        Box::pin(async {
            if self.is_over {
                return None;
            }
            let arrival = self.arrival().await;
            self.is_over = arrival.as_ref().map_or(true, |arrival| arrival.is_last);
            Some(arrival.map(|arrival| Event { data: arrival.bytes, ..Event::default() }))
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some((id, parcel)) = &self.request else {
            self.lane.routes.borrow_mut().leave();
            return;
        };
        let unsent = parcel.withdraw();
        if !self.lane.give_up(id, &self.feed) {
            return;
        }
        if unsent {
            // The peer need not hear of what it never saw.
            self.lane.routes.borrow_mut().cancelled(id);
        } else if self.lane.old.get().is_some() {
            // The peer would answer in its turn, before anything else; the end of the stream is all that it understands.
            self.lane.end(Wish::Reset);
        }
    }
}
