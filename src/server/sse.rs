//! The paths of the HTTP+SSE transport of 2024-11-05: GET `/sse` opens the stream, POST `/messages` speaks to the server.

use super::core::CoreState;
use super::exchange::{self, Begun, Headers, Reply};
use crate::http::{Method, Reject, Request};
use crate::mcp::Posted;

/// Where a client opens its stream.
const STREAM: &str = "/sse";
/// Where it posts its messages.
const MESSAGES: &str = "/messages";

/// Whether the request is for this transport, and it is switched on.
pub(super) fn serves(core: &CoreState, request: &Request<'_>) -> bool {
    core.shared.config.http_sse && (request.path == STREAM || request.path == MESSAGES)
}

/// Answers a request to one of the two paths.
pub(super) fn route(
    core: &CoreState,
    request: &Request<'_>,
    reply: Reply,
    body: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Begun {
    let lookup = Headers(request);
    let head = exchange::mcp_head(request, &lookup);
    let at = exchange::at(core, request, &reply);
    let span = reply.span.clone();
    let _entered = span.enter();
    match (request.path, request.method) {
        (STREAM, Method::Get) => {
            let outcome = core.dispatcher.open_channel(&head, &at, MESSAGES, body);
            exchange::begun(core, reply, outcome, body, out)
        }
        (MESSAGES, Method::Post) if core.shared.budget.is_full() => exchange::refuse_bytes(core, &reply, out),
        (MESSAGES, Method::Post) => {
            match core.dispatcher.post_to_channel(&head, request.query, request.body, &at, body) {
                Posted::Answer(answer) => {
                    Begun::Done { keep: exchange::finish(core, &reply, &answer, body, out) }
                }
                Posted::Call(call, stream) => exchange::accepted(core, reply, call, stream, out),
            }
        }
        (_, Method::Options) => exchange::preflight(core, request, &reply, out),
        (path, _) => {
            let allow = if path == STREAM { "GET, OPTIONS" } else { "POST, OPTIONS" };
            exchange::done(core, &reply, &Reject::method_not_allowed(allow), out)
        }
    }
}
