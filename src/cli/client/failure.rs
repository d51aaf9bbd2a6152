//! How a command fails: what is said, and the code it ends with.

use serde_json::{Value, json};

use super::text::visible;
use crate::cli::exit;
use crate::client::{ClientError, ProtocolError, TransportError};

/// What a peer answers to a request that only peers with its token may make.
const FORBIDDEN: i64 = -33403;

/// Why a command does not end well.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    pub(super) code: u8,
    pub(super) message: String,
    /// What the server answered with, where it did.
    protocol: Option<ProtocolError>,
    /// The status of HTTP, where that was the answer.
    status: Option<u16>,
    /// Standard output has the result all the same, and takes no other document.
    pub(super) has_result: bool,
}

impl Failure {
    pub(super) fn new(code: u8, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into(), protocol: None, status: None, has_result: false }
    }

    pub(super) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(exit::USAGE, message)
    }

    /// A failure beside a result that standard output has taken.
    pub(super) fn with_result(message: impl Into<String>) -> Failure {
        Failure { has_result: true, ..Failure::new(exit::FAILURE, message) }
    }

    /// For scripts: the kind, the exit code, and what the server said.
    pub(super) fn document(&self) -> Value {
        let mut error = json!({ "kind": self.kind(), "exitCode": self.code, "message": self.message });
        if let Some(status) = self.status {
            error["status"] = status.into();
        }
        if let Some(protocol) = &self.protocol {
            (error["code"], error["message"]) = (protocol.code.into(), protocol.message.as_str().into());
            error["data"] = protocol.data.clone().unwrap_or_default();
        }
        json!({ "error": error })
    }

    fn kind(&self) -> &'static str {
        match self.code {
            exit::USAGE => "usage",
            exit::PREFLIGHT => "machine",
            exit::UNREACHABLE => "unreachable",
            exit::TIMEOUT => "timeout",
            exit::PROTOCOL => "protocol",
            exit::INTERRUPTED => "interrupted",
            _ if self.protocol.is_some() || self.status.is_some() => "refused",
            _ => "failed",
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let mut message = visible(&error.to_string());
        if let ClientError::Http { status: 401 | 403, .. } = &error {
            message.push_str("; what it asks for can be sent with --header");
        }
        if error.protocol().is_some_and(|error| error.code == FORBIDDEN) {
            message.push_str("; a peer's token can be sent with --p2p-token-file");
        }
        let mut failure = Failure::new(code(&error), message);
        match error {
            ClientError::Protocol(error) => failure.protocol = Some(error),
            ClientError::Http { status, .. } => failure.status = Some(status),
            _ => {}
        }
        failure
    }
}

fn code(error: &ClientError) -> u8 {
    match error {
        ClientError::Transport { error, .. } => transport_code(error),
        ClientError::Timeout { .. } => exit::TIMEOUT,
        ClientError::Http { .. }
        | ClientError::Protocol(_)
        | ClientError::NotOffered { .. }
        | ClientError::Question { .. } => exit::FAILURE,
        ClientError::Options(_) => exit::USAGE,
        _ => exit::PROTOCOL,
    }
}

fn transport_code(error: &TransportError) -> u8 {
    match error {
        TransportError::Resolve(_)
        | TransportError::Connect(_)
        | TransportError::Tls(_)
        | TransportError::Busy { .. }
        | TransportError::Closed { .. } => exit::UNREACHABLE,
        TransportError::Timeout { .. } => exit::TIMEOUT,
        _ => exit::PROTOCOL,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_kind_of_failure_has_its_code() {
        let transport = |error| ClientError::Transport { target: "http://a/".into(), error };
        for (error, expected) in [
            (transport(TransportError::Connect("refused".into())), 4),
            (transport(TransportError::Tls("expired".into())), 4),
            (transport(TransportError::Closed { before_answer: true }), 4),
            (transport(TransportError::Timeout { what: "x" }), 5),
            (transport(TransportError::Malformed("x".into())), 6),
            (transport(TransportError::Unsupported("308".into())), 6),
            (ClientError::Timeout { method: "ping".into(), after: Duration::from_secs(1) }, 5),
            (ClientError::Protocol(ProtocolError::new(-32602, "no such tool")), 1),
            (ClientError::Http { status: 503, body: String::new(), www_authenticate: None }, 1),
            (ClientError::NotOffered { what: "tools".into() }, 1),
            (ClientError::SessionLost { why: "x".into() }, 6),
            (ClientError::Options("x".into()), 2),
        ] {
            assert_eq!(Failure::from(error.clone()).code, expected, "{error}");
        }
    }

    #[test]
    fn a_script_finds_what_the_server_said_in_the_document() {
        let refused =
            ProtocolError { data: Some(json!({ "uri": "a:b" })), ..ProtocolError::new(-32602, "no") };
        let expected = json!({ "error": { "kind": "refused", "exitCode": 1, "message": "no", "code": -32602,
            "data": { "uri": "a:b" } } });
        assert_eq!(Failure::from(ClientError::Protocol(refused)).document(), expected);
        let error = ClientError::Http { status: 502, body: String::new(), www_authenticate: None };
        assert_eq!(Failure::from(error).document()["error"]["status"], 502);
        let expected = json!({ "error": { "kind": "usage", "exitCode": 2, "message": "x" } });
        assert_eq!(Failure::usage("x").document(), expected);
    }

    #[test]
    fn messages_are_safe_to_show_and_say_what_to_do() {
        let error = ClientError::Http { status: 401, body: "go\u{1b}[2J".into(), www_authenticate: None };
        let message = Failure::from(error).message;
        assert!(
            message.contains("401") && message.contains("--header") && !message.contains('\u{1b}'),
            "{message}"
        );
    }
}
