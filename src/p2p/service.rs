//! The seam between a node and what it serves.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;

use super::PeerId;
use super::peers::ConnectionPlace;
use super::stack::PeerStream;

/// A future of one executor; it cannot move between threads.
pub type LocalBoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// How a peer is connected, which decides what it may do without further proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// It connected to a listener on a loopback address, so it is on this machine.
    Loopback,
    /// It connected to any other listener.
    Beyond,
    /// This node dialled it.
    Dialled,
}

/// Who is at the other end of a connection, proved by the handshake.
#[derive(Debug)]
pub struct Remote {
    /// Its id.
    pub peer_id: PeerId,
    /// The id in base58: the principal of its requests.
    pub principal: Box<str>,
    /// Its TCP address.
    pub address: SocketAddr,
    /// How it is connected.
    pub via: Via,
}

/// What a node serves besides the protocols that every node speaks. One for each core.
pub trait Service {
    /// The protocols, in the order of the index given to [`Service::serve`].
    fn protocols(&self) -> &'static [&'static str];

    /// Serves one stream whose protocol is agreed, to its end. Dropping the future resets the stream. `place` is the
    /// connection's in the table of peers: it admits the peer's requests.
    fn serve(
        self: Rc<Self>,
        protocol: usize,
        stream: PeerStream,
        remote: Rc<Remote>,
        place: Rc<ConnectionPlace>,
    ) -> LocalBoxFuture<'static, ()>;
}
