//! What can be wrong with an answer or with the way to it.

/// What was wrong, as counted in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ErrorKind {
    /// No connection, or no session on it.
    Connect,
    /// The server closed the connection while answers were owed.
    Closed,
    /// Reading or writing failed.
    Io,
    /// The bytes are not an HTTP/1.1 answer, or not a frame.
    Http,
    /// The status is not 200.
    Status,
    /// The content type is not one that was asked for.
    ContentType,
    /// The body is not the JSON-RPC answer of this call.
    JsonRpc,
    /// A JSON-RPC error, or a result that says it is one, where none was wanted.
    CallError,
    /// The text is not the one that was sent.
    Text,
    /// A check of the mix does not hold.
    Check,
    /// No answer before the end of the run.
    Unanswered,
}

impl ErrorKind {
    /// The name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Closed => "closed",
            Self::Io => "io",
            Self::Http => "http",
            Self::Status => "status",
            Self::ContentType => "content_type",
            Self::JsonRpc => "json_rpc",
            Self::CallError => "tool_error",
            Self::Text => "text",
            Self::Check => "check",
            Self::Unanswered => "unanswered",
        }
    }
}

/// One error with its detail; the report shows the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}
