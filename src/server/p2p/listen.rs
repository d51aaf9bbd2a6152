//! The doors for peers: listeners of their own, and those that HTTP shares with them.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;

use super::P2p;
use crate::limits::{Limit, Place};
use crate::p2p::Via;
use crate::p2p::node::Handshake;
use crate::runtime::{AsyncStream, Buf, Deadline, Listener, ListenerStopper, Scope, ScopeClosed, Stream};
use crate::server::core::{CoreState, Door, accept_loop};
use crate::server::exchange::Serves;
use crate::server::roster::Phase;

/// The first byte of multistream-select: the length of its name and the newline behind it. No HTTP request begins so.
const MULTISTREAM: u8 = 0x13;

/// What a connection to this listener says of its peer. The listener decides, not the peer's address: behind one that
/// takes everybody, a forwarder on this machine may stand for anybody.
pub(in crate::server) fn via(listener: SocketAddr) -> Via {
    if listener.ip().to_canonical().is_loopback() { Via::Loopback } else { Via::Beyond }
}

/// The listeners of one core that serve libp2p alone.
#[derive(Default)]
pub(in crate::server) struct P2pListeners {
    listeners: Vec<Listener>,
}

impl P2pListeners {
    /// Binds them.
    pub(in crate::server) fn bind<E>(
        p2p: Option<&P2p>,
        bind: impl Fn(SocketAddr) -> Result<Listener, E>,
    ) -> Result<Self, E> {
        let own = p2p.map_or(&[][..], |p2p| &p2p.own);
        Ok(Self { listeners: own.iter().copied().map(bind).collect::<Result<_, _>>()? })
    }

    pub(in crate::server) fn stoppers(&self) -> Vec<ListenerStopper> {
        self.listeners.iter().map(Listener::stopper).collect()
    }

    /// Accepts from them.
    pub(super) fn accept(self, core: &Rc<CoreState>, scope: &Scope) -> Result<(), ScopeClosed> {
        for listener in self.listeners {
            let door = Door::P2p(via(listener.local_addr()));
            scope.spawn("accept p2p", accept_loop(core.clone(), listener, door, scope.clone()))?;
        }
        Ok(())
    }
}

/// What a connection holds until its first byte has told what it is.
enum Held {
    /// A place of HTTP.
    Http(Place),
    /// HTTP is full. Peers have their own way in, and whoever turns out to be none is turned away.
    Handshake { _place: Handshake },
}

/// Takes in a connection to an address that HTTP and libp2p share: its first byte tells which it is. Until then it counts
/// as one of HTTP, or where that is full as a handshake of libp2p.
pub(in crate::server) fn admit_either(
    core: &Rc<CoreState>,
    mut stream: Stream,
    serves: Serves,
    via: Via,
    scope: &Scope,
) {
    let handshake =
        || core.node().and_then(|node| node.try_handshake()).map(|place| Held::Handshake { _place: place });
    let Some(held) = core.shared.connections.try_enter().map(Held::Http).or_else(handshake) else {
        return core.turn_away(stream, Limit::Connections);
    };
    let (core, connections) = (core.clone(), scope.clone());
    // A scope that is closing takes no new task; the connection is dropped with it.
    let _ = scope.spawn("first byte", async move {
        let Some(first) = first_bytes(&core, &mut stream).await else { return };
        if let (Some(&MULTISTREAM), Some(node)) = (first.first(), core.node()) {
            drop(held);
            return node.accept(AsyncStream::with_read_ahead(stream, first), via);
        }
        let place = match held {
            Held::Http(place) => Some(place),
            Held::Handshake { .. } => core.shared.connections.try_enter(),
        };
        match place {
            Some(place) => core.serve(stream, serves, Some(first), place, connections).await,
            None => core.turn_away(stream, Limit::Connections),
        }
    });
}

/// The first bytes of a connection. None when there are none in the time of a request head, or before the server ends.
async fn first_bytes(core: &CoreState, stream: &mut Stream) -> Option<Buf> {
    let member = core.roster.enter(true);
    let deadline = Deadline::new();
    deadline.set_after(core.shared.limits.duration(Limit::HeaderTime));
    let read: io::Result<Buf> = poll_fn(|cx| {
        if let Poll::Ready(read) = stream.poll_read(cx) {
            return Poll::Ready(read);
        }
        member.watch(cx);
        if member.phase() >= Phase::Closing {
            return Poll::Ready(Err(io::ErrorKind::Interrupted.into()));
        }
        deadline.poll_expired(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    })
    .await;
    match read {
        Ok(bytes) => (!bytes.is_empty()).then_some(bytes),
        Err(error) => {
            if error.kind() == io::ErrorKind::TimedOut {
                core.metrics().hit(Limit::HeaderTime);
            }
            None
        }
    }
}
