//! The answer to OPTIONS: a CORS preflight (Fetch standard, 3.2), or a plain question for the methods.

use super::fields::Fields;
use super::response::{CorsGrant, ResponseHead, write_response};
use super::scan::is_token_byte;

/// The headers that a page may send. Authorization has to be named: `*` does not cover it.
const ALLOWED_HEADERS: &str = "Content-Type, Accept, Authorization, MCP-Protocol-Version, Mcp-Method, Mcp-Name, \
    Mcp-Session-Id, Last-Event-ID, traceparent, tracestate";
/// Parameter headers (`Mcp-Param-*`) of one preflight that are allowed by name; more are not granted.
const MAX_PARAMETER_HEADERS: usize = 32;
/// Seconds a browser may remember the answer.
const MAX_AGE_S: &str = "600";

/// Appends the answer to an OPTIONS request that passed [`super::AccessPolicy::check`]. `methods` is what the path knows,
/// for example `GET, POST, DELETE, OPTIONS`. `base` brings the date and how the connection goes on.
pub fn write_options(
    out: &mut Vec<u8>,
    fields: &Fields<'_>,
    grant: CorsGrant<'_>,
    methods: &str,
    base: &ResponseHead<'_>,
) {
    let head = ResponseHead { status: 204, content_type: None, allow: Some(methods), cors: grant, ..*base };
    if grant.origin.is_none() || fields.access_control_request_method.is_none() {
        return write_response(out, &head, b"");
    }
    let headers = allowed_headers(fields.access_control_request_headers.unwrap_or_default());
    let extra = [
        ("Access-Control-Allow-Methods", methods),
        ("Access-Control-Allow-Headers", headers.as_str()),
        ("Access-Control-Max-Age", MAX_AGE_S),
        ("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers"),
    ];
    write_response(out, &ResponseHead { allow: None, extra: &extra, ..head }, b"");
}

/// The known headers, and the parameter headers that were asked for: their names depend on the tool.
fn allowed_headers(requested: &[u8]) -> String {
    let mut allowed = ALLOWED_HEADERS.to_owned();
    let names =
        requested.split(|byte| *byte == b',').filter_map(|name| std::str::from_utf8(name.trim_ascii()).ok());
    let is_parameter = |name: &&str| {
        name.get(..10).is_some_and(|prefix| prefix.eq_ignore_ascii_case("mcp-param-"))
            && name.bytes().all(is_token_byte)
    };
    for name in names.filter(is_parameter).take(MAX_PARAMETER_HEADERS) {
        allowed.push_str(", ");
        allowed.push_str(name);
    }
    allowed
}
