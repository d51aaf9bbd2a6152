//! The streams to one peer: which of them a request takes, and when another one is opened.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use event_listener::Event;
use futures_lite::future;

use super::lane::{Lane, Wish};
use super::open::OpenStreams;
use super::options::P2pOptions;
use super::pump;
use super::scan::Id;
use crate::client::transport::TransportError;
use crate::client::wire::Gate;
use crate::runtime::{LONGEST_WAIT, Scope, Timer, sleep};

/// All streams to one peer.
pub(super) struct Lanes {
    scope: Scope,
    pub(super) streams: Rc<dyn OpenStreams>,
    pub(super) options: P2pOptions,
    lanes: RefCell<Vec<Rc<Lane>>>,
    /// One stream is opened at a time: it may have room for all who wait.
    opening: Gate,
    freed: Rc<Event>,
    next: Cell<u64>,
}

/// A stream for one request.
pub(super) struct Picked {
    pub(super) lane: Rc<Lane>,
    /// Whether it was opened for this request, so that it cannot be stale.
    pub(super) is_fresh: bool,
}

impl Lanes {
    pub(super) fn new(scope: &Scope, streams: Rc<dyn OpenStreams>, options: P2pOptions) -> Self {
        Lanes {
            scope: scope.clone(),
            streams,
            options,
            lanes: RefCell::default(),
            opening: Gate::default(),
            freed: Rc::default(),
            next: Cell::new(1),
        }
    }

    /// Streams that are open now.
    pub(super) fn open_now(&self) -> usize {
        self.lanes.borrow().iter().filter(|lane| lane.is_open()).count()
    }

    fn find(&self, wanted: impl Fn(&Lane) -> bool) -> Option<Rc<Lane>> {
        let mut lanes = self.lanes.borrow_mut();
        lanes.retain(|lane| !lane.is_over());
        lanes.iter().find(|lane| lane.is_open() && wanted(lane)).map(Rc::clone)
    }

    /// The stream that is this session.
    pub(super) fn of_session(&self, id: &str) -> Option<Rc<Lane>> {
        self.find(|lane| lane.in_session && lane.session_id() == id)
    }

    /// The stream that a request went.
    pub(super) fn of_request(&self, id: &Id) -> Option<Rc<Lane>> {
        self.find(|lane| lane.routes.borrow().knows(id))
    }

    /// A stream with room for one more request, which may be waited for so long.
    pub(super) async fn pick(&self, patience: Duration) -> Result<Picked, TransportError> {
        let last = Instant::now() + patience.min(LONGEST_WAIT);
        loop {
            if let Some(lane) = self.with_room() {
                return Ok(Picked { lane, is_fresh: false });
            }
            if self.is_full() {
                self.room(last, || self.with_room().is_some() || !self.is_full()).await?;
                continue;
            }
            let _alone = self.opening.enter().await;
            if self.with_room().is_none() && !self.is_full() {
                return Ok(Picked { lane: self.open(false).await?, is_fresh: true });
            }
        }
    }

    fn with_room(&self) -> Option<Rc<Lane>> {
        self.find(|lane| !lane.in_session && self.has_room(lane))
    }

    pub(super) fn has_room(&self, lane: &Lane) -> bool {
        lane.requests() < self.options.max_stream_requests.max(1)
    }

    /// Waits until there is room.
    pub(super) async fn room(
        &self,
        last: Instant,
        is_there: impl Fn() -> bool,
    ) -> Result<(), TransportError> {
        let wait = async {
            loop {
                let freed = self.freed.listen();
                if is_there() {
                    return Ok(());
                }
                freed.await;
            }
        };
        let late = async {
            Timer::at(last).await;
            Err(TransportError::Busy { max: self.options.max_streams })
        };
        future::or(wait, late).await
    }

    fn is_full(&self) -> bool {
        self.open_now() >= self.options.max_streams.max(1)
    }

    /// A stream that becomes a session. Others without requests make room: a peer that has sessions needs no more.
    pub(super) async fn for_session(&self, patience: Duration) -> Result<Rc<Lane>, TransportError> {
        while let Some(idle) = self.find(|lane| !lane.in_session && lane.is_idle()) {
            idle.end(Wish::Close);
        }
        let last = Instant::now() + patience.min(LONGEST_WAIT);
        loop {
            self.room(last, || !self.is_full()).await?;
            let _alone = self.opening.enter().await;
            if !self.is_full() {
                return self.open(true).await;
            }
        }
    }

    async fn open(&self, in_session: bool) -> Result<Rc<Lane>, TransportError> {
        let late = async {
            sleep(self.options.open_timeout).await;
            Err(TransportError::Timeout { what: "opening a stream" })
        };
        let stream = future::or(self.streams.open(), late).await?;
        let number = self.next.replace(self.next.get() + 1);
        let lane = Lane::new(number, in_session, self.options.max_waiting_bytes, Rc::clone(&self.freed));
        let task = pump::run(Rc::clone(&lane), stream, self.options.clone());
        let ending = |_| TransportError::Connect("the scope of the client has ended".to_owned());
        self.scope.spawn("client-peer", task).map_err(ending)?;
        self.lanes.borrow_mut().push(Rc::clone(&lane));
        Ok(lane)
    }

    /// Ends all streams in order, and the connection.
    pub(super) async fn close(&self) {
        let lanes = self.lanes.take();
        lanes.iter().for_each(|lane| lane.end(Wish::Close));
        for lane in lanes {
            lane.ended().await;
        }
        self.streams.close().await;
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.lanes.borrow().iter().for_each(|lane| lane.end(Wish::Close));
    }
}
