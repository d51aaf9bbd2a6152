//! How a call fails: as a result that the model sees, or as a protocol error that it does not.

use std::borrow::Cow;

use serde_json::Value;

use crate::mcp::ask::elicitation::Elicitation;
use crate::mcp::message::capability::Capability;
use crate::mcp::message::errors::{ErrorKind, is_reserved_code};
use crate::mcp::offer::reply::Reply;

/// The failure of a call: of a tool, or of reading a resource, getting a prompt or completing an argument.
///
/// Every `std::error::Error` turns into one with `?`, as [`CallError::failed`] with the error's text: take care that
/// the text may go to the client.
#[derive(Debug)]
pub struct CallError(pub(crate) Failure);

#[derive(Debug)]
pub(crate) enum Failure {
    /// A result with `isError: true`.
    Result(Box<Reply>),
    /// A JSON-RPC error of the table.
    Known { kind: ErrorKind, message: Cow<'static, str> },
    /// There is no resource with this URI.
    NoResource(String),
    /// The client lacks these capabilities.
    Missing(Vec<Capability>),
    /// The run of the handler ends at its questions (2026-07-28).
    InputRequired,
    /// The user must follow links first.
    UrlElicitation { message: Cow<'static, str>, links: Vec<Elicitation> },
    /// A JSON-RPC error with the tool's own code.
    Own { code: i32, message: String, data: Option<Box<Value>> },
}

impl CallError {
    /// The call failed in a way that its reader should see. A tool answers with a result with `isError: true`, which a
    /// model can react to; all else has no such results and answers with the error -32603 and this text.
    pub fn failed(text: impl Into<Cow<'static, str>>) -> CallError {
        CallError::failed_with(Reply::text(text))
    }

    /// As [`CallError::failed`], with any content; where the answer is an error it gets the texts only.
    pub fn failed_with(reply: Reply) -> CallError {
        CallError(Failure::Result(Box::new(reply.failed())))
    }

    /// The request itself is at fault and a model cannot mend it: a JSON-RPC error -32602.
    pub fn invalid_params(message: impl Into<Cow<'static, str>>) -> CallError {
        CallError(Failure::Known { kind: ErrorKind::InvalidParams, message: message.into() })
    }

    /// Whoever asks may not: the error -33403. The text says what would be allowed.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> CallError {
        CallError(Failure::Known { kind: ErrorKind::Forbidden, message: message.into() })
    }

    /// There is no resource with this URI: -32602 with the URI in the error's data, -32002 before 2026-07-28.
    pub fn resource_not_found(uri: impl Into<String>) -> CallError {
        CallError(Failure::NoResource(uri.into()))
    }

    /// The client must declare the capability first: -32021 in 2026-07-28, -32602 before.
    pub fn missing_capability(capability: Capability) -> CallError {
        CallError(Failure::Missing(vec![capability]))
    }

    /// The user must follow these links before the call can succeed; the client sends it again then. In 2025-11-25 it
    /// is the error -32042, and the client must have declared `elicitation.url`. The other revisions do not have it:
    /// there it is a failed result that names the links, and [`Context::elicit`](crate::mcp::Context::elicit) is the
    /// better way to ask.
    pub fn url_elicitation_required(
        message: impl Into<Cow<'static, str>>,
        links: impl IntoIterator<Item = Elicitation>,
    ) -> CallError {
        CallError(Failure::UrlElicitation { message: message.into(), links: links.into_iter().collect() })
    }

    /// Something broke inside. The detail goes to the log; the client is told -32603 and no more.
    pub fn internal(detail: impl Into<Cow<'static, str>>) -> CallError {
        CallError(Failure::Known { kind: ErrorKind::Internal, message: detail.into() })
    }

    /// A JSON-RPC error with a code of the tool's own, outside -32768 to -32000, which JSON-RPC and MCP reserve; a
    /// code inside becomes -32603.
    pub fn protocol(code: i32, message: impl Into<String>, data: Option<Value>) -> CallError {
        let code = if is_reserved_code(code) { -32603 } else { code };
        CallError(Failure::Own { code, message: message.into(), data: data.map(Box::new) })
    }
}

impl<E: std::error::Error> From<E> for CallError {
    fn from(error: E) -> Self {
        CallError::failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_codes_cannot_be_taken() {
        for code in [-32700, -32042, -32020, -32002, -32000, -32768] {
            let CallError(Failure::Own { code, .. }) = CallError::protocol(code, "x", None) else { panic!() };
            assert_eq!(code, -32603);
        }
        let CallError(Failure::Own { code, .. }) = CallError::protocol(-31999, "x", None) else { panic!() };
        assert_eq!(code, -31999);
    }

    #[test]
    fn any_error_becomes_a_failed_result() {
        fn parse() -> Result<i32, CallError> {
            Ok("x".parse::<i32>()?)
        }
        let CallError(Failure::Result(reply)) = parse().unwrap_err() else { panic!() };
        assert!(reply.is_error);
    }
}
