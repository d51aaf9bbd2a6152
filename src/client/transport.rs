//! The seam between the protocol and what carries it: one exchange out, one answer or stream of events back.
//!
//! The protocol above knows no sockets. A transport below does not judge messages: over HTTP an exchange is a request and
//! its response, and what they say is nothing to it. Over a bare stream of messages, where [`Transport::has_headers`] is
//! false, the head is not carried, and the transport reads of each message its kind and its ids, to bring it to the
//! exchange that it belongs to; [`OutgoingHead::session_id`] then tells it which stream the session is.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::{Map, Value};

/// A future of one executor; it cannot move between threads.
pub type LocalBoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// One way to reach one server. It is used from one executor and is not `Send`.
pub trait Transport {
    /// Sends one message, or opens or ends a stream, and resolves when the head of the answer is there.
    ///
    /// Dropping the future gives the exchange up: its connection is closed, or its stream reset, and not used again.
    fn exchange<'a>(&'a self, outgoing: Outgoing) -> LocalBoxFuture<'a, Result<Incoming, TransportError>>;

    /// True where [`Outgoing::head`] is carried (Streamable HTTP), false on a bare stream of messages.
    fn has_headers(&self) -> bool;

    /// Members that `_meta` of each request carries to this server: a token, for instance. A transport that has such
    /// sends nothing before the server has proved who it is. They are never shown.
    fn request_meta(&self) -> Map<String, Value> {
        Map::new()
    }

    /// What the user named, for messages, without secrets.
    fn target(&self) -> &str;

    /// Ends idle connections, so that nothing stays open.
    fn close<'a>(&'a self) -> LocalBoxFuture<'a, ()>;
}

/// What an exchange does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Sends a message.
    Post,
    /// Opens a stream of events, or resumes one.
    Get,
    /// Ends a session.
    Delete,
}

/// One message on its way to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// What the exchange does.
    pub verb: Verb,
    /// The JSON text of the message; empty unless the verb is [`Verb::Post`].
    pub body: Vec<u8>,
    /// What is said beside the message.
    pub head: OutgoingHead,
    /// How long the head of the answer may take, the connection included. The events of a stream that follow are
    /// bounded by `idle_timeout` alone.
    pub timeout: Duration,
    /// The longest silence between two events of a stream, comments counted as sound; `None` waits for ever.
    pub idle_timeout: Option<Duration>,
    /// Whether the message may be sent once more on another connection when nothing of an answer was seen, as
    /// happens to a connection that the server closed while it was idle. What broke before the first byte went out
    /// may always be sent again.
    pub idempotent: bool,
}

/// What is said beside a message, in headers where the transport has them. Values are ready to be sent.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OutgoingHead {
    /// `MCP-Protocol-Version`.
    pub protocol_version: Option<String>,
    /// `Mcp-Method`.
    pub method: Option<String>,
    /// `Mcp-Name`.
    pub name: Option<String>,
    /// `Mcp-Param-…`: the whole names of the headers, and their values.
    pub params: Vec<(String, String)>,
    /// `Mcp-Session-Id`.
    pub session_id: Option<String>,
    /// `Last-Event-ID`.
    pub last_event_id: Option<String>,
}

impl fmt::Debug for OutgoingHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Who knows a session's id can speak in it, and mirrored parameters are the user's.
        f.debug_struct("OutgoingHead")
            .field("protocol_version", &self.protocol_version)
            .field("method", &self.method)
            .field("in_session", &self.session_id.is_some())
            .field("params", &self.params.len())
            .finish_non_exhaustive()
    }
}

