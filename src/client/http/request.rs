//! Writes the head of a request, and lets nothing into it that could end a header early.

use std::fmt::Write as _;

use super::options::SetupError;
use super::target::HttpTarget;
use crate::client::{Outgoing, OutgoingHead, TransportError, Verb};

/// Headers that the transport writes itself.
const OWN: [&str; 15] = [
    "host",
    "accept",
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "upgrade",
    "expect",
    "te",
    "trailer",
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
    "mcp-session-id",
];

/// What every request of one transport has: the lines after the request line that never change.
#[derive(Clone)]
pub(super) struct CommonHead {
    path: String,
    lines: String,
}

impl CommonHead {
    /// Checks the extra headers and writes what is the same each time.
    pub(super) fn new(target: &HttpTarget, extra: &[(String, String)]) -> Result<CommonHead, SetupError> {
        let mut lines = format!("Host: {}\r\n", target.authority);
        if !extra.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
            lines.push_str(concat!("User-Agent: ringmesh/", env!("CARGO_PKG_VERSION"), "\r\n"));
        }
        for (name, value) in extra {
            check(name, value).map_err(SetupError::Header)?;
            if OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
                return Err(SetupError::Header(format!("{name} is written by the client itself")));
            }
            push(&mut lines, name, value);
        }
        Ok(CommonHead { path: target.path.clone(), lines })
    }

    /// The whole head of one request.
    pub(super) fn render(&self, outgoing: &Outgoing) -> Result<Vec<u8>, TransportError> {
        let (verb, accept) = match outgoing.verb {
            Verb::Post => ("POST", "application/json, text/event-stream"),
            Verb::Get => ("GET", "text/event-stream"),
            Verb::Delete => ("DELETE", "application/json"),
        };
        let mut head = format!("{verb} {} HTTP/1.1\r\n{}Accept: {accept}\r\n", self.path, self.lines);
        if outgoing.verb == Verb::Post {
            let length = outgoing.body.len();
            let _ = write!(head, "Content-Type: application/json\r\nContent-Length: {length}\r\n");
        }
        for (name, value) in fields(&outgoing.head) {
            check(name, value).map_err(TransportError::Unsupported)?;
            push(&mut head, name, value);
        }
        head.push_str("\r\n");
        Ok(head.into_bytes())
    }
}

fn fields(head: &OutgoingHead) -> impl Iterator<Item = (&str, &str)> {
    let named = [
        ("MCP-Protocol-Version", &head.protocol_version),
        ("Mcp-Method", &head.method),
        ("Mcp-Name", &head.name),
        ("Mcp-Session-Id", &head.session_id),
        ("Last-Event-ID", &head.last_event_id),
    ];
    let named = named.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    named.chain(head.params.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

fn push(head: &mut String, name: &str, value: &str) {
    let _ = write!(head, "{name}: {value}\r\n");
}

/// A name must be a token and a value have no control characters (RFC 9110, 5.1 and 5.5). The value is not repeated.
fn check(name: &str, value: &str) -> Result<(), String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("{name:?} is not a header's name: letters, digits and dashes are allowed"));
    }
    if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(format!("the value of {name} holds a control character, which no header can carry"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn outgoing(verb: Verb, head: OutgoingHead) -> Outgoing {
        let body = if verb == Verb::Post { b"{}".to_vec() } else { Vec::new() };
        Outgoing { verb, body, head, timeout: Duration::ZERO, idle_timeout: None, idempotent: false }
    }

    fn common(extra: &[(&str, &str)]) -> Result<CommonHead, SetupError> {
        let extra: Vec<_> = extra.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        CommonHead::new(&HttpTarget::parse("http://a:1/mcp?x").unwrap(), &extra)
    }

    #[test]
    fn a_post_carries_every_header_it_was_given_once() {
        let head = OutgoingHead {
            protocol_version: Some("2026-07-28".into()),
            method: Some("tools/call".into()),
            name: Some("echo".into()),
            params: vec![("Mcp-Param-Region".into(), "eu".into())],
            session_id: Some("s".into()),
            last_event_id: Some("7".into()),
        };
        let common = common(&[("Authorization", "Bearer t"), ("user-agent", "mine")]).unwrap();
        let text = String::from_utf8(common.render(&outgoing(Verb::Post, head)).unwrap()).unwrap();
        let expected = "POST /mcp?x HTTP/1.1\r\nHost: a:1\r\nAuthorization: Bearer t\r\nuser-agent: mine\r\n\
             Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
             MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\nMcp-Session-Id: s\r\n\
             Last-Event-ID: 7\r\nMcp-Param-Region: eu\r\n\r\n";
        assert_eq!(text, expected);
        let get = common.render(&outgoing(Verb::Get, OutgoingHead::default())).unwrap();
        assert!(!String::from_utf8(get).unwrap().contains("Content-"), "a GET has no body");
    }

    #[test]
    fn nothing_can_smuggle_a_header_in_or_replace_one_of_the_clients_own() {
        for (name, value) in [("A\r\nB", "x"), ("", "x"), ("A b", "x"), ("A:", "x"), ("A", "s3cret\r\nB: c")]
        {
            let error = common(&[(name, value)]).err().expect(name).to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
        for own in ["Content-Length", "host", "Mcp-Session-Id"] {
            assert!(common(&[(own, "1")]).is_err(), "{own}");
        }
        let head = OutgoingHead { session_id: Some("a\nb".into()), ..OutgoingHead::default() };
        let refused = common(&[]).unwrap().render(&outgoing(Verb::Get, head));
        assert!(matches!(refused, Err(TransportError::Unsupported(_))));
    }
}
