//! `call_tool`: a tool of this node, called by a peer.

use std::borrow::Cow;
use std::time::Duration;

use super::codes::{ErrorCode, asks_for_retry};
use super::fields::{Field, Fields};
use super::refusal::Refusal;
use crate::mcp::json;
use crate::p2p::LocalBoxFuture;

/// How long a tool may take where the caller does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Tools that call tools of peers, or anything else that a request of this protocol can ask for: called through
/// `call_tool`, they would let peers send each other in circles.
const INDIRECT: [&str; 3] = ["call_tool", "p2p_taskqueue_call_tool", "task_queue.rpc"];
/// The tools that ask another node where an argument names one.
const RELAYS: &str = "p2p_taskqueue_";
/// Arguments that name another node; `peer_id` does so for the two of the relays that have it for that.
const TARGETS: [&str; 3] = ["remote_multiaddr", "remote_peer_id", "peer_id"];
const TARGETED_BY_PEER_ID: [&str; 2] = ["p2p_taskqueue_status", "p2p_taskqueue_submit"];

/// Calls a tool of this node; the server does it.
pub trait CallTool {
    /// Runs the tool to its end, or until its time is up.
    fn call<'a>(&'a self, call: ToolCall<'a>) -> LocalBoxFuture<'a, ToolOutcome>;
}

/// A call that a peer asks for.
#[derive(Debug)]
pub struct ToolCall<'a> {
    /// The tool's name, not empty.
    pub name: &'a str,
    /// Its arguments: the text of a JSON object.
    pub arguments: &'a str,
    /// The time it may take.
    pub timeout: Duration,
    /// Whether the caller may call tools that change something.
    pub full_access: bool,
    /// Who asks: the id that the peer proved.
    pub principal: &'a str,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolOutcome {
    /// It ended well.
    Done {
        /// What the tool does, as it is listed.
        description: String,
        /// JSON text: what the tool returned.
        result: String,
    },
    /// It ended with an error; a sentence for the caller.
    Failed(String),
    /// There is no tool of this name.
    NotFound,
    /// The caller may only read, and the tool may change something.
    Forbidden,
    /// It was stopped because its time was up.
    TimedOut,
}

/// The parts of a request to call a tool.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) arguments: Cow<'a, str>,
    pub(super) timeout: Duration,
}

/// Reads the call out of a request. `max` bounds the time.
pub(super) fn read<'a>(fields: &Fields<'a>, max: Duration) -> Result<Asked<'a>, Refusal> {
    let name = fields.text(&[Field::Tool, Field::ToolName, Field::Name]);
    let name = name.ok_or_else(|| Refusal::new(ErrorCode::MissingToolName, "tool names the tool to call"))?;
    let arguments = match fields.first(&[Field::Args, Field::Arguments, Field::Params]) {
        None => Cow::Borrowed("{}"),
        Some(raw) if raw.starts_with('{') => Cow::Borrowed(raw),
        Some(raw) => Cow::Owned(json::object(|object| object.raw("value", raw))),
    };
    if INDIRECT.iter().any(|indirect| indirect.eq_ignore_ascii_case(&name)) || is_relayed(&name, &arguments) {
        let message = "call_tool calls no tool that calls tools of peers; ask the peer itself";
        return Err(Refusal::new(ErrorCode::RecursionRefused, message));
    }
    let timeout = match fields.number(Field::TimeoutS)? {
        None => DEFAULT_TIMEOUT,
        Some(seconds) => Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(max),
    };
    Ok(Asked { name, arguments, timeout: timeout.min(max) })
}

/// Whether the call would have this node ask another one.
fn is_relayed(name: &str, arguments: &str) -> bool {
    if name != "list_peers" && !name.starts_with(RELAYS) {
        return false;
    }
    // What is no object of arguments, the tool refuses itself.
    let Ok(arguments) = serde_json::from_str::<serde_json::Map<_, _>>(arguments) else { return false };
    let given = |key: &str| match arguments.get(key) {
        Some(serde_json::Value::String(text)) => !text.trim().is_empty(),
        Some(serde_json::Value::Bool(flag)) => *flag,
        _ => false,
    };
    let targets = if TARGETED_BY_PEER_ID.contains(&name) { &TARGETS[..] } else { &TARGETS[..2] };
    targets.iter().any(|target| given(target)) || (name == "list_peers" && given("include_capabilities"))
}

