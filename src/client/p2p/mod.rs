//! MCP over libp2p: frames on long-lived streams of `/mcp+p2p/1.0.0`, many requests on each.
//!
//! The path of one request: [`P2pTransport::exchange`] → `lanes` (a stream with room, or a new one from
//! [`OpenStreams`]) → `pump` (its bytes) → `routes` (whose message it is, by `scan`) → `feed` → an answer, or a
//! `share` of the stream as events.
//!
//! A stream has no head beside its messages. An older revision's session is its stream: the transport names the stream
//! where HTTP has `Mcp-Session-Id`, so that the layer above begins anew when the stream is lost.

mod dial;
mod exchange;
mod feed;
pub(crate) mod fuzz;
mod lane;
mod lanes;
mod old;
mod open;
mod options;
mod pump;
mod routes;
mod scan;
mod share;

use std::fmt;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::transport::{Incoming, LocalBoxFuture, Outgoing, Transport, TransportError};
use crate::p2p::address::PeerAddress;
use crate::p2p::node::Node;
use crate::runtime::Scope;
use lanes::Lanes;

pub use open::{MessageStream, OpenStreams};
pub use options::P2pOptions;

/// The member of `_meta` that carries the shared token.
pub const TOKEN_MEMBER: &str = "ringmesh/token";

/// A peer that is reached over libp2p. It belongs to the executor whose streams it holds.
///
/// Dropping the future of an exchange, or its events, gives the request up; the streams stay for others. A peer of
/// 2024-11-05 knows no cancellation, so there the stream ends, and the session with it.
pub struct P2pTransport {
    lanes: Lanes,
}

impl P2pTransport {
    /// Sets up the way to a peer; no stream is opened yet. Streams are read by tasks of `scope`.
    pub fn new(scope: &Scope, streams: Rc<dyn OpenStreams>, options: P2pOptions) -> P2pTransport {
        P2pTransport { lanes: Lanes::new(scope, streams, options) }
    }

    /// Sets up the way to the peer that a multiaddr ends in, `/ip4/…/tcp/…/p2p/ID`; nothing is connected yet.
    ///
    /// # Errors
    /// A sentence that says why the address cannot be dialled, or names nobody.
    pub fn to(scope: &Scope, target: &str, options: P2pOptions) -> Result<P2pTransport, String> {
        let streams = Rc::new(dial::PeerStreams::new(scope, target, &options)?);
        Ok(Self::new(scope, streams, options))
    }

    /// Sets up the way to a peer over the connections of a node, which others use too and which lives on. The identity is
    /// the node's, whatever the options say.
    pub fn over(scope: &Scope, node: Rc<Node>, target: PeerAddress, options: P2pOptions) -> P2pTransport {
        Self::new(scope, Rc::new(dial::PeerStreams::over(node, target)), options)
    }

    /// Streams that are open now.
    pub fn open_streams(&self) -> usize {
        self.lanes.open_now()
    }
}

impl Transport for P2pTransport {
    fn exchange<'a>(&'a self, outgoing: Outgoing) -> LocalBoxFuture<'a, Result<Incoming, TransportError>> {
        Box::pin(self.lanes.exchange(outgoing))
    }

    fn has_headers(&self) -> bool {
        false
    }

    fn request_meta(&self) -> Map<String, Value> {
        let token = self.lanes.options.token.as_ref();
        token.map(|token| (TOKEN_MEMBER.to_owned(), Value::from(token.0.as_str()))).into_iter().collect()
    }

    fn target(&self) -> &str {
        self.lanes.streams.target()
    }

    fn close<'a>(&'a self) -> LocalBoxFuture<'a, ()> {
        Box::pin(self.lanes.close())
    }
}

impl fmt::Debug for P2pTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("P2pTransport")
            .field("target", &self.target())
            .field("open_streams", &self.open_streams())
            .finish_non_exhaustive()
    }
}
