//! The client: one [`Transport`] to one server, in whichever revision the server speaks.

mod transport;

pub use transport::{
    Event, EventSource, Incoming, IncomingContent, LocalBoxFuture, Outgoing, OutgoingHead, Transport,
    TransportError, Verb,
};
