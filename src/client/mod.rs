//! The client side of the protocol: one client over one transport.

pub mod http;
pub mod transport;

pub use transport::{
    Event, EventSource, Incoming, IncomingContent, LocalBoxFuture, Outgoing, OutgoingHead, Transport,
    TransportError, Verb,
};
