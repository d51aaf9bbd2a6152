//! How a command fails: what is said, and the code it ends with.

use super::text::visible;
use crate::cli::exit;
use crate::client::{ClientError, TransportError};

/// Why a command ends without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: u8,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn usage(message: impl Into<String>) -> Failure {
        Failure { code: exit::USAGE, message: message.into() }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let mut message = visible(&error.to_string());
        if let ClientError::Http { status: 401 | 403, .. } = &error {
            message.push_str("; what it asks for can be sent with --header");
        }
        Failure { code: code(&error), message }
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
    use crate::client::ProtocolError;

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
    fn messages_are_safe_to_show_and_say_what_to_do() {
        let error = ClientError::Http { status: 401, body: "go\u{1b}[2J".into(), www_authenticate: None };
        let message = Failure::from(error).message;
        assert!(
            message.contains("401") && message.contains("--header") && !message.contains('\u{1b}'),
            "{message}"
        );
    }
}
