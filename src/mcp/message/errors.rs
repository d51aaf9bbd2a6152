//! The error table: every way a message can fail, with its JSON-RPC code, HTTP status, retry advice and metric label.
//!
//! Codes of our own lie outside the range that JSON-RPC reserves (-32768 to -32000): `-33` followed by the HTTP status
//! that means the same.

use crate::limits::Limit;
use crate::mcp::Revision;

/// One row of the error table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorInfo {
    /// The kind that the row describes.
    pub kind: ErrorKind,
    /// The metric label and log field.
    pub label: &'static str,
    /// The JSON-RPC code; `None` where the failure is a result with `isError: true`.
    pub code: Option<i32>,
    /// The HTTP status in 2026-07-28.
    pub status: u16,
    /// The HTTP status in the revisions before it.
    pub legacy_status: u16,
    /// Whether the same request may succeed when it is sent again later.
    pub retryable: bool,
    /// The limit that was hit, where the error is one.
    pub limit: Option<Limit>,
}

macro_rules! errors {
    ($($(#[doc = $doc:literal])+ $variant:ident $label:literal, $code:expr, $status:literal / $legacy:literal
       $(, retry $retry:literal)? $(, limit $limit:ident)?;)*) => {
        /// What went wrong with a message; a closed set, so that it can label a metric.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum ErrorKind { $($(#[doc = $doc])+ $variant,)* }

        impl ErrorKind {
            /// The table, in the order of the kinds' indexes.
            pub const ALL: &'static [ErrorInfo] = &[$(ErrorInfo {
                kind: ErrorKind::$variant,
                label: $label,
                code: $code,
                status: $status,
                legacy_status: $legacy,
                retryable: false $(|| $retry)?,
                limit: errors!(@limit $($limit)?),
            },)*];
        }
    };
    (@limit) => { None };
    (@limit $limit:ident) => { Some(Limit::$limit) };
}

errors! {
    /// `Content-Type` is not JSON.
    UnsupportedMediaType "unsupported_media_type", Some(-32600), 415 / 415;
    /// `Accept` does not admit both answer types.
    NotAcceptable "not_acceptable", Some(-32600), 406 / 406;
    /// The endpoint does not offer this HTTP method.
    MethodNotAllowed "method_not_allowed", Some(-32600), 405 / 405;
    /// The body is not JSON.
    Parse "parse_error", Some(-32700), 400 / 400;
    /// Arrays and objects nest deeper than allowed.
    TooDeep "json_too_deep", Some(-32600), 400 / 400, limit JsonDepth;
    /// The body is JSON and not one JSON-RPC 2.0 message.
    InvalidRequest "invalid_request", Some(-32600), 400 / 400;
    /// A batch where there is none: outside sessions of 2025-03-26.
    Batch "batch", Some(-32600), 400 / 400;
    /// A JSON-RPC response where no request of ours is open.
    UnexpectedResponse "unexpected_response", Some(-32600), 400 / 400;
    /// Required `_meta` fields are absent or malformed.
    InvalidMeta "invalid_meta", Some(-32602), 400 / 400;
    /// A mirrored header is absent, malformed or differs from the body.
    HeaderMismatch "header_mismatch", Some(-32020), 400 / 400;
    /// The client did not declare a capability that the request needs.
    MissingCapability "missing_capability", Some(-32021), 400 / 200;
    /// The protocol version is not served.
    UnsupportedVersion "unsupported_version", Some(-32022), 400 / 400;
    /// The `MCP-Protocol-Version` header of a session is unknown or differs from what was negotiated.
    SessionVersion "session_version", Some(-32600), 400 / 400;
    /// No `Mcp-Session-Id` where one is needed.
    SessionRequired "session_required", Some(-32600), 400 / 400;
    /// The session ended, never existed, or belongs to another principal.
    SessionNotFound "session_not_found", Some(-33404), 404 / 404;
    /// The session table is full of sessions that are in use.
    SessionsFull "sessions_full", Some(-33503), 503 / 503, retry true, limit Sessions;
    /// The principal holds as many sessions as it may.
    PrincipalSessionsFull "principal_sessions_full", Some(-33503), 503 / 503, retry true,
        limit SessionsPerPrincipal;
    /// The method is unknown or not served in this revision.
    MethodNotFound "method_not_found", Some(-32601), 404 / 200;
    /// The parameters do not fit the method.
    InvalidParams "invalid_params", Some(-32602), 400 / 200;
    /// No such tool, or not an allowed one.
    UnknownTool "unknown_tool", Some(-32602), 400 / 200;
    /// No such prompt.
    UnknownPrompt "unknown_prompt", Some(-32602), 400 / 200;
    /// No such resource.
    ResourceNotFound "resource_not_found", Some(-32602), 400 / 200;
    /// The URI is longer than allowed.
    UriTooLong "uri_too_long", Some(-32602), 400 / 200, limit UriBytes;
    /// More resource subscriptions than allowed.
    TooManySubscriptions "too_many_subscriptions", Some(-32602), 400 / 200, limit ResourceSubscriptions;
    /// A batch of more messages than allowed.
    BatchTooLong "batch_too_long", Some(-32600), 400 / 400, limit BatchMessages;
    /// The request state was altered, has expired, or belongs to another request.
    InvalidRequestState "invalid_request_state", Some(-32602), 400 / 200;
    /// What a call would have to remember between rounds is larger than allowed.
    RequestStateTooLarge "request_state_too_large", Some(-33413), 413 / 200, limit RequestStateBytes;
    /// As many states that may be used once are remembered as may be.
    SingleUseFull "single_use_full", Some(-33503), 503 / 503, retry true, limit SingleUseStates;
    /// A call asks more questions at once than allowed.
    TooManyQuestions "too_many_questions", Some(-32603), 200 / 200, limit Questions;
    /// The client did not answer a question of the server's in time.
    ClientRequestTimeout "client_request_timeout", None, 200 / 200, limit ClientRequestTime;
    /// The user must visit a URL first (2025-11-25 only).
    UrlElicitationRequired "url_elicitation_required", Some(-32042), 200 / 200;
    /// As many event streams are open as may be.
    EventStreamsFull "event_streams_full", Some(-33503), 503 / 503, retry true, limit EventStreams;
    /// The client does not read the stream that its answers go to (HTTP+SSE, 2024-11-05).
    StreamFull "stream_full", Some(-33503), 503 / 503, retry true, limit StreamQueueBytes;
    /// The session has its stream for unrelated messages already.
    StreamTaken "stream_taken", Some(-33409), 409 / 409;
    /// `Last-Event-ID` names no event that can be resumed from.
    InvalidEventId "invalid_event_id", Some(-32600), 400 / 400;
    /// The tool's arguments do not fit its schema.
    InvalidArguments "invalid_arguments", None, 200 / 200;
    /// The handler said that it failed: a tool's result, anyone else's error.
    ToolFailed "tool_failed", None, 200 / 200;
    /// The handler did not finish in its time.
    Timeout "tool_timeout", None, 200 / 200, limit ToolTime;
    /// The handler raised a protocol error of its own.
    ToolProtocol "tool_protocol", Some(-32603), 200 / 200;
    /// The handler panicked.
    Panic "panic", Some(-32603), 200 / 200;
    /// The tool's structured content does not fit its output schema.
    InvalidOutput "invalid_output", Some(-32603), 200 / 200;
    /// Anything else on our side.
    Internal "internal", Some(-32603), 200 / 200;
    /// As many handlers run as may.
    InflightFull "inflight_full", Some(-33503), 503 / 503, retry true, limit InflightRequests;
    /// No thread and no place in the queue is free for a blocking tool.
    BlockingFull "blocking_full", Some(-33503), 503 / 503, retry true, limit BlockingQueue;
    /// The client cancelled the request.
    Cancelled "cancelled", Some(-33499), 200 / 200;
    /// The caller may read but not change anything.
    Forbidden "forbidden", Some(-33403), 403 / 403;
    /// The peer sends more requests than it may.
    PeerRate "peer_rate", Some(-33429), 429 / 429, retry true, limit P2pRequestRate;
    /// All peers together send more requests than they may.
    TotalRate "total_rate", Some(-33429), 429 / 429, retry true, limit P2pTotalRate;
    /// The process holds as many bytes as it may.
    BufferedFull "buffered_full", Some(-33503), 503 / 503, retry true, limit BufferedBytes;
    /// A frame that is longer than allowed.
    FrameTooLarge "frame_too_large", Some(-33413), 413 / 413, limit P2pFrameBytes;
    /// The server stops.
    ShuttingDown "shutting_down", Some(-33503), 503 / 503, retry true;
}