/// Writes what became of the call, as the members of the answer; returns its error.
pub(super) fn write(object: &mut json::Object<'_>, name: &str, outcome: ToolOutcome) -> Option<ErrorCode> {
    let (code, error, message) = match outcome {
        ToolOutcome::Done { description, result } => {
            object.raw("ok", "true");
            object.string("tool", name);
            object.string("description", &description);
            object.raw("result", &result);
            return None;
        }
        // The clients that exist would call the tool again for some words of its own.
        ToolOutcome::Failed(text) if text.is_empty() || asks_for_retry(&text) => {
            (ErrorCode::ToolFailed, None, Cow::Owned(text))
        }
        ToolOutcome::Failed(text) => (ErrorCode::ToolFailed, Some(text), "the tool failed".into()),
        ToolOutcome::NotFound => (ErrorCode::ToolNotFound, None, "there is no tool of this name".into()),
        ToolOutcome::Forbidden => (
            ErrorCode::Unauthorized,
            None,
            "the tool may change something, which needs the shared token or an allowed peer id".into(),
        ),
        ToolOutcome::TimedOut => {
            (ErrorCode::DeadlineExceeded, None, "the tool was not ready in time and was stopped".into())
        }
    };
    object.raw("ok", "false");
    object.string("tool", name);
    object.string("error", error.as_deref().unwrap_or(code.as_str()));
    object.string("message", &message);
    Some(code)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn asked(line: &str) -> Result<(String, String, u128), ErrorCode> {
        let fields = Fields::read(line.as_bytes(), 64).unwrap();
        let asked = read(&fields, Duration::from_secs(60)).map_err(|refusal| refusal.code)?;
        Ok((asked.name.into(), asked.arguments.into(), asked.timeout.as_millis()))
    }

    #[test]
    fn a_call_is_read_from_any_of_its_names() {
        let call = |name: &str, arguments: &str, ms| Ok((name.to_owned(), arguments.to_owned(), ms));
        assert_eq!(asked(r#"{"tool":"a","args":{"x":1}}"#), call("a", r#"{"x":1}"#, 30_000));
        assert_eq!(
            asked(r#"{"tool":"","tool_name":" b ","arguments":[1],"timeout_s":"0.5"}"#),
            call("b", r#"{"value":[1]}"#, 500)
        );
        assert_eq!(
            asked(r#"{"name":"c","args":{},"params":5,"timeout_s":0}"#),
            call("c", r#"{"value":5}"#, 30_000)
        );
        assert_eq!(asked(r#"{"name":"c","timeout_s":1e300}"#), call("c", "{}", 60_000));
        assert_eq!(asked(r#"{"name":"c","timeout_s":-1}"#), call("c", "{}", 0));
        assert_eq!(asked("{}"), Err(ErrorCode::MissingToolName));
        assert_eq!(asked(r#"{"tool":"Call_Tool"}"#), Err(ErrorCode::RecursionRefused));
        assert_eq!(asked(r#"{"tool":"c","timeout_s":"abc"}"#), Err(ErrorCode::InvalidField));
    }

    #[test]
    fn no_tool_asks_another_node_for_a_peer() {
        for (tool, arguments, refused) in [
            ("p2p_taskqueue_get_task", r#"{"task_id":"x"}"#, false),
            ("p2p_taskqueue_get_task", r#"{"task_id":"x","remote_peer_id":" "}"#, false),
            ("p2p_taskqueue_get_task", r#"{"task_id":"x","remote_peer_id":"P"}"#, true),
            ("p2p_taskqueue_submit", r#"{"remote_multiaddr":"/x"}"#, true),
            ("p2p_taskqueue_submit", r#"{"peer_id":"P"}"#, true),
            ("p2p_taskqueue_claim_next", r#"{"peer_id":"P","worker_id":"w"}"#, false),
            ("list_peers", "{}", false),
            ("list_peers", r#"{"include_capabilities":true}"#, true),
            ("mine", r#"{"remote_peer_id":"P"}"#, false),
        ] {
            let refusal = asked(&format!(r#"{{"tool":"{tool}","args":{arguments}}}"#)).err();
            assert_eq!(refusal, refused.then_some(ErrorCode::RecursionRefused), "{tool} {arguments}");
        }
    }

    #[test]
    fn words_of_a_tool_make_no_client_call_it_again() {
        let error = |text: &str| {
            let json = json::object(|object| {
                write(object, "t", ToolOutcome::Failed(text.to_owned()));
            });
            let answer: serde_json::Value = serde_json::from_str(&json).unwrap();
            answer["error"].as_str().unwrap().to_owned()
        };
        assert_eq!(error("boom text"), "boom text");
        assert_eq!(error("Connection refused"), "tool_failed");
        assert_eq!(error(""), "tool_failed");
    }
}
