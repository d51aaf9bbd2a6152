//! One connection: the task that drives it, and what others of its core know of it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use event_listener::Event;
use futures_lite::FutureExt as _;

use super::Node;
use super::registry::Entry;
use super::watch::{Act, Seen, Times, Watch};
use crate::limits::{Limit, Place};
use crate::observe::metrics::Direction;
use crate::p2p::peers::ConnectionPlace;
use crate::p2p::stack::{ConnectionError, Driver, Handle};
use crate::p2p::{PeerId, Remote, Via};
use crate::runtime::{self, AsyncStream, Deadline};

/// An open connection.
pub(super) struct Connection {
    pub(super) handle: Handle,
    pub(super) remote: Rc<Remote>,
    /// Its place in the table of peers, which admits the peer's requests.
    pub(super) place: Rc<ConnectionPlace>,
    max_streams: usize,
    /// It was told to close.
    ending: Event,
    /// Streams that were refused and are counted.
    refused: Cell<u64>,
    /// The task that drives it.
    waker: RefCell<Option<Waker>>,
    _total: Place,
}

impl Connection {
    pub(super) fn new(
        node: &Node,
        handle: Handle,
        remote: Remote,
        place: ConnectionPlace,
        total: Place,
    ) -> Rc<Connection> {
        Rc::new(Connection {
            handle,
            remote: Rc::new(remote),
            place: Rc::new(place),
            max_streams: node.shared.stack().max_streams,
            ending: Event::new(),
            refused: Cell::new(0),
            waker: RefCell::new(None),
            _total: total,
        })
    }

    pub(super) fn direction(&self) -> Direction {
        match self.remote.via {
            Via::Dialled => Direction::Dialled,
            Via::Loopback | Via::Beyond => Direction::Accepted,
        }
    }

    /// Closes it, in order, once its streams have ended.
    pub(super) fn close(&self) {
        self.handle.close();
        self.ending.notify(usize::MAX);
    }

    /// Resolves once it was told to close, or is gone: for what need not come to an end of its own.
    pub(super) async fn ending(&self) {
        while !self.handle.is_ending() {
            let ending = self.ending.listen();
            if !self.handle.is_ending() {
                ending.await;
            }
        }
    }

    /// Has its task look at it.
    pub(super) fn wake(&self) {
        let waker = self.waker.borrow().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn register(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    fn seen(&self, node: &Node) -> Seen {
        Seen {
            streams: self.handle.streams(),
            dialled: self.remote.via == Via::Dialled,
            stalled: self.handle.stalled(),
            ending: self.handle.is_ending(),
            life: node.life.get(),
        }
    }
}

impl Entry for Rc<Connection> {
    type Peer = PeerId;

    fn peer(&self) -> PeerId {
        self.remote.peer_id
    }

    fn is_dialled(&self) -> bool {
        self.remote.via == Via::Dialled
    }

    fn is_usable(&self) -> bool {
        !self.handle.is_ending() && self.handle.streams() < self.max_streams
    }

    fn is_ending(&self) -> bool {
        self.handle.is_ending()
    }

    fn is_idle(&self) -> bool {
        self.handle.streams() == 0
    }
}

/// A connection's place in its node, from its handshake to its end.
pub(super) struct Member {
    node: Rc<Node>,
    pub(super) connection: Rc<Connection>,
    key: u64,
}

impl Member {
    pub(super) fn new(node: &Rc<Node>, connection: Rc<Connection>) -> Member {
        let p2p = node.metrics().p2p();
        p2p.connection_opened(connection.direction());
        let key = node.connections.borrow_mut().insert(connection.clone());
        p2p.pooled(node.connections.borrow().dialled());
        Member { node: node.clone(), connection, key }
    }

    /// Drives the connection to its end. A panic costs this connection and nobody else.
    pub(super) async fn run(self, driver: Driver<AsyncStream>) {
        let node = &self.node;
        let ended = AssertUnwindSafe(self.drive(driver)).catch_unwind().await;
        match ended {
            Ok(Ok(())) => tracing::debug!(peer = %self.connection.remote.principal, "connection closed"),
            Ok(Err(error)) => {
                match error {
                    ConnectionError::Flooded { .. } => node.metrics().hit(Limit::P2pConnectionStreams),
                    ConnectionError::Unread { .. } => node.metrics().hit(Limit::P2pConnectionUnreadBytes),
                    _ => {}
                }
                tracing::debug!(peer = %self.connection.remote.principal, "connection ended: {error}");
            }
            Err(_) => {
                node.metrics().panicked();
                tracing::error!(core = node.core, "a libp2p connection ended in a panic");
            }
        }
    }

    async fn drive(&self, driver: Driver<AsyncStream>) -> Result<(), ConnectionError> {
        let (node, connection) = (&self.node, &self.connection);
        let limits = node.shared.limits();
        let times =
            Times { idle: limits.duration(Limit::P2pIdleTime), write: limits.duration(Limit::WriteTime) };
        let mut watch = Watch::new(times, runtime::coarse_now());
        let deadline = Deadline::new();
        let mut driven = pin!(driver.run(|stream| node.take_stream(connection, stream)));
        poll_fn(|cx| {
            connection.register(cx);
            if let Poll::Ready(ended) = driven.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            self.count_refused();
            if connection.handle.is_ending() {
                // It may be the stack's own decision.
                connection.ending.notify(usize::MAX);
            }
            self.look(&mut watch, &deadline, cx);
            Poll::Pending
        })
        .await
    }

    /// Does what the time asks for, and has the task woken when it asks next.
    fn look(&self, watch: &mut Watch, deadline: &Deadline, cx: &mut Context<'_>) {
        loop {
            let seen = self.connection.seen(&self.node);
            match watch.look(runtime::coarse_now(), &seen) {
                Act::Wait => {}
                act => {
                    self.act(act);
                    if matches!(act, Act::AbortSlow | Act::Abort) {
                        return;
                    }
                    continue;
                }
            }
            // An earlier time that is set already does no harm: it leads to one more look.
            let next = watch.next(&seen);
            match (next, deadline.at()) {
                (Some(next), Some(set)) if set <= next && !deadline.is_expired() => {}
                (Some(next), _) => deadline.set(next),
                (None, _) => {}
            }
            if deadline.poll_expired(cx).is_pending() {
                return;
            }
            if next.is_none() {
                deadline.clear();
            }
        }
    }

    fn act(&self, act: Act) {
        let (node, connection) = (&self.node, &self.connection);
        match act {
            Act::Wait => {}
            Act::Identify => node.ask_who(connection),
            Act::CloseIdle => {
                node.metrics().hit(Limit::P2pIdleTime);
                connection.close();
            }
            Act::Close => connection.close(),
            Act::AbortSlow => {
                node.metrics().hit(Limit::WriteTime);
                connection.handle.abort();
            }
            Act::Abort => connection.handle.abort(),
        }
    }

    /// Counts the streams that the stack has refused since it was last asked.
    fn count_refused(&self) {
        let (before, now) = (self.connection.refused.get(), self.connection.handle.refused_streams());
        (before..now).for_each(|_| self.node.metrics().hit(Limit::P2pConnectionStreams));
        self.connection.refused.set(now);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let removed = self.node.connections.borrow_mut().remove(self.key);
        drop(removed);
        let p2p = self.node.metrics().p2p();
        p2p.connection_closed(self.connection.direction());
        p2p.pooled(self.node.connections.borrow().dialled());
        self.connection.ending.notify(usize::MAX);
        self.node.ended.notify(usize::MAX);
    }
}
