//! A tool of this server, called by a peer over the task queue RPC: as an MCP call of the newest revision, from a client
//! that can be asked nothing.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::limits::Place;
use crate::mcp::{
    Access, Answer, At, Call, ErrorKind, Label, NoHeaders, Outcome, RequestHead, Transport, json,
};
use crate::p2p::LocalBoxFuture;
use crate::p2p::task_queue::{CallTool, ToolCall, ToolOutcome};
use crate::runtime::Deadline;
use crate::server::core::CoreState;
use crate::server::flight::MAX_TURNS;
use crate::server::roster::{Member, Phase};

/// The tools of this core's dispatcher.
pub(super) struct Tools<'a> {
    pub(super) core: &'a Rc<CoreState>,
}

impl CallTool for Tools<'_> {
    fn call<'a>(&'a self, call: ToolCall<'a>) -> LocalBoxFuture<'a, ToolOutcome> {
        Box::pin(run(self.core, call))
    }
}

async fn run(core: &Rc<CoreState>, asked: ToolCall<'_>) -> ToolOutcome {
    let begun_at = Instant::now();
    let mut body = Vec::new();
    let head = RequestHead { transport: Transport::Stream, params: &NoHeaders, ..RequestHead::default() };
    let at = At {
        now: begun_at,
        core: core.index,
        principal: asked.principal,
        full: core.shared.inflight.is_full(),
        traceparent: None,
        access: if asked.full_access { Access::Full } else { Access::ReadOnly },
    };
    let label = match core.dispatcher.post(&head, request(&asked).as_bytes(), &at, &mut body) {
        Outcome::Answer(answer) => answer.label,
        Outcome::Call(call) => {
            let ends_at = begun_at.checked_add(asked.timeout);
            let mut flight = Flight {
                core,
                call,
                ends_at,
                deadline: Deadline::new(),
                member: core.roster.enter(true),
                _place: core.shared.inflight.enter(),
            };
            poll_fn(|cx| flight.poll(cx, &mut body)).await.label
        }
        // A request with an id and the method of a call is none of these.
        Outcome::Batch(_) | Outcome::Feed(_) => return ToolOutcome::Failed("the call failed".to_owned()),
    };
    core.record(&label, begun_at);
    let description = || core.dispatcher.tool_description(asked.name).unwrap_or_default();
    outcome(&label, &body, description)
}

/// The call as the dispatcher takes it.
fn request(asked: &ToolCall<'_>) -> String {
    const META: &str = concat!(
        r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
        r#""io.modelcontextprotocol/clientCapabilities":{}}"#
    );
    let params = json::object(|object| {
        object.string("name", asked.name);
        object.raw("arguments", asked.arguments);
        object.raw("_meta", META);
    });
    json::object(|object| {
        object.raw("jsonrpc", r#""2.0""#);
        object.raw("id", "1");
        object.string("method", "tools/call");
        object.raw("params", &params);
    })
}

/// A call that is not answered at its first poll.
struct Flight<'a> {
    core: &'a CoreState,
    call: Call,
    /// When the caller's patience ends; the tool's own time may be shorter.
    ends_at: Option<Instant>,
    deadline: Deadline,
    member: Member,
    _place: Place,
}

impl Flight<'_> {
    fn poll(&mut self, cx: &mut Context<'_>, body: &mut Vec<u8>) -> Poll<Answer> {
        self.member.watch(cx);
        for _ in 0..MAX_TURNS {
            body.clear();
            let polled = {
                let _activity = self.call.label().tool.map(|tool| self.core.activity.enter(tool));
                self.call.poll(cx, body)
            };
            if polled.is_ready() {
                return polled;
            }
            if !self.drop_events(cx, body) && !self.call.refuse_question() {
                return self.poll_ends(cx, body);
            }
        }
        // A tool that never stops sending shares its core.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// There is nobody to tell; true when there was anything.
    fn drop_events(&mut self, cx: &mut Context<'_>, body: &mut Vec<u8>) -> bool {
        let mut any = false;
        while self.call.poll_event(cx, body).is_ready() {
            body.clear();
            any = true;
        }
        any
    }

    fn poll_ends(&mut self, cx: &mut Context<'_>, body: &mut Vec<u8>) -> Poll<Answer> {
        if self.member.phase() == Phase::Cancelling && !self.call.is_finished() {
            return Poll::Ready(self.call.cancelled_answer(body));
        }
        let due = [self.call.expires_at(), self.ends_at].into_iter().flatten().min();
        if let Some(at) = due.filter(|at| self.deadline.at() != Some(*at)) {
            self.deadline.set(at);
        }
        if self.deadline.poll_expired(cx).is_pending() {
            return Poll::Pending;
        }
        let now = Instant::now();
        if self.ends_at.is_some_and(|at| at <= now) && !self.call.is_finished() {
            return Poll::Ready(self.call.expire(body));
        }
        let polled = self.call.poll_expired(now, body);
        if polled.is_pending() {
            cx.waker().wake_by_ref();
        }
        polled
    }
}

/// The answer of the dispatcher, as far as it is looked at.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    result: Option<CallResult<'a>>,
    error: Option<CallFailure>,
}

#[derive(Deserialize)]
struct CallFailure {
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallResult<'a> {
    #[serde(borrow)]
    structured_content: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(default)]
    is_error: bool,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

fn outcome(label: &Label, body: &[u8], description: impl FnOnce() -> String) -> ToolOutcome {
    match label.error {
        Some(ErrorKind::UnknownTool) => return ToolOutcome::NotFound,
        Some(ErrorKind::Forbidden) => return ToolOutcome::Forbidden,
        Some(ErrorKind::Timeout) => return ToolOutcome::TimedOut,
        _ => {}
    }
    let failed = |sentence: &str| ToolOutcome::Failed(sentence.to_owned());
    let Ok(message) = serde_json::from_slice::<Message<'_>>(body) else {
        return failed("the answer of the tool cannot be read");
    };
    let Some(result) = message.result else {
        return failed(message.error.as_ref().map_or("the call failed", |error| &error.message));
    };
    let texts = result.content.and_then(|content| texts(content.get()));
    if result.is_error {
        return failed(texts.as_deref().unwrap_or("the tool failed"));
    }
    let json = match (result.structured_content, texts, result.content) {
        (Some(structured), ..) => structured.get().to_owned(),
        (None, Some(text), _) => serde_json::Value::String(text).to_string(),
        (None, None, Some(content)) => content.get().to_owned(),
        (None, None, None) => {
            return failed("the tool asks its caller, which this protocol has no words for");
        }
    };
    ToolOutcome::Done { description: description(), result: json }
}

/// The content as one text, where it is nothing else.
fn texts(content: &str) -> Option<String> {
    let blocks: Vec<Block> = serde_json::from_str(content).ok()?;
    let texts: Option<Vec<_>> =
        blocks.into_iter().map(|block| block.text.filter(|_| block.kind == "text")).collect();
    Some(texts?.join("\n"))
}
