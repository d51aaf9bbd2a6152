//! The streams that peers open: from their negotiation to the protocol that serves them.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Instant;

use futures_lite::{FutureExt as _, future};

use super::Node;
use super::connection::Connection;
use super::shared::INHERENT;
use super::time::within;
use super::watch::{LAST_STREAMS_TIME, takes_streams};
use crate::limits::{Limit, Place};
use crate::p2p::address::multiaddr;
use crate::p2p::stack::{InboundStream, PeerStream};
use crate::p2p::{identify, ping};
use crate::runtime;

impl Node {
    /// Takes a stream in that the peer opened, or resets it.
    pub(super) fn take_stream(self: &Rc<Self>, connection: &Rc<Connection>, stream: InboundStream) {
        if !takes_streams(self.life.get(), runtime::coarse_now()) {
            return;
        }
        let Some(place) = self.shared.streams.try_enter() else {
            return self.metrics().hit(Limit::P2pStreams);
        };
        let task = serve(self.clone(), connection.clone(), stream, place);
        // Most streams bring all of their request with them. A scope that is closing takes no new task; the stream is
        // reset with it.
        let _ = self.scope.poll_or_spawn("p2p stream", task);
    }

    async fn serve_stream(self: &Rc<Self>, connection: &Rc<Connection>, stream: InboundStream) {
        let time = self.shared.limits().duration(Limit::P2pRequestTime);
        // A stream that came with the last of them has its time to say what it is for.
        let too_late = async {
            connection.ending().await;
            runtime::sleep(LAST_STREAMS_TIME).await;
            None
        };
        let negotiated = async { Some(stream.negotiate(&self.protocols).await) };
        let agreed = within(time, future::or(negotiated, too_late)).await;
        let (stream, index) = match agreed {
            Some(Some(Ok(agreed))) => agreed,
            failed => {
                let _open = Open::new(self, self.protocols.len());
                match failed {
                    Some(Some(Err(error))) => tracing::debug!(peer = %connection.remote.principal, "{error}"),
                    Some(_) => {}
                    None => self.metrics().hit(Limit::P2pRequestTime),
                }
                return;
            }
        };
        let _open = Open::new(self, index);
        match (index.checked_sub(INHERENT.len()), &self.service) {
            (Some(index), Some(service)) => {
                let (remote, place) = (connection.remote.clone(), connection.place.clone());
                service.clone().serve(index, stream, remote, place).await;
            }
            _ => {
                // No good-bye waits for these. They are rare, and in a box they do not widen every other stream's task.
                let serving = Box::pin(self.serve_inherent(index, connection, stream));
                future::or(serving, connection.ending()).await;
            }
        }
    }

    /// Serves what every node speaks. A failure costs the stream and is nobody's concern.
    async fn serve_inherent(&self, index: usize, connection: &Connection, stream: PeerStream) {
        if let Err(limit) = connection.place.admit(Instant::now()) {
            return self.metrics().hit(limit);
        }
        let limits = self.shared.limits();
        let request_time = limits.duration(Limit::P2pRequestTime);
        match index {
            0 => {
                let info = self.shared.info.seen_from(multiaddr(connection.remote.address));
                let _ = within(request_time, identify::answer(stream, &info)).await;
            }
            1 => match within(request_time, identify::take_push(stream)).await {
                Some(Ok(info)) => self.identified(connection, &info),
                Some(Err(error)) => {
                    tracing::debug!(peer = %connection.remote.principal, "no push: {error}");
                }
                None => self.metrics().hit(Limit::P2pRequestTime),
            },
            _ => self.serve_pings(connection, stream).await,
        }
    }

    /// Answers pings for as long as they come. Peers keep one stream for all of theirs, so that has no end of its own:
    /// each ping counts against the rate of the peer's requests, and has the idle time of a stream to come and go.
    async fn serve_pings(&self, connection: &Connection, mut stream: PeerStream) {
        let time = self.shared.limits().duration(Limit::P2pStreamIdleTime);
        loop {
            match within(time, ping::answer(&mut stream)).await {
                Some(Ok(true)) => {}
                Some(_) => return,
                None => return self.metrics().hit(Limit::P2pStreamIdleTime),
            }
            // The first one was admitted with its stream.
            if let Err(limit) = connection.place.admit(Instant::now()) {
                return self.metrics().hit(limit);
            }
        }
    }
}

/// Serves one stream; a panic costs that stream and nobody else.
async fn serve(node: Rc<Node>, connection: Rc<Connection>, stream: InboundStream, _place: Place) {
    if AssertUnwindSafe(node.serve_stream(&connection, stream)).catch_unwind().await.is_err() {
        node.metrics().panicked();
        tracing::error!(core = node.core, "a libp2p stream ended in a panic");
    }
}

/// A stream in the metrics.
struct Open<'a> {
    node: &'a Node,
    protocol: usize,
}

impl<'a> Open<'a> {
    fn new(node: &'a Node, protocol: usize) -> Open<'a> {
        node.metrics().p2p().stream_opened(protocol);
        Open { node, protocol }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.node.metrics().p2p().stream_closed(self.protocol);
    }
}
