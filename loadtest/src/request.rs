//! The requests: built once as a template, then copied with a new id and a new message for each call.

use crate::options::Era;
use crate::values::Target;

/// Digits of a JSON-RPC id; fixed, so that every request has the same length.
pub(crate) const ID_DIGITS: usize = 10;
/// The smallest id.
pub(crate) const FIRST_ID: u64 = 1_000_000_000;
/// One past the largest id.
pub(crate) const ID_END: u64 = 10_000_000_000;
/// How much of a message differs from call to call; what follows is filler.
const MARK_BYTES: usize = 16;

/// What makes one call differ from all others: its id, and the mark at the start of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// The id as decimal digits.
    pub(crate) id: [u8; ID_DIGITS],
    mark: [u8; MARK_BYTES],
}

impl Key {
    /// The key of the call `id`, which is from [`FIRST_ID`] to below [`ID_END`].
    pub(crate) fn new(id: u64) -> Self {
        debug_assert!((FIRST_ID..ID_END).contains(&id));
        let mut digits = [0; ID_DIGITS];
        let mut rest = id;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        // A finalizer of the splitmix kind: neighbouring ids get unlike messages.
        let mut mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^= mixed >> 31;
        let mut mark = [0; MARK_BYTES];
        for (at, byte) in mark.iter_mut().enumerate() {
            *byte = b"0123456789abcdef"[(mixed >> (4 * at)) as usize & 15];
        }
        Self { id: digits, mark }
    }

    /// The start of a message of `message_bytes`, as far as it differs from call to call.
    pub(crate) fn mark(&self, message_bytes: usize) -> &[u8] {
        &self.mark[..message_bytes.min(MARK_BYTES)]
    }

    /// The whole message; the slow check compares with it.
    pub(crate) fn message(&self, message_bytes: usize) -> String {
        let mut message = String::from_utf8_lossy(self.mark(message_bytes)).into_owned();
        message.extend(filler().take(message_bytes - message.len()));
        message
    }
}

/// Filler that is the same in every message and needs no JSON escape.
fn filler() -> impl Iterator<Item = char> {
    ('a'..='z').cycle()
}

/// A request with two holes: the id and the mark of the message.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    id_at: usize,
    mark_at: usize,
    message_bytes: usize,
}

impl Template {
    /// The call of `tool` in the given revision, with the session's id where there is one.
    pub(crate) fn call(
        target: &Target,
        era: Era,
        tool: &str,
        message_bytes: usize,
        session: Option<&str>,
    ) -> Self {
        let key = Key::new(FIRST_ID);
        let head = if era.has_sessions() {
            legacy_head(era, session)
        } else {
            format!(
                "MCP-Protocol-Version: {}\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n",
                era.version()
            )
        };
        let params = serde_json::json!({"name": tool, "arguments": {"message": key.message(message_bytes)}});
        let bytes = post(target, &head, &envelope(era, Some(FIRST_ID), "tools/call", params));
        let body_at = find(&bytes, b"\r\n\r\n").expect("invariant: the head was just written") + 4;
        let id_at = body_at + find(&bytes[body_at..], &key.id).expect("invariant: the id was just written");
        let label = b"\"message\":\"";
        let mark_at = body_at
            + find(&bytes[body_at..], label).expect("invariant: the message was written")
            + label.len();
        Self { bytes, id_at, mark_at, message_bytes }
    }

    /// Appends the request of `key`.
    pub(crate) fn append(&self, out: &mut Vec<u8>, key: &Key) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let mark = key.mark(self.message_bytes);
        out[start + self.id_at..][..ID_DIGITS].copy_from_slice(&key.id);
        out[start + self.mark_at..][..mark.len()].copy_from_slice(mark);
    }

    /// The length of each request, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// The `initialize` request of a revision with sessions; its id is [`FIRST_ID`].
pub(crate) fn initialize(target: &Target, era: Era) -> Vec<u8> {
    let params = serde_json::json!({
        "protocolVersion": era.version(),
        "capabilities": {},
        "clientInfo": {"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")},
    });
    post(target, "", &envelope(era, Some(FIRST_ID), "initialize", params))
}

/// The notification that ends the handshake.
pub(crate) fn initialized(target: &Target, era: Era, session: Option<&str>) -> Vec<u8> {
    let body = envelope(era, None, "notifications/initialized", serde_json::json!({}));
    post(target, &legacy_head(era, session), &body)
}

fn legacy_head(era: Era, session: Option<&str>) -> String {
    let session = session.map(|id| format!("Mcp-Session-Id: {id}\r\n")).unwrap_or_default();
    format!("MCP-Protocol-Version: {}\r\n{session}", era.version())
}

fn envelope(era: Era, id: Option<u64>, method: &str, mut params: serde_json::Value) -> String {
    if !era.has_sessions() {
        params["_meta"] = serde_json::json!({
            "io.modelcontextprotocol/protocolVersion": era.version(),
            "io.modelcontextprotocol/clientInfo":
                {"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
    }
    let id = id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
    let method = serde_json::Value::from(method);
    format!("{{\"jsonrpc\":\"2.0\",{id}\"method\":{method},\"params\":{params}}}")
}

fn post(target: &Target, extra_head: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{extra_head}Content-Length: {}\r\n\r\n{body}",
        target.path,
        target.authority,
        body.len()
    )
    .into_bytes()
}

/// Where `needle` first stands in `hay`; for short texts off the hot path.
pub(crate) fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target::new("127.0.0.1:8000", "/mcp").unwrap()
    }

    fn body(request: &[u8]) -> serde_json::Value {
        serde_json::from_slice(&request[find(request, b"\r\n\r\n").unwrap() + 4..]).unwrap()
    }

    #[test]
    fn every_request_is_whole_and_its_own() {
        for message_bytes in [1, 15, 16, 17, 1000] {
            let template = Template::call(&target(), Era::V2026_07_28, "echo", message_bytes, None);
            let mut out = Vec::new();
            for id in [FIRST_ID, 1_234_567_890, ID_END - 1] {
                out.clear();
                let key = Key::new(id);
                template.append(&mut out, &key);
                assert_eq!(out.len(), template.len());
                let json = body(&out);
                assert_eq!(json["id"], id);
                assert_eq!(json["params"]["arguments"]["message"], key.message(message_bytes));
                assert_eq!(key.message(message_bytes).len(), message_bytes);
                let length = format!("Content-Length: {}\r\n", serde_json::to_vec(&json).unwrap().len());
                assert!(find(&out, length.as_bytes()).is_some(), "{length}");
            }
        }
    }

    #[test]
    fn modern_requests_carry_their_metadata_and_legacy_ones_their_session() {
        let modern = Template::call(&target(), Era::V2026_07_28, "echo", 16, None);
        assert!(find(&modern.bytes, b"Mcp-Name: echo\r\n").is_some());
        let meta = &body(&modern.bytes)["params"]["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
        let legacy = Template::call(&target(), Era::V2025_11_25, "echo", 16, Some("abc"));
        assert!(find(&legacy.bytes, b"Mcp-Session-Id: abc\r\n").is_some());
        assert!(find(&legacy.bytes, b"Mcp-Name").is_none());
        assert!(body(&legacy.bytes)["params"].get("_meta").is_none());
    }

    #[test]
    fn a_tool_named_like_the_message_label_does_not_confuse_the_template() {
        let template = Template::call(&target(), Era::V2026_07_28, "message", 1, None);
        let mut out = Vec::new();
        let key = Key::new(7_777_777_777);
        template.append(&mut out, &key);
        assert_eq!(body(&out)["params"]["arguments"]["message"], key.message(1));
    }
}