/// The head of an answer, and what follows it.
pub struct Incoming {
    /// The status code of HTTP. A transport that has none says 200 for any answer, 202 for what needs none, 404 when
    /// the session is lost, and 405 for a verb that has no meaning there.
    pub status: u16,
    /// `Mcp-Session-Id`, or the transport's own name for the session.
    pub session_id: Option<String>,
    /// `Retry-After`, as the time from now.
    pub retry_after: Option<Duration>,
    /// `WWW-Authenticate`, as it came.
    pub www_authenticate: Option<String>,
    /// What follows.
    pub content: IncomingContent,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

/// What follows the head of an answer.
pub enum IncomingContent {
    /// Nothing.
    None,
    /// One body, whole and bounded.
    Body {
        /// `Content-Type`, as it came.
        content_type: Option<String>,
        /// The body.
        bytes: Vec<u8>,
    },
    /// A stream of events.
    Events(Box<dyn EventSource>),
}

impl fmt::Debug for IncomingContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Body { content_type, bytes } => write!(f, "Body({content_type:?}, {} bytes)", bytes.len()),
            Self::Events(_) => f.write_str("Events"),
        }
    }
}

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The event's own `id:`; `None` where it had none. An empty one takes back the ids before it.
    pub id: Option<String>,
    /// `event:`, the kind of event.
    pub name: Option<String>,
    /// `retry:`, how long to wait before the stream is opened again.
    pub retry: Option<Duration>,
    /// `data:`, its lines joined.
    pub data: Vec<u8>,
}

/// A stream of events. Dropping it cancels: the connection is closed, never used again.
pub trait EventSource {
    /// The next event, comments left out. `None`: the stream ended in order.
    fn next<'a>(&'a mut self) -> LocalBoxFuture<'a, Option<Result<Event, TransportError>>>;
}

/// Why an exchange came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// The name has no address, or the resolver did not say so in time.
    Resolve(String),
    /// No address took a connection.
    Connect(String),
    /// No secure connection came about.
    Tls(String),
    /// Something took longer than it may.
    Timeout {
        /// What took so long.
        what: &'static str,
    },
    /// The connection ended too early.
    Closed {
        /// True when nothing of an answer had been seen.
        before_answer: bool,
    },
    /// The answer breaks the rules of the transport; the text says which.
    Malformed(String),
    /// The answer is larger than allowed.
    TooLarge {
        /// The limit's name.
        limit: &'static str,
        /// Its value, in bytes unless the name says otherwise.
        max: u64,
    },
    /// The target or the answer needs something that this transport does not have.
    Unsupported(String),
    /// All connections are in use and none came free in time.
    Busy {
        /// How many there may be.
        max: usize,
    },
}

impl TransportError {
    /// Whether the server cannot have seen the message: it never left.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Resolve(_) | Self::Connect(_) | Self::Busy { .. })
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(why) => write!(f, "the name could not be resolved: {why}"),
            Self::Connect(why) => write!(f, "no connection: {why}"),
            Self::Tls(why) => write!(f, "no secure connection: {why}"),
            Self::Timeout { what } => write!(f, "timed out: {what}"),
            Self::Closed { before_answer: true } => {
                f.write_str("the connection closed before an answer came")
            }
            Self::Closed { before_answer: false } => {
                f.write_str("the connection closed in the middle of an answer")
            }
            Self::Malformed(why) => write!(f, "malformed answer: {why}"),
            Self::TooLarge { limit, max } => write!(f, "the answer exceeds {limit}, which is {max}"),
            Self::Unsupported(why) => write!(f, "not supported: {why}"),
            Self::Busy { max } => write!(f, "all {max} connections stayed in use"),
        }
    }
}

impl Error for TransportError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_never_left_is_retryable() {
        assert!(TransportError::Resolve("no such name".into()).is_retryable());
        assert!(TransportError::Connect("refused".into()).is_retryable());
        assert!(TransportError::Busy { max: 4 }.is_retryable());
        for error in [
            TransportError::Timeout { what: "the answer" },
            TransportError::Closed { before_answer: true },
            TransportError::Closed { before_answer: false },
            TransportError::Malformed("x".into()),
            TransportError::TooLarge { limit: "max_body_bytes", max: 4 },
            TransportError::Tls("certificate".into()),
        ] {
            assert!(!error.is_retryable(), "{error}");
        }
    }
}
