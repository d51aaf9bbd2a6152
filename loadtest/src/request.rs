//! The bytes around a message: HTTP heads, JSON-RPC envelopes, frames, and the handshake of the older revisions.

use serde_json::Value;

use crate::answer::Framing;
use crate::options::Era;
use crate::values::Target;

/// How requests to one server are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// The endpoint of HTTP; over libp2p there is none.
    pub(crate) http: Option<Target>,
    pub(crate) era: Era,
}

impl Dialect {
    /// How the answers are told apart.
    pub(crate) fn framing(&self) -> Framing {
        if self.http.is_some() { Framing::Http } else { Framing::Frames }
    }

    /// The head of a request as far as it is always the same; empty over libp2p. What follows is
    /// [`Dialect::session_field`] and the length of the body.
    pub(crate) fn head(&self, method: &str, params: &Value) -> Vec<u8> {
        let Some(target) = &self.http else { return Vec::new() };
        let version = self.era.version();
        let mut head = start("POST", target);
        head.push_str("Content-Type: application/json\r\n");
        if method != "initialize" {
            head.push_str(&format!("MCP-Protocol-Version: {version}\r\n"));
        }
        if !self.era.has_sessions() {
            head.push_str(&format!("Mcp-Method: {method}\r\n"));
            if let Some(name) = self.name_field(params) {
                head.push_str(&format!("Mcp-Name: {name}\r\n"));
            }
        }
        head.into_bytes()
    }

    /// What the head says that a request names: a tool, a prompt or a resource.
    pub(crate) fn name_field<'a>(&self, params: &'a Value) -> Option<&'a str> {
        let is_said = self.http.is_some() && !self.era.has_sessions();
        params.get("name").or_else(|| params.get("uri")).and_then(Value::as_str).filter(|_| is_said)
    }

    /// The header field of a session; nothing over libp2p and without one.
    pub(crate) fn session_field(&self, session: Option<&str>) -> Vec<u8> {
        let session = session.filter(|_| self.http.is_some());
        session.map(|id| format!("Mcp-Session-Id: {id}\r\n").into_bytes()).unwrap_or_default()
    }

    /// A request's JSON with `id` as it stands, for instance as a placeholder, or a notification without one.
    pub(crate) fn envelope(&self, id: Option<&str>, method: &str, mut params: Value) -> String {
        if !self.era.has_sessions() {
            params["_meta"] = serde_json::json!({
                "io.modelcontextprotocol/protocolVersion": self.era.version(),
                "io.modelcontextprotocol/clientInfo": client_info(),
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        let id = id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
        let method = Value::from(method);
        format!("{{\"jsonrpc\":\"2.0\",{id}\"method\":{method},\"params\":{params}}}")
    }

    /// Appends a whole request: the head, the session's field, the length, the body.
    pub(crate) fn append(&self, out: &mut Vec<u8>, head: &[u8], session: &[u8], body: &[u8]) {
        match self.http {
            Some(_) => {
                out.extend_from_slice(head);
                out.extend_from_slice(session);
                out.extend_from_slice(b"Content-Length: ");
                append_number(out, body.len() as u64);
                out.extend_from_slice(b"\r\n\r\n");
            }
            // Messages are at most a few mebibytes long, see the limits of `--message-bytes` and of mixes.
            None => out.extend_from_slice(&(body.len() as u32).to_be_bytes()),
        }
        out.extend_from_slice(body);
    }

    /// The `initialize` request; its id is 1.
    pub(crate) fn initialize(&self) -> Vec<u8> {
        let params = serde_json::json!({
            "protocolVersion": self.era.version(),
            "capabilities": {},
            "clientInfo": client_info(),
        });
        self.whole(Some("1"), "initialize", params, None)
    }

    /// The notification that ends the handshake.
    pub(crate) fn initialized(&self, session: Option<&str>) -> Vec<u8> {
        self.whole(None, "notifications/initialized", serde_json::json!({}), session)
    }

    /// The request that ends a session; `None` where there is nothing to end.
    pub(crate) fn end_session(&self, session: &[u8]) -> Option<Vec<u8>> {
        let target = self.http.as_ref().filter(|_| !session.is_empty())?;
        let mut request = start("DELETE", target);
        request.push_str(&format!("MCP-Protocol-Version: {}\r\n", self.era.version()));
        Some([request.as_bytes(), session, b"Content-Length: 0\r\n\r\n"].concat())
    }

    fn whole(&self, id: Option<&str>, method: &str, params: Value, session: Option<&str>) -> Vec<u8> {
        let head = self.head(method, &params);
        let mut out = Vec::new();
        let body = self.envelope(id, method, params);
        self.append(&mut out, &head, &self.session_field(session), body.as_bytes());
        out
    }
}

fn start(verb: &str, target: &Target) -> String {
    format!(
        "{verb} {} HTTP/1.1\r\nHost: {}\r\nAccept: application/json, text/event-stream\r\n",
        target.path, target.authority
    )
}

fn client_info() -> Value {
    serde_json::json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")})
}

/// Appends a number in decimal digits.
pub(crate) fn append_number(out: &mut Vec<u8>, number: u64) {
    let (mut digits, mut at, mut rest) = ([b'0'; 20], 20, number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break out.extend_from_slice(&digits[at..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::find;

    fn dialect(era: Era) -> Dialect {
        Dialect { http: Some(Target::new("127.0.0.1:8000", "/mcp").unwrap()), era }
    }

    #[test]
    fn modern_requests_carry_their_metadata_and_legacy_ones_their_session() {
        let params = serde_json::json!({"name": "echo"});
        let modern = dialect(Era::V2026_07_28);
        assert!(find(&modern.head("tools/call", &params), b"Mcp-Name: echo\r\n").is_some());
        assert!(
            modern.envelope(None, "tools/call", params.clone()).contains("protocolVersion\":\"2026-07-28")
        );
        let legacy = dialect(Era::V2025_11_25);
        assert!(find(&legacy.head("tools/call", &params), b"Mcp-Name").is_none());
        assert!(!legacy.envelope(None, "tools/call", params).contains("_meta"));
        assert_eq!(legacy.session_field(Some("abc")), b"Mcp-Session-Id: abc\r\n");
        assert!(legacy.end_session(b"Mcp-Session-Id: abc\r\n").unwrap().starts_with(b"DELETE /mcp "));
        assert_eq!(legacy.end_session(b""), None);
    }

    #[test]
    fn requests_say_how_long_they_are() {
        for (length, digits) in [(0, "0"), (7, "7"), (1234, "1234")] {
            let body = vec![b'x'; length];
            let mut out = Vec::new();
            dialect(Era::V2026_07_28).append(&mut out, b"H\r\n", b"", &body);
            assert!(out.starts_with(format!("H\r\nContent-Length: {digits}\r\n\r\n").as_bytes()));
            out.clear();
            Dialect { http: None, era: Era::V2026_07_28 }.append(&mut out, b"", b"", &body);
            assert_eq!(out.len(), 4 + length);
        }
    }
}
