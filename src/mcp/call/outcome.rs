//! Writing what a handler returned as a JSON-RPC message.

use std::any::Any;

use serde_json::{Map, Value};

use crate::mcp::ask::{links, round};
use crate::mcp::call::context::{CallState, Target};
use crate::mcp::call::results;
use crate::mcp::message::answer::{Answer, Label, Refusal, write_error};
use crate::mcp::message::capability::{Capability, required_together};
use crate::mcp::message::era::Revision;
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::json;
use crate::mcp::offer::call_error::{CallError, Failure};
use crate::mcp::offer::catalog::SERVER_INFO_KEY;
use crate::mcp::offer::content_json::write_text;
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
        Ok(Produced::Tool(reply)) => return write_checked(out, state, &reply, label),
        Ok(Produced::Contents(contents)) => results::write_contents(out, state, &contents),
        Ok(Produced::Prompt(reply)) => results::write_prompt(out, state, &reply),
        Ok(Produced::Completion(completion)) => results::write_completion(out, state, &completion),
        Err(CallError(failure)) => return write_failure(out, state, failure, label),
    }
    Answer::with_body(200, label)
}

fn write_failure(out: &mut Vec<u8>, state: &CallState, failure: Failure, label: Label) -> Answer {
    let refusal = match failure {
        Failure::Result(reply) if is_tool(state) => {
            write_reply(out, state, &reply);
            return answered(ErrorKind::ToolFailed, state, label);
        }
        Failure::InputRequired => return round::write(out, state, label),
        Failure::UrlElicitation { message, links } => {
            return links::write(out, state, &message, &links, label);
        }
        Failure::Own { code, message, data } => {
            let data = data.and_then(|data| json::line(&*data).ok());
            write_error(out, Some(state.id.as_str()), code, &message, data.as_deref());
            return answered(ErrorKind::ToolProtocol, state, label);
        }
        // Some kinds are results where there is a model to see them.
        Failure::Known { kind, message } if kind.info().code.is_none() => {
            return write_failed(out, state, kind, message.into_owned(), label);
        }
        Failure::Known { kind: ErrorKind::Internal, message } => {
            tracing::error!(kind = state.kind(), name = state.name(), error = %message, "a handler failed inside");
            Refusal::new(ErrorKind::Internal, INTERNAL)
        }
        Failure::Known { kind, message } => Refusal::new(kind, message),
        Failure::Result(reply) => Refusal::new(ErrorKind::ToolFailed, reply.texts().into_owned()),
        Failure::NoResource(uri) => Refusal::no_resource(&uri),
        Failure::Missing(capabilities) => missing(state, &capabilities),
    };
    refuse(out, state, &refusal, label)
}

fn missing(state: &CallState, capabilities: &[Capability]) -> Refusal {
    let needed = required_together(capabilities);
    let message = format!("The client must declare the capability {needed} for this {}", state.kind());
    let data = format!(r#"{{"requiredCapabilities":{needed}}}"#);
    Refusal::new(ErrorKind::MissingCapability, message).with_data(data)
}

fn write_checked(out: &mut Vec<u8>, state: &CallState, reply: &Reply, label: Label) -> Answer {
    let output_check = match state.target {
        Target::Tool(index) => state.snapshot.catalog().tool(index).output_check.as_ref(),
        _ => None,
    };
    if let (Some(check), false) = (output_check, reply.is_error)
        && let Err(problem) = check.check(reply.structured.as_deref())
    {
        tracing::error!(tool = state.name(), %problem, "structured content does not fit the output schema");
        return refuse(out, state, &Refusal::new(ErrorKind::InvalidOutput, INTERNAL), label);
    }
    write_reply(out, state, reply);
    match reply.is_error {
        true => answered(ErrorKind::ToolFailed, state, label),
        false => Answer::with_body(200, label),
    }
}

/// Writes a failure that its reader should see: as a result where a model can see it, which only tools have, else as
/// an error.
pub(crate) fn write_failed(
    out: &mut Vec<u8>,
    state: &CallState,
    kind: ErrorKind,
    text: String,
    label: Label,
) -> Answer {
    if !is_tool(state) {
        return refuse(out, state, &Refusal::new(kind, text), label);
    }
    write_reply(out, state, &Reply::text(text).failed());
    answered(kind, state, label)
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
    let revision = state.revision;
    open_result(out, state);
    write_content(out, reply, revision);
    if let Some(structured) = &reply.structured {
        // It came with 2025-06-18, and before 2026-07-28 it is an object or absent.
        if revision.is_modern() || (structured.starts_with('{') && revision >= Revision::V2025_06_18) {
            out.extend_from_slice(br#","structuredContent":"#);
            out.extend_from_slice(structured.as_bytes());
        }
    }
    if reply.is_error {
        out.extend_from_slice(br#","isError":true"#);
    }
    close_result(out, state, reply.meta.as_deref());
}

/// Appends what comes before the members of a result.
pub(crate) fn open_result(out: &mut Vec<u8>, state: &CallState) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(state.id.as_str().as_bytes());
    out.extend_from_slice(br#","result":{"#);
    if state.revision.is_modern() {
        out.extend_from_slice(br#""resultType":"complete","#);
    }
}

/// Appends what comes after the members of a result: its `_meta`, and all that closes.
pub(crate) fn close_result(out: &mut Vec<u8>, state: &CallState, meta: Option<&Map<String, Value>>) {
    let server = state.revision.is_modern().then_some(&*state.snapshot.shared().server_meta);
    write_meta(out, server, meta);
    out.extend_from_slice(b"}}");
}

fn write_content(out: &mut Vec<u8>, reply: &Reply, revision: Revision) {
    out.extend_from_slice(br#""content":["#);
    match &reply.body {
        Body::Text(text) => write_text(out, text),
        Body::StructuredCopy => write_text(out, reply.structured.as_deref().unwrap_or("null")),
        Body::Blocks(blocks) => {
            for (index, block) in blocks.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                block.write(out, revision);
            }
        }
    }
    out.push(b']');
}

/// Appends `_meta`: who the server is, then the handler's own entries, which cannot replace the former.
fn write_meta(out: &mut Vec<u8>, server: Option<&[u8]>, meta: Option<&Map<String, Value>>) {
    let own = meta.into_iter().flat_map(|meta| meta.iter());
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
pub(crate) fn panicked(name: &str, panic: &(dyn Any + Send)) -> CallError {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)");
    tracing::error!(name, message, "a handler panicked");
    CallError(Failure::Known { kind: ErrorKind::Panic, message: INTERNAL.into() })
}
