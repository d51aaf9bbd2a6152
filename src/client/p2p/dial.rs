//! Streams to a peer that was named with its id, over the connections of a node.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::open::{MessageStream, OpenStreams};
use super::options::P2pOptions;
use crate::client::transport::{LocalBoxFuture, TransportError};
use crate::limits::{Limit, Limits};
use crate::observe::metrics::DialFailure;
use crate::p2p::MCP_PROTOCOL;
use crate::p2p::address::PeerAddress;
use crate::p2p::identity::Identity;
use crate::p2p::node::{DialError, Node, NodeOptions};
use crate::p2p::outbound::DialRefusal;
use crate::p2p::stack::OpenError;
use crate::runtime::Scope;

const MCP: &[&str] = &[MCP_PROTOCOL];

/// Streams to one peer. The node's handshake fails unless that is who is there.
pub(super) struct PeerStreams {
    node: Rc<Node>,
    target: PeerAddress,
    name: String,
    /// Whether the node was made for these streams, and ends with them.
    is_own: bool,
}

impl PeerStreams {
    /// Over the connections of a node that others use too.
    pub(super) fn over(node: Rc<Node>, target: PeerAddress) -> Self {
        PeerStreams { node, name: target.to_string(), target, is_own: false }
    }

    /// Over a node of its own, which only dials.
    pub(super) fn new(scope: &Scope, target: &str, options: &P2pOptions) -> Result<Self, String> {
        let target: PeerAddress = target.parse()?;
        let identity = options.identity.clone().unwrap_or_else(Identity::ephemeral);
        let node = Node::client(scope.clone(), identity, node_options(options));
        Ok(PeerStreams { node, name: target.to_string(), target, is_own: true })
    }
}

fn node_options(options: &P2pOptions) -> NodeOptions {
    let usual = Limit::P2pConnectionStreams.info().default;
    let streams = usual.max(2 * options.max_streams as u64);
    let limits = Limits {
        // A moment less than opening a stream may take in all, so that the error can say what did not answer.
        p2p_dial_timeout_ms: clamped(Limit::P2pDialTime, millis(options.open_timeout.mul_f64(0.9))),
        max_p2p_connection_streams: clamped(Limit::P2pConnectionStreams, streams),
        ..Limits::default()
    };
    NodeOptions { limits, ..NodeOptions::default() }
}

fn clamped(limit: Limit, value: u64) -> u64 {
    value.clamp(limit.info().min, limit.info().max)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Why there is no stream, as the layer above tells such things apart: what may be tried again, and what may not.
fn failed(error: DialError) -> TransportError {
    let message = error.to_string();
    match error {
        DialError::Refused(_, DialRefusal::Resolve(why)) => TransportError::Resolve(why),
        DialError::Connect(_, error) => TransportError::Connect(error.to_string()),
        DialError::Timeout(_, time) => {
            TransportError::Connect(format!("no answer within {} ms", time.as_millis()))
        }
        DialError::Closing | DialError::Limit(_) => TransportError::Connect(message),
        DialError::Handshake(_, error) | DialError::WrongPeer(_, error) => {
            TransportError::Tls(error.to_string())
        }
        DialError::Recent { why, message, .. } => match why {
            DialFailure::Resolve => TransportError::Resolve(message.into()),
            DialFailure::Handshake | DialFailure::WrongPeer => TransportError::Tls(message.into()),
            DialFailure::Timeout | DialFailure::Connect | DialFailure::Limit => {
                TransportError::Connect(message.into())
            }
        },
        DialError::Open(_, OpenError::Closed) => TransportError::Closed { before_answer: true },
        DialError::Open(_, OpenError::TooManyStreams { max_streams }) => {
            TransportError::Busy { max: max_streams }
        }
        DialError::Own | DialError::Denied(_) | DialError::Refused(..) | DialError::Open(..) => {
            TransportError::Unsupported(message)
        }
    }
}

impl OpenStreams for PeerStreams {
    fn open<'a>(&'a self) -> LocalBoxFuture<'a, Result<Box<dyn MessageStream>, TransportError>> {
        Box::pin(async {
            let (stream, _, remote) = self.node.open(&self.target, MCP).await.map_err(failed)?;
            debug_assert_eq!(remote.peer_id, self.target.peer_id, "the node's handshake proves it");
            Ok(Box::new(stream) as Box<dyn MessageStream>)
        })
    }

    fn target(&self) -> &str {
        &self.name
    }

    fn close<'a>(&'a self) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            if self.is_own {
                self.node.close().await;
            }
        })
    }
}

impl Drop for PeerStreams {
    fn drop(&mut self) {
        if self.is_own {
            self.node.shut();
        }
    }
}

impl fmt::Debug for PeerStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerStreams({})", self.name)
    }
}
