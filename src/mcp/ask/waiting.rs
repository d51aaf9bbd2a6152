//! The older revisions: a question is a request of the server on the call's own stream, and the call waits for the
//! client's answer, which comes as a POST of its own on any core.

use std::future::poll_fn;
use std::sync::Arc;

use futures_lite::future;

use crate::limits::Limit;
use crate::mcp::ask::answers::Answered;
use crate::mcp::ask::questions::Question;
use crate::mcp::call::context::{CallState, Context};
use crate::mcp::message::answer::excerpt;
use crate::mcp::message::envelope::Message;
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::scan::text;
use crate::mcp::offer::call_error::{CallError, Failure};
use crate::mcp::session::entry::Session;
use crate::mcp::session::pending::{AnswerRoom, Reply, Slot};

/// A request on its way. Dropping it closes it: an answer that still comes is dropped, and a client that knows of it is
/// told.
struct Departed {
    call: Arc<CallState>,
    session: Arc<Session>,
    id: u64,
    slot: Arc<Slot>,
    /// Set once it is among the events of the call.
    is_sent: bool,
}

impl Drop for Departed {
    fn drop(&mut self) {
        self.session.pending.close(self.id);
        self.call.asking.arrived();
        if self.is_sent && !self.slot.is_done() {
            self.call.signals.try_send(cancelled(self.id), self.call.snapshot.shared().stream_queue_bytes);
        }
    }
}

/// Asks the questions side by side and waits for all answers.
pub(crate) async fn ask(
    context: &Context,
    session: &Arc<Session>,
    questions: Vec<(String, Question)>,
) -> Result<Vec<(String, Answered)>, CallError> {
    let mut departed = Vec::with_capacity(questions.len());
    for (_, question) in &questions {
        departed.push(depart(context, session, question).await?);
    }
    let mut answers = Vec::with_capacity(questions.len());
    for ((key, question), request) in questions.into_iter().zip(&departed) {
        let reply = arrive(context, request).await?;
        let (answered, raw) = read(context, request, &question, reply)?;
        context.state.asking.keep(&key, question.kind(), raw);
        // With its slot the room that the answer takes.
        context.state.asking.with(|inner| inner.answered.push(request.slot.clone()));
        answers.push((key, answered));
    }
    Ok(answers)
}

async fn depart(
    context: &Context,
    session: &Arc<Session>,
    question: &Question,
) -> Result<Departed, CallError> {
    let state = &context.state;
    let shared = state.snapshot.shared();
    let (id, slot) = session.pending.open();
    let max = usize::try_from(shared.options.limits.value(Limit::Questions)).unwrap_or(usize::MAX);
    if !state.asking.depart(&slot, max) {
        session.pending.close(id);
        return Err(too_many(max));
    }
    let mut departed = Departed { call: state.clone(), session: session.clone(), id, slot, is_sent: false };
    let mut event = format!(r#"{{"jsonrpc":"2.0","id":{id},"#).into_bytes();
    question
        .write_request(&mut event, state.revision, context.client_capabilities())
        .map_err(CallError::internal)?;
    event.push(b'}');
    let limit = shared.stream_queue_bytes;
    if event.len() > limit {
        let problem =
            format!("a question of {} bytes is more than max_stream_queue_bytes, {limit}", event.len());
        return Err(CallError::internal(problem));
    }
    state.signals.send(event, None, limit).await;
    departed.is_sent = true;
    Ok(departed)
}

async fn arrive(context: &Context, request: &Departed) -> Result<Reply, CallError> {
    let reply = poll_fn(|cx| request.slot.poll(cx));
    let cancelled = context.state.signals.cancelled();
    let reply = future::or(async { Some(reply.await) }, async {
        cancelled.await;
        None
    });
    reply.await.ok_or_else(was_cancelled)
}

fn read(
    context: &Context,
    request: &Departed,
    question: &Question,
    reply: Reply,
) -> Result<(Answered, String), CallError> {
    let method = question.kind().method();
    match reply {
        Reply::Result(raw) => match Answered::read(question, &raw) {
            Ok(answered) => Ok((answered, raw.into())),
            Err(problem) => {
                let problem = excerpt(&problem);
                Err(CallError::failed(format!("The client's answer to {method} cannot be used: {problem}.")))
            }
        },
        Reply::Error { code, message } => {
            Err(CallError::failed(format!("The client answered {method} with the error {code}: {message}")))
        }
        Reply::Malformed => Err(CallError::failed(format!("The client's answer to {method} is malformed."))),
        Reply::TimedOut => {
            let state = &context.state;
            let limits = &state.snapshot.shared().options.limits;
            let time_ms = limits.value(Limit::ClientRequestTime);
            state.signals.try_send(cancelled(request.id), state.snapshot.shared().stream_queue_bytes);
            let message = format!("The client did not answer {method} within {time_ms} ms.");
            Err(CallError(Failure::Known { kind: ErrorKind::ClientRequestTimeout, message: message.into() }))
        }
        Reply::NoRoom => Err(CallError::failed(format!(
            "There is no room for the client's answer to {method} now (max_buffered_bytes)."
        ))),
        Reply::Unreachable => {
            Err(CallError::failed(format!("The client cannot be asked with {method} on this transport.")))
        }
    }
}

/// A question that is no longer of interest (MCP, cancellation).
fn cancelled(id: u64) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#)
        .into_bytes()
}

