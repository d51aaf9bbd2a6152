//! The tool `task_queue.rpc`: a request of the task queue inside `tools/call`.

use crate::mcp::message::answer::{Label, write_result};
use crate::mcp::message::envelope::Message;
use crate::mcp::message::era::{Era, Revision};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::json;
use crate::mcp::message::method::MethodKind;
use crate::mcp::message::scan::{Scanner, text};
use crate::mcp::message::small_text::SmallText;

/// The tool's name. It is on no list: the peers that use it know it.
const NAME: &str = "task_queue.rpc";
/// The text was scanned with the message.
const ANY_DEPTH: usize = usize::MAX;

/// One request to the task queue, and how to answer it.
pub(crate) struct RpcCall {
    /// The request object as JSON text.
    pub(crate) request: Box<str>,
    /// The id of the call as JSON text.
    pub(crate) id: SmallText,
    shape: Shape,
}

/// What the answer is put into.
enum Shape {
    /// Old peers read the bare object.
    Old,
    /// The result of a tool, in this revision; from 2026-07-28 on with `_meta`.
    Tool(Revision, Box<[u8]>),
}

/// Whether the message calls the tool.
pub(super) fn is_rpc(message: &Message<'_>, kind: MethodKind) -> bool {
    kind == MethodKind::ToolsCall && message.params.name.and_then(text).as_deref() == Some(NAME)
}

impl RpcCall {
    pub(super) fn old(message: &Message<'_>, id: &str) -> RpcCall {
        RpcCall { request: request(message), id: id.into(), shape: Shape::Old }
    }

    /// `server_meta` is what `_meta` says of the server.
    pub(super) fn of_tool(
        message: &Message<'_>,
        id: &str,
        revision: Revision,
        server_meta: &[u8],
    ) -> RpcCall {
        RpcCall { request: request(message), id: id.into(), shape: Shape::Tool(revision, server_meta.into()) }
    }

    /// What to count while it is not answered.
    pub(crate) fn label(&self) -> Label {
        let era = match &self.shape {
            Shape::Tool(revision, _) => revision.era(),
            Shape::Old => Era::Legacy,
        };
        Label::new(MethodKind::ToolsCall, era)
    }

    /// Appends the response around the task queue's answer, one JSON object.
    pub(crate) fn write(&self, answer: &[u8], out: &mut Vec<u8>) -> Label {
        let answer = String::from_utf8_lossy(answer);
        let ok = member(&answer, "ok") == Some("true");
        let mut result = Vec::with_capacity(2 * answer.len() + 64);
        match &self.shape {
            Shape::Old => {
                result.extend_from_slice(br#"{"content":"#);
                json::raw(&mut result, &answer);
                result.push(b'}');
            }
            Shape::Tool(revision, meta) => write_tool(&mut result, *revision, meta, &answer, ok),
        }
        write_result(out, self.id.as_str(), &result);
        Label { error: (!ok).then_some(ErrorKind::ToolFailed), ..self.label() }
    }
}

fn write_tool(result: &mut Vec<u8>, revision: Revision, meta: &[u8], answer: &str, ok: bool) {
    result.push(b'{');
    if revision.is_modern() {
        result.extend_from_slice(br#""resultType":"complete","#);
    }
    result.extend_from_slice(br#""content":[{"type":"text","text":"#);
    json::string(result, answer);
    result.extend_from_slice(b"}]");
    if revision >= Revision::V2025_06_18 {
        result.extend_from_slice(br#","structuredContent":"#);
        json::raw(result, answer);
    }
    if !ok {
        result.extend_from_slice(br#","isError":true"#);
    }
    if revision.is_modern() {
        result.extend_from_slice(br#","_meta":{"#);
        result.extend_from_slice(meta);
        result.push(b'}');
    }
    result.push(b'}');
}

/// The request in the arguments. Some clients wrap it into an object of one key; what is no object asks for nothing.
fn request(message: &Message<'_>) -> Box<str> {
    let arguments = message.params.arguments.filter(|raw| raw.starts_with('{')).unwrap_or("{}");
    only_object(arguments).unwrap_or(arguments).into()
}

/// The value of an object's only member, if that is an object.
fn only_object(raw: &str) -> Option<&str> {
    let mut scanner = Scanner::new(raw, ANY_DEPTH);
    scanner.peek()?;
    if !scanner.open()? {
        return None;
    }
    scanner.key()?;
    let value = scanner.value()?;
    (!scanner.more()? && value.starts_with('{')).then_some(value)
}

/// The value of a member that is written without escapes.
fn member<'a>(raw: &'a str, wanted: &str) -> Option<&'a str> {
    let mut scanner = Scanner::new(raw, ANY_DEPTH);
    scanner.peek().filter(|first| *first == b'{')?;
    let mut more = scanner.open()?;
    while more {
        let (key, _) = scanner.key()?;
        let value = scanner.value()?;
        if key == wanted {
            return Some(value);
        }
        more = scanner.more()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_one_key_is_unwrapped() {
        assert_eq!(only_object(r#" {"message": {"op":"status"} }"#), Some(r#"{"op":"status"}"#));
        for raw in ["{}", r#"{"op":"status"}"#, r#"{"a":{},"b":1}"#, r#"{"a":[{}]}"#] {
            assert_eq!(only_object(raw), None, "{raw}");
        }
    }

    #[test]
    fn members_are_found_at_the_top_only() {
        assert_eq!(member(r#"{"a":{"ok":true},"ok":false}"#, "ok"), Some("false"));
        assert_eq!(member("[]", "ok"), None);
        assert_eq!(member("", "ok"), None);
    }
}
