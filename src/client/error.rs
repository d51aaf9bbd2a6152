//! Why a client's request came to nothing.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::transport::TransportError;

/// An error that the server answered with, as JSON-RPC has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProtocolError {
    /// What kind of error it is: a code of JSON-RPC, of MCP, or of the server's own.
    pub code: i64,
    /// A sentence for people.
    #[serde(default)]
    pub message: String,
    /// Whatever else the server said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl ProtocolError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)?;
        self.data.as_ref().map_or(Ok(()), |data| write!(f, " {data}"))
    }
}

impl Error for ProtocolError {}

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ClientError {
    /// The server could not be reached, or its answer could not be read.
    Transport {
        /// The server, as the user named it.
        target: String,
        /// What went wrong.
        error: TransportError,
    },
    /// The server refused on the level of HTTP, with no JSON-RPC error in the answer.
    Http {
        /// The status code.
        status: u16,
        /// The beginning of the body, if it was text.
        body: String,
        /// What `WWW-Authenticate` asks for.
        www_authenticate: Option<String>,
    },
    /// The server answered with an error.
    Protocol(ProtocolError),
    /// The server's answer is not what the protocol has in this place.
    Malformed {
        /// The request, or the part of the protocol.
        what: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// No answer came in time. An older server was told that the request is given up, where one could be.
    Timeout {
        /// The method that was asked.
        method: String,
        /// How long the client waited.
        after: Duration,
    },
    /// The server speaks no revision that this client, or its options, would speak.
    NoCommonRevision {
        /// What the server says it speaks.
        server: Vec<String>,
        /// What the client would speak.
        client: Vec<&'static str>,
    },
    /// The server forgot the session, and a new one did not help.
    SessionLost {
        /// What happened to the second attempt.
        why: String,
    },
    /// The server went over a bound of [`super::ClientLimits`].
    Limit {
        /// The limit's name.
        limit: &'static str,
        /// Its value.
        max: u64,
    },
    /// The server does not offer what was asked for, or the revision does not have it.
    NotOffered {
        /// The capability or method.
        what: String,
    },
    /// The server declares a tool that must not be called, see `x-mcp-header` in 2026-07-28.
    InvalidTool {
        /// The tool's name.
        name: String,
        /// What is wrong with its declaration.
        why: String,
    },
    /// The server asked a question that has no handler here, or whose handler failed.
    Question {
        /// The question's method.
        method: String,
        /// Why there is no answer.
        why: String,
    },
    /// Options that cannot work, for example a forced revision that is served over no such transport.
    Options(String),
    /// The client was closed, or its scope has ended.
    Closed,
}

impl ClientError {
    /// The server's own error, if that is what it is.
    pub fn protocol(&self) -> Option<&ProtocolError> {
        match self {
            Self::Protocol(error) => Some(error),
            _ => None,
        }
    }

    pub(crate) fn malformed(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::Malformed { what: what.into(), why: why.to_string() }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport { target, error } => write!(f, "{target}: {error}"),
            Self::Http { status, body, .. } if body.is_empty() => {
                write!(f, "the server answered HTTP {status}")
            }
            Self::Http { status, body, .. } => write!(f, "the server answered HTTP {status}: {body}"),
            Self::Protocol(error) => write!(f, "the server refused: {error}"),
            Self::Malformed { what, why } => write!(f, "the server's answer to {what} is malformed: {why}"),
            Self::Timeout { method, after } => {
                write!(f, "no answer to {method} within {} ms", after.as_millis())
            }
            Self::NoCommonRevision { server, client } => write!(
                f,
                "no revision in common: the server speaks {}, this client {}",
                if server.is_empty() { "none that it names".to_owned() } else { server.join(", ") },
                client.join(", ")
            ),
            Self::SessionLost { why } => {
                write!(f, "the server lost the session and a new one did not help: {why}")
            }
            Self::Limit { limit, max } => write!(f, "the server went over {limit}, which is {max}"),
            Self::NotOffered { what } => write!(f, "the server does not offer {what}"),
            Self::InvalidTool { name, why } => write!(f, "the tool {name} must not be called: it {why}"),
            Self::Question { method, why } => write!(f, "the server's {method} has no answer: {why}"),
            Self::Options(why) => write!(f, "these options cannot work: {why}"),
            Self::Closed => f.write_str("the client is closed"),
        }
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Transport { error, .. } => Some(error),
            Self::Protocol(error) => Some(error),
            _ => None,
        }
    }
}