pub(crate) fn was_cancelled() -> CallError {
    let message = "The call ended before the client's answer".into();
    CallError(Failure::Known { kind: ErrorKind::Cancelled, message })
}

pub(crate) fn too_many(max: usize) -> CallError {
    let message =
        format!("The handler asks more questions at once than max_questions allows, which is {max}");
    CallError(Failure::Known { kind: ErrorKind::TooManyQuestions, message: message.into() })
}

/// Takes a client's response to a question of its session. One that answers nothing is dropped, as MCP asks of late
/// ones.
pub(crate) fn take_response(session: &Session, message: &Message<'_>, room: &Arc<AnswerRoom>) {
    let id = message.id.and_then(|raw| raw.parse::<u64>().ok());
    let known = id.is_some_and(|id| session.pending.answer(id, reply(message), room));
    if !known {
        let id = message.id.map(excerpt);
        tracing::debug!(?id, "a response that answers no open question was dropped");
    }
}

fn reply(message: &Message<'_>) -> Reply {
    match (message.result, message.error) {
        (Some(result), None) => Reply::Result(result.into()),
        (None, Some(error)) => error_reply(error).unwrap_or(Reply::Malformed),
        _ => Reply::Malformed,
    }
}

fn error_reply(raw: &str) -> Option<Reply> {
    #[derive(serde::Deserialize)]
    struct Wire<'a> {
        code: i64,
        #[serde(borrow)]
        message: &'a serde_json::value::RawValue,
    }
    let wire: Wire<'_> = serde_json::from_str(raw).ok()?;
    let message = text(wire.message.get())?;
    Some(Reply::Error { code: wire.code, message: excerpt(&message).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply_of(body: &str) -> Reply {
        let mut message = Message::default();
        message.parse(body, 64).unwrap();
        reply(&message)
    }

    #[test]
    fn responses_are_results_or_errors() {
        assert_eq!(reply_of(r#"{"id":1,"result":{"a":1}}"#), Reply::Result(r#"{"a":1}"#.into()));
        let error = reply_of(r#"{"id":1,"error":{"code":-1,"message":"User rejected","data":{}}}"#);
        assert_eq!(error, Reply::Error { code: -1, message: "User rejected".into() });
        for body in [
            r#"{"id":1,"error":{"code":"x","message":"m"}}"#,
            r#"{"id":1,"error":{"code":1,"message":2}}"#,
            r#"{"id":1,"error":null}"#,
            r#"{"id":1,"result":{},"error":{"code":1,"message":"m"}}"#,
        ] {
            assert_eq!(reply_of(body), Reply::Malformed, "{body}");
        }
    }

    #[test]
    fn a_long_error_is_cut() {
        let body = format!(r#"{{"id":1,"error":{{"code":1,"message":"{}"}}}}"#, "x".repeat(10_000));
        let Reply::Error { message, .. } = reply_of(&body) else { panic!() };
        assert!(message.len() < 200);
    }
}
