//! The seam between the protocol and the wire: one message goes out, the head of an answer comes back.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A boxed future of one executor, which need not be `Send`.
pub type LocalBoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// One way to reach one server. Used from one executor (not `Send`).
pub trait Transport {
    /// Sends one message (or opens or ends a stream) and resolves when the head of the answer is there. Dropping the
    /// future cancels: the connection it used is closed, never pooled.
    fn exchange<'a>(&'a self, outgoing: Outgoing) -> LocalBoxFuture<'a, Result<Incoming, TransportError>>;

    /// True where [`Outgoing::head`] is carried (Streamable HTTP); false on a bare stream of messages.
    fn has_headers(&self) -> bool;

    /// What the user named, for messages, without secrets.
    fn target(&self) -> &str;

    /// Ends idle connections; nothing stays open.
    fn close<'a>(&'a self) -> LocalBoxFuture<'a, ()>;
}

/// What an outgoing message asks of the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Send a message.
    Post,
    /// Open the stream of the server's own messages.
    Get,
    /// End the session.
    Delete,
}

/// One message on its way to the server.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// What is asked.
    pub verb: Verb,
    /// The JSON message; empty for [`Verb::Get`] and [`Verb::Delete`].
    pub body: Vec<u8>,
    /// What goes beside the message where the transport has headers.
    pub head: OutgoingHead,
    /// How long it may take until the head of the answer, connecting included, and to the end of an answer that is one
    /// body. A stream's later events are bounded by `idle_timeout`.
    pub timeout: Duration,
    /// How long an event stream may be silent, comments not counted as silence; `None` for ever.
    pub idle_timeout: Option<Duration>,
    /// Whether the request may be sent again when nothing of an answer was seen (a stale pooled connection). Before its
    /// first byte went out, every request may.
    pub idempotent: bool,
}

/// The headers of one message. Values are plain text unless said otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutgoingHead {
    /// MCP-Protocol-Version.
    pub protocol_version: Option<String>,
    /// Mcp-Method.
    pub method: Option<String>,
    /// Mcp-Name, already encoded.
    pub name: Option<String>,
    /// The Mcp-Param-* headers: full names, values already encoded.
    pub params: Vec<(String, String)>,
    /// Mcp-Session-Id. A secret.
    pub session_id: Option<String>,
    /// Last-Event-ID.
    pub last_event_id: Option<String>,
}

/// The head of an answer, and its content or the source of it.
pub struct Incoming {
    /// The HTTP status; transports without one say 200.
    pub status: u16,
    /// Mcp-Session-Id. A secret.
    pub session_id: Option<String>,
    /// Retry-After.
    pub retry_after: Option<Duration>,
    /// WWW-Authenticate.
    pub www_authenticate: Option<String>,
    /// What the answer carries.
    pub content: IncomingContent,
}

/// What an answer carries.
pub enum IncomingContent {
    /// Nothing.
    None,
    /// One body, whole and bounded.
    Body {
        /// Content-Type as sent.
        content_type: Option<String>,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A stream of events.
    Events(Box<dyn EventSource>),
}

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The event's own id, when it had one; an empty one resets the last id.
    pub id: Option<String>,
    /// The SSE `event:` field.
    pub name: Option<String>,
    /// How long to wait before the stream is opened again, where the event said so.
    pub retry: Option<Duration>,
    /// The data; empty for an event that only carries an id or a pause.
    pub data: Vec<u8>,
}

/// A stream of events.
pub trait EventSource {
    /// The next event. `None`: the stream ended in order. Dropping the source cancels: the connection is closed, never
    /// pooled.
    fn next<'a>(&'a mut self) -> LocalBoxFuture<'a, Option<Result<Event, TransportError>>>;
}

/// Why a message found no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// The name has no address.
    Resolve(String),
    /// No address could be connected to.
    Connect(String),
    /// The encrypted connection could not be set up, or broke.
    Tls(String),
    /// Time ran out.
    Timeout {
        /// What was waited for.
        what: &'static str,
    },
    /// The peer closed the connection.
    Closed {
        /// Nothing of an answer had been seen.
        before_answer: bool,
    },
    /// The peer broke the rules of the transport.
    Malformed(String),
    /// The answer goes over a limit.
    TooLarge {
        /// The limit's name.
        limit: &'static str,
        /// Its value, in the limit's own unit.
        max: u64,
    },
    /// The answer, or the request, is of a kind that this transport does not do.
    Unsupported(String),
}

impl TransportError {
    /// Whether nothing can have been executed, so that anything may be sent again: no connection came about.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Resolve(_) | Self::Connect(_))
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(why) => write!(f, "the name cannot be resolved: {why}"),
            Self::Connect(why) => write!(f, "cannot connect: {why}"),
            Self::Tls(why) => write!(f, "the encrypted connection failed: {why}"),
            Self::Timeout { what } => write!(f, "timed out waiting for {what}"),
            Self::Closed { before_answer: true } => {
                f.write_str("the server closed the connection without an answer")
            }
            Self::Closed { before_answer: false } => {
                f.write_str("the server closed the connection in the middle of its answer")
            }
            Self::Malformed(what) => write!(f, "the server's answer is malformed: {what}"),
            Self::TooLarge { limit, max } => write!(f, "the server's answer goes over {limit} = {max}"),
            Self::Unsupported(what) => f.write_str(what),
        }
    }
}

impl Error for TransportError {}