impl ErrorKind {
    /// How many kinds there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The kind's row in the table.
    pub fn info(self) -> &'static ErrorInfo {
        &Self::ALL[self as usize]
    }

    /// The metric label.
    pub fn as_str(self) -> &'static str {
        self.info().label
    }

    /// The limit that was hit, where the error is one.
    pub fn limit(self) -> Option<Limit> {
        self.info().limit
    }

    /// The JSON-RPC code for a client of `revision` (`None`: not known yet).
    pub fn code(self, revision: Option<Revision>) -> i32 {
        match (self, revision) {
            // The code exists since 2026-07-28 only; older clients know invalid parameters.
            (ErrorKind::MissingCapability, Some(revision)) if !revision.is_modern() => -32602,
            // The code was given up in 2026-07-28.
            (ErrorKind::ResourceNotFound, Some(revision)) if !revision.is_modern() => -32002,
            _ => self.info().code.unwrap_or(-32603),
        }
    }

    /// The HTTP status for a client of `revision` (`None`: not known yet).
    pub fn status(self, revision: Option<Revision>) -> u16 {
        match revision {
            Some(revision) if !revision.is_modern() => self.info().legacy_status,
            _ => self.info().status,
        }
    }
}

/// True where JSON-RPC 2.0 or MCP reserves the code, so that a tool may not use it freely.
pub(crate) fn is_reserved_code(code: i32) -> bool {
    (-32768..=-32000).contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_kinds_and_labels_are_unique() {
        let mut labels = std::collections::HashSet::new();
        for (index, info) in ErrorKind::ALL.iter().enumerate() {
            assert_eq!(info.kind as usize, index);
            assert!(labels.insert(info.label), "{}", info.label);
        }
    }

    #[test]
    fn codes_are_the_specified_ones_or_outside_the_reserved_range() {
        let specified = [-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022, -32042];
        for info in ErrorKind::ALL {
            let Some(code) = info.code else { continue };
            assert!(specified.contains(&code) || !is_reserved_code(code), "{}", info.label);
            assert_eq!(info.retryable, matches!(info.status, 503 | 429), "{}", info.label);
        }
    }

    #[test]
    fn a_missing_capability_is_told_to_older_clients_in_words_they_know() {
        let kind = ErrorKind::MissingCapability;
        assert_eq!((kind.code(None), kind.status(None)), (-32021, 400));
        assert_eq!(kind.code(Some(Revision::V2025_11_25)), -32602);
        assert_eq!(kind.status(Some(Revision::V2025_11_25)), 200);
    }
}
