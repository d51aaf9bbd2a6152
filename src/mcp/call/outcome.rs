//! Writing what a handler returned as a JSON-RPC message.

use std::any::Any;

use crate::mcp::ask::{links, round};
use crate::mcp::call::context::{CallState, Target};
use crate::mcp::message::answer::{Answer, Label, Refusal, write_error};
use crate::mcp::message::capability::required_together;
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::json;
use crate::mcp::offer::call_error::{CallError, Failure};
use crate::mcp::offer::catalog::SERVER_INFO_KEY;
use crate::mcp::offer::handler::Produced;
use crate::mcp::offer::reply::{Body, Reply};

/// What the client is told when the fault is ours; the detail is in the log.
const INTERNAL: &str = "Internal error";

/// Writes the result or error and says how to send it.
pub(crate) fn write(
    out: &mut Vec<u8>,
    state: &CallState,
    finished: Result<Produced, CallError>,
    label: Label,
) -> Answer {
    match finished {
        Ok(Produced::Tool(reply)) => write_checked(out, state, &reply, label),
        Err(CallError(Failure::Result(reply))) => {
            write_reply(out, state, &reply);
            answered(ErrorKind::ToolFailed, state, label)
        }
        Err(CallError(Failure::InputRequired)) => round::write(out, state, label),
        Err(CallError(Failure::UrlElicitation { message, links })) => {
            links::write(out, state, &message, &links, label)
        }
        Err(CallError(Failure::Missing(capabilities))) => {
            let needed = required_together(&capabilities);
            let message = format!("The client must declare the capability {needed} for this tool");
            let data = format!(r#"{{"requiredCapabilities":{needed}}}"#);
            refuse(out, state, &Refusal::new(ErrorKind::MissingCapability, message).with_data(data), label)
        }
        Err(CallError(Failure::Known { kind: ErrorKind::Internal, message })) => {
            tracing::error!(tool = state.name(), error = %message, "tool failed inside");
            refuse(out, state, &Refusal::new(ErrorKind::Internal, INTERNAL), label)
        }
        Err(CallError(Failure::Known { kind, message })) if kind.info().code.is_none() && is_tool(state) => {
            write_reply(out, state, &Reply::text(message).failed());
            answered(kind, state, label)
        }
        Err(CallError(Failure::Known { kind, message })) => {
            refuse(out, state, &Refusal::new(kind, message), label)
        }
        Err(CallError(Failure::Own { code, message, data })) => {
            let data = data.and_then(|data| json::line(&*data).ok());
            write_error(out, Some(state.id.as_str()), code, &message, data.as_deref());
            answered(ErrorKind::ToolProtocol, state, label)
        }
    }
}

fn write_checked(out: &mut Vec<u8>, state: &CallState, reply: &Reply, label: Label) -> Answer {
    let Target::Tool(index) = state.target;
    let tool = state.snapshot.catalog().tool(index);
    if let (Some(check), false) = (&tool.output_check, reply.is_error)
        && let Err(problem) = check.check(reply.structured.as_deref())
    {
        tracing::error!(tool = %tool.name, %problem, "structured content does not fit the output schema");
        return refuse(out, state, &Refusal::new(ErrorKind::InvalidOutput, INTERNAL), label);
    }
    write_reply(out, state, reply);
    match reply.is_error {
        true => answered(ErrorKind::ToolFailed, state, label),
        false => Answer::with_body(200, label),
    }
}

/// Whether a failure can be a result that a model sees.
pub(crate) fn is_tool(state: &CallState) -> bool {
    matches!(state.target, Target::Tool(_))
}

pub(crate) fn answered(kind: ErrorKind, state: &CallState, label: Label) -> Answer {
    Answer::with_body(kind.status(Some(state.revision)), Label { error: Some(kind), ..label })
}

pub(crate) fn refuse(out: &mut Vec<u8>, state: &CallState, refusal: &Refusal, label: Label) -> Answer {
    refusal.answer(out, Some(state.id.as_str()), Some(state.revision), label)
}

/// Appends the response that carries a reply.
pub(crate) fn write_reply(out: &mut Vec<u8>, state: &CallState, reply: &Reply) {
    let modern = state.revision.is_modern();
    let shared = state.snapshot.shared();
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(state.id.as_str().as_bytes());
    out.extend_from_slice(br#","result":{"#);
    if modern {
        out.extend_from_slice(br#""resultType":"complete","#);
    }
    write_content(out, reply);
    if let Some(structured) = &reply.structured {
        // Before 2026-07-28 structured content is an object or absent.
        if modern || structured.starts_with('{') {
            out.extend_from_slice(br#","structuredContent":"#);
            out.extend_from_slice(structured.as_bytes());
        }
    }
    if reply.is_error {
        out.extend_from_slice(br#","isError":true"#);
    }
    let server = modern.then_some(&*shared.server_meta);
    write_meta(out, server, reply);
    out.extend_from_slice(b"}}");
}

fn write_content(out: &mut Vec<u8>, reply: &Reply) {
    out.extend_from_slice(br#""content":["#);
    match &reply.body {
        Body::Text(text) => write_text(out, text),
        Body::StructuredCopy => write_text(out, reply.structured.as_deref().unwrap_or("null")),
        Body::Blocks(blocks) => {
            for (index, block) in blocks.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                let start = out.len();
                if serde_json::to_writer(&mut *out, block).is_err() {
                    out.truncate(start);
                    write_text(out, "(content that could not be written as JSON)");
                }
            }
        }
    }
    out.push(b']');
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(br#"{"type":"text","text":"#);
    json::string(out, text);
    out.push(b'}');
}

/// Appends `_meta`: who the server is, then the tool's own entries, which cannot replace the former.
fn write_meta(out: &mut Vec<u8>, server: Option<&[u8]>, reply: &Reply) {
    let own = reply.meta.iter().flat_map(|meta| meta.iter());
    let mut own = own.filter(|(key, _)| server.is_none() || *key != SERVER_INFO_KEY).peekable();
    if server.is_none() && own.peek().is_none() {
        return;
    }
    out.extend_from_slice(br#","_meta":{"#);
    out.extend_from_slice(server.unwrap_or_default());
    let mut first = server.is_none();
    for (key, value) in own {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        json::string(out, key);
        out.push(b':');
        serde_json::to_writer(&mut *out, value).expect("invariant: a Value is always JSON");
    }
    out.push(b'}');
}

/// Logs a caught panic and returns what to answer: nothing of it leaves the server.
pub(crate) fn panicked(tool: &str, panic: &(dyn Any + Send)) -> CallError {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)");
    tracing::error!(tool, message, "tool panicked");
    CallError(Failure::Known { kind: ErrorKind::Panic, message: INTERNAL.into() })
}
