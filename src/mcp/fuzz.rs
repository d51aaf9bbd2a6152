//! Any bytes as a message, for the fuzzer: whatever comes, the answer is sound.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Instant;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Access, Answer, At, Context, Dispatcher, Elicitation, LogLevel, McpOptions, NoHeaders, Outcome, Registry,
    RequestHead,
};
use super::{
    Completion, CompletionRequest, Contents, Prompt, PromptArgument, ResourceTemplate, Tool, Transport,
};

#[derive(Deserialize, JsonSchema)]
struct Words {
    words: Vec<String>,
    times: Option<u8>,
}

struct Target {
    dispatcher: Dispatcher,
    session: String,
    now: Instant,
}

fn target() -> &'static Target {
    static TARGET: OnceLock<Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let say = |args: Words, context: Context| async move {
            context.progress(1.0, None, Some("said")).await;
            context.log(LogLevel::Info, None, &args.words).await;
            Ok(args.words.join(" ").repeat(args.times.unwrap_or(1).into()))
        };
        let ask = |args: Words, context: Context| async move {
            let answer = context.elicit("b", Elicitation::url("?", "https://a.example")).await?;
            Ok(format!("{} {}", args.words.len(), answer.accepted()))
        };
        let schema = json!({"type": "object", "properties": {"a": {"enum": [1, "x"], "minimum": 0}}});
        let registry = Registry::new().tool("say", "", say).tool("ask", "", ask).with(Tool::raw(
            "raw",
            "",
            schema,
            |value: Value, _| async move { Ok(value) },
        ));
        let registry = registry.resource_template(rows()).prompt(greet());
        let dispatcher =
            Dispatcher::new(registry, McpOptions::default()).expect("invariant: sound by construction");
        let now = Instant::now();
        let session = open(&dispatcher, now);
        Target { dispatcher, session, now }
    })
}

/// The dispatcher of every target.
pub(crate) fn dispatcher() -> &'static Dispatcher {
    &target().dispatcher
}

fn rows() -> ResourceTemplate {
    let read = |variables: BTreeMap<String, String>, _: Context| async move {
        Ok(vec![Contents::text(format!("{variables:?}")), Contents::bytes(*b"\0\x01").mime_type("a/b")])
    };
    ResourceTemplate::new("db://{table}/{id}/{+rest}", "row", read)
}

fn greet() -> Prompt {
    let arguments = [PromptArgument::new("who").required(), PromptArgument::new("how")];
    let given = |given: BTreeMap<String, String>, _: Context| async move { Ok(format!("{given:?}")) };
    Prompt::raw("greet", "", arguments, given).complete("who", |request: CompletionRequest, _| async move {
        Ok(Completion::starting_with(&request.value, ["world", "work"]))
    })
}

fn open(dispatcher: &Dispatcher, now: Instant) -> String {
    let at = At { now, core: 0, principal: "fuzz", full: false, traceparent: None, access: Access::Full };
    let initialize =
        br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",
        "capabilities":{"elicitation":{"url":{}}}}}"#;
    let Outcome::Answer(answer) = dispatcher.post(&http(), initialize, &at, &mut Vec::new()) else {
        unreachable!("invariant: initialize is answered at once");
    };
    let session = answer.session_id.expect("invariant: the table is empty").as_str().to_owned();
    let head = RequestHead { session_id: Some(session.as_bytes()), ..http() };
    let initialized = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let _ = dispatcher.post(&head, initialized, &at, &mut Vec::new());
    session
}

fn http<'a>() -> RequestHead<'a> {
    RequestHead { content_type: Some(b"application/json"), accept: Some(b"*/*"), ..RequestHead::default() }
}

/// Posts the bytes as each era would, and without headers.
///
/// # Panics
/// An answer that no client could read, which is what the fuzzer looks for.
pub fn fuzz_envelope(body: &[u8]) {
    let target = target();
    let modern = RequestHead {
        protocol_version: Some(b"2026-07-28"),
        method: Some(b"tools/call"),
        name: Some(b"say"),
        ..http()
    };
    let legacy = RequestHead { session_id: Some(target.session.as_bytes()), ..http() };
    let stream = RequestHead { transport: Transport::Stream, params: &NoHeaders, ..RequestHead::default() };
    for head in [modern, legacy, stream] {
        let at = At {
            now: target.now,
            core: 0,
            principal: "fuzz",
            full: false,
            traceparent: Some(body),
            access: Access::Full,
        };
        let mut out = Vec::new();
        let answer = match target.dispatcher.post(&head, body, &at, &mut out) {
            Outcome::Answer(answer) => answer,
            // A subscription goes on for as long as its client listens.
            Outcome::Feed(_) => continue,
            Outcome::Batch(_) => unreachable!("invariant: the session's revision has no batches"),
            Outcome::Call(mut call) => {
                let cx = &mut TaskContext::from_waker(Waker::noop());
                let mut rounds = 0;
                loop {
                    if let Poll::Ready(answer) = call.poll(cx, &mut out) {
                        break answer;
                    }
                    let mut event = Vec::new();
                    while call.poll_event(cx, &mut event).is_ready() {
                        sound_message(&event);
                        event.clear();
                    }
                    call.refuse_question();
                    rounds += 1;
                    assert!(rounds < 100, "the call does not end");
                }
            }
        };
        sound_answer(&answer, &out);
    }
}

fn sound_answer(answer: &Answer, out: &[u8]) {
    assert_eq!(answer.has_body, !out.is_empty());
    assert!([200, 202, 400, 404, 503].contains(&answer.status), "{}", answer.status);
    if answer.has_body {
        let message = sound_message(out);
        assert!(message.get("result").is_some() != message.get("error").is_some());
        assert_eq!(
            answer.label.error.is_none(),
            message.get("error").is_none() && message["result"]["isError"] != true
        );
    }
}

fn sound_message(out: &[u8]) -> Value {
    assert!(!out.contains(&b'\n') && !out.contains(&b'\r'), "one line");
    let message: Value = serde_json::from_slice(out).expect("answers are JSON");
    assert_eq!(message["jsonrpc"], "2.0");
    assert!(message.get("id").is_none_or(|id| id.is_string() || id.is_number()));
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_and_broken_messages_are_answered() {
        let meta = r#""_meta":{"progressToken":7,"io.modelcontextprotocol/logLevel":"debug",
            "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
        for (method, params) in [
            ("tools/call", r#""name":"say","arguments":{"words":["a","b"],"times":2}"#),
            ("resources/read", r#""uri":"db://a/%20/c/d%2fe""#),
            ("prompts/get", r#""name":"greet","arguments":{"who":"\u00e9","how":null}"#),
            (
                "completion/complete",
                r#""ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"who","value":"w"},"context":{}"#,
            ),
        ] {
            let id = r#""\u00e9""#;
            let call =
                format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params},{meta}}}}}"#);
            break_everywhere(&call);
        }
        let ask = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask","arguments":{"words":[]},
            "inputResponses":{"b":{"action":"accept"}},"requestState":"AAAA",
            "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
            "io.modelcontextprotocol/clientCapabilities":{"elicitation":{"url":{}}}}}}"#;
        break_everywhere(ask);
    }

    fn break_everywhere(call: &str) {
        for end in 0..=call.len() {
            fuzz_envelope(&call.as_bytes()[..end]);
        }
        for index in 0..call.len() {
            for byte in [b'"', b'{', b'}', b'[', b',', b'0', b'\\', 0, 0xff] {
                let mut bytes = call.as_bytes().to_vec();
                bytes[index] = byte;
                fuzz_envelope(&bytes);
            }
        }
    }
}
