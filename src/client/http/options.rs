//! What a transport may use, and what is wrong with what it was given.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::tls::TlsSetupError;

/// What of an answer is accepted. More ends the exchange with `TransportError::TooLarge` and the limit's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerLimits {
    /// Bytes of an answer's head, and of the trailers of a chunked body (`max_head_bytes`).
    pub head_bytes: usize,
    /// Headers of one answer (`max_headers`).
    pub headers: usize,
    /// Bytes of one body that is not an event stream (`max_body_bytes`).
    pub body_bytes: usize,
    /// Bytes of one event (`max_event_bytes`).
    pub event_bytes: usize,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        Self { head_bytes: 64 << 10, headers: 128, body_bytes: 16 << 20, event_bytes: 16 << 20 }
    }
}

/// How an [`super::HttpTransport`] reaches its server.
#[derive(Clone)]
pub struct HttpOptions {
    /// Connections open at the same time, event streams and idle ones among them, at least 1. A request beyond it waits.
    pub max_connections: usize,
    /// Idle connections kept for the next request.
    pub max_idle: usize,
    /// How long an idle connection is used again. Shorter than a usual server's patience, so that few are found stale.
    pub idle_timeout: Duration,
    /// How long connecting may take, and again the TLS handshake.
    pub connect_timeout: Duration,
    /// How long the name's addresses may take.
    pub resolve_timeout: Duration,
    /// What of an answer is accepted.
    pub limits: AnswerLimits,
    /// Sent with each request, for instance `Authorization`. Values are secrets: they are never shown.
    pub headers: Vec<(String, String)>,
    /// A PEM file of certificate authorities that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            max_connections: 64,
            max_idle: 8,
            idle_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            resolve_timeout: Duration::from_secs(5),
            limits: AnswerLimits::default(),
            headers: Vec::new(),
            ca_file: None,
        }
    }
}

impl fmt::Debug for HttpOptions {
    /// Names of headers only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("HttpOptions")
            .field("max_connections", &self.max_connections)
            .field("max_idle", &self.max_idle)
            .field("idle_timeout", &self.idle_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("resolve_timeout", &self.resolve_timeout)
            .field("limits", &self.limits)
            .field("headers", &names)
            .field("ca_file", &self.ca_file)
            .finish()
    }
}

/// Why a transport cannot be set up as asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// The target is no URL that can be reached over HTTP.
    Target(String),
    /// A header cannot be sent.
    Header(String),
    /// There are no certificate authorities to trust, or the file of them cannot be read.
    Tls(TlsSetupError),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(what) => write!(f, "bad target: {what}"),
            Self::Header(what) => write!(f, "bad header: {what}"),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

impl Error for SetupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Tls(error) => error.source(),
            _ => None,
        }
    }
}
