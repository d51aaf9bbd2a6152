//! The closed list of what can go wrong, as peers read it.

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident $code:literal;)*) => {
        /// The `error` of an answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[doc = $doc])+ $variant,)* }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The code that is sent as this text.
            pub(super) fn of(text: &str) -> Option<ErrorCode> {
                ErrorCode::ALL.iter().copied().find(|code| code.as_str() == text)
            }

            /// The code as it is sent.
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$variant => $code,)* }
            }
        }
    };
}

codes! {
    /// The line is longer than allowed.
    FrameTooLarge "frame_too_large";
    /// The line is not one JSON text.
    InvalidJson "invalid_json";
    /// The request is no JSON object.
    InvalidMessage "invalid_message";
    /// The shared token is missing or wrong, or the caller may only read.
    Unauthorized "unauthorized";
    /// The peer, or all peers together, send more requests than they may.
    RateLimited "rate_limited";
    /// The process holds as many bytes as it may.
    Overloaded "overloaded";
    /// There is no such operation.
    UnknownOp "unknown_op";
    /// `worker_id` is missing.
    MissingWorkerId "missing_worker_id";
    /// `peer_id` is missing, and no transport says who asks.
    MissingPeerId "missing_peer_id";
    /// `peer_id` names another peer than the connection proved.
    PeerMismatch "peer_mismatch";
    /// `task_id` is missing.
    MissingTaskId "missing_task_id";
    /// `tool` is missing.
    MissingToolName "missing_tool_name";
    /// `key` is missing.
    MissingKey "missing_key";
    /// A field has a value that cannot be used.
    InvalidField "invalid_field";
    /// The node has no task queue, or its journal has failed.
    QueueUnavailable "queue_unavailable";
    /// There is no task of this id.
    TaskNotFound "task_not_found";
    /// The lease is over: somebody else may hold the task.
    LeaseLost "lease_lost";
    /// The node wants the fencing token of the claim.
    FencingRequired "fencing_required";
    /// The queue holds as much as it may.
    QueueFull "queue_full";
    /// A part of the request is larger than it may be.
    TooLarge "too_large";
    /// A value is not what it must be.
    InvalidValue "invalid_value";
    /// The idempotency key names other work.
    IdempotencyConflict "idempotency_conflict";
    /// Only failed and cancelled tasks are put back.
    TaskNotFinished "task_not_finished";
    /// The disk of the node's journal is full.
    DiskFull "disk_full";
    /// Peers may not use the cache.
    CacheDisabled "cache_disabled";
    /// Peers may not call tools.
    ToolsDisabled "tools_disabled";
    /// There is no such tool.
    ToolNotFound "tool_not_found";
    /// A tool call that would call tools of peers in turn.
    RecursionRefused "recursion_refused";
    /// The tool failed; `message` says how.
    ToolFailed "tool_failed";
    /// The tool was not ready in time and was stopped.
    DeadlineExceeded "deadline_exceeded";
    /// The answer would not fit on a line.
    AnswerTooLarge "answer_too_large";
    /// A fault of this node.
    InternalError "internal_error";
}

/// Words in an `error` that make the clients that exist send the request again.
pub(super) const RETRY_WORDS: [&str; 6] =
    ["timeout", "connect", "stream", "handshake", "no response", "discovery_timeout"];

/// Whether the clients that exist would send a request again that was answered with this error.
pub(super) fn asks_for_retry(error: &str) -> bool {
    let error = error.to_lowercase();
    RETRY_WORDS.iter().any(|word| error.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_makes_a_client_send_the_request_again() {
        for code in ErrorCode::ALL {
            assert!(!asks_for_retry(code.as_str()), "{}", code.as_str());
        }
        assert!(asks_for_retry("Connection refused") && !asks_for_retry("boom text"));
    }
}
