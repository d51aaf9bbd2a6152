//! 2026-07-28, multi round-trip requests: how a request takes up what earlier rounds brought, and how one ends that
//! needs another.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::mcp::ask::answers::Answered;
use crate::mcp::ask::asking::{Asking, Inner};
use crate::mcp::ask::binding::Binding;
use crate::mcp::ask::questions::Question;
use crate::mcp::ask::seal::{OpenError, SealError};
use crate::mcp::ask::used::UseError;
use crate::mcp::call::context::CallState;
use crate::mcp::message::answer::{Answer, Label, Refusal};
use crate::mcp::message::capability::{Capability, ClientCapabilities};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::json;
use crate::mcp::message::scan::text;
use crate::mcp::serve::dispatcher::Request;

/// What the request brings from earlier rounds. Nothing is kept of a request that brings nothing and whose client
/// cannot be asked anything.
pub(crate) fn begin(request: &Request<'_>, capabilities: &ClientCapabilities) -> Result<Asking, Refusal> {
    let params = &request.message.params;
    let can_be_asked =
        [Capability::Elicitation, Capability::ElicitationUrl, Capability::Sampling, Capability::Roots]
            .into_iter()
            .any(|capability| capabilities.has(capability));
    let is_retry = params.input_responses.is_some() || params.request_state.is_some();
    if !can_be_asked && !is_retry {
        return Ok(Asking::default());
    }
    let mut inner = Inner { given: given(params.input_responses)?, is_retry, ..Inner::default() };
    let binding = Binding::new(request.kind.as_str(), params);
    if let Some(raw) = params.request_state {
        let state = text(raw).ok_or_else(|| invalid("params.requestState must be a string"))?;
        let sealer = &request.snapshot.shared().sealer;
        let opened = sealer.open(&state, &binding.bytes(request.at.principal)).map_err(refuse)?;
        inner.opened = Some((opened.nonce, opened.expires_ms));
        inner.memory = opened.memory;
        keep_answers(&mut inner);
    }
    inner.binding = Some(binding);
    Ok(Asking::new(inner))
}

fn given(raw: Option<&str>) -> Result<BTreeMap<String, Box<RawValue>>, Refusal> {
    let Some(raw) = raw else { return Ok(BTreeMap::new()) };
    serde_json::from_str(raw).map_err(|_| invalid("params.inputResponses must be an object"))
}

/// Answers to what the state asked count from now on, also where this run does not come to the question.
fn keep_answers(inner: &mut Inner) {
    for (key, kind) in &inner.memory.asked {
        if let Some(raw) = inner.given.get(key).filter(|raw| Answered::parse(*kind, raw.get()).is_ok()) {
            inner.memory.answers.entry(key.clone()).or_insert_with(|| (*kind, raw.get().to_owned()));
        }
    }
}

fn invalid(sentence: &str) -> Refusal {
    Refusal::new(ErrorKind::InvalidParams, format!("Invalid params: {sentence}"))
}

fn refuse(error: OpenError) -> Refusal {
    let sentence = match error {
        OpenError::Invalid => "Invalid params: params.requestState is not valid for this request",
        OpenError::Expired => {
            "Invalid params: params.requestState has expired; send the request again without it"
        }
    };
    Refusal::new(ErrorKind::InvalidRequestState, sentence)
}

/// For handlers whose states may be used once: uses up the state of the request, last before the handler starts. From
/// then on only answers count that the state asked for.
pub(crate) fn use_once(state: &CallState) -> Result<(), Refusal> {
    let shared = state.snapshot.shared();
    if state.revision.is_modern() {
        state.asking.with(|inner| inner.only_asked = true);
    }
    let Some((nonce, expires_ms)) = state.asking.opened() else { return Ok(()) };
    shared.used_states.take(nonce, expires_ms, shared.sealer.now_ms()).map_err(|error| match error {
        UseError::Used => {
            let sentence =
                "Invalid params: params.requestState was already used; send the request again without it";
            Refusal::new(ErrorKind::InvalidRequestState, sentence)
        }
        UseError::Full => {
            let sentence =
                "The server remembers as many used states as max_single_use_states allows; try again later";
            Refusal::new(ErrorKind::SingleUseFull, sentence)
        }
    })
}

/// Takes the use of the state back, because the handler could not be started.
pub(crate) fn unuse(state: &CallState) {
    if let Some((nonce, expires_ms)) = state.asking.opened() {
        state.snapshot.shared().used_states.give_back(nonce, expires_ms);
    }
}

/// Writes the result that asks for what is missing, or why that cannot be.
pub(crate) fn write(out: &mut Vec<u8>, state: &CallState, label: Label) -> Answer {
    let start = out.len();
    match append(out, state) {
        Ok(()) => Answer::with_body(200, label),
        Err(refusal) => {
            out.truncate(start);
            refusal.answer(out, Some(state.id.as_str()), Some(state.revision), label)
        }
    }
}

fn append(out: &mut Vec<u8>, state: &CallState) -> Result<(), Refusal> {
    let (questions, memory, binding) = state.asking.with(|inner| {
        let questions = std::mem::take(&mut inner.unanswered);
        let mut memory = std::mem::take(&mut inner.memory);
        memory.asked = questions.iter().map(|(key, question)| (key.clone(), question.kind())).collect();
        (questions, memory, inner.binding.take())
    });
    let shared = state.snapshot.shared();
    let (Some(binding), false) = (binding, questions.is_empty()) else {
        return Err(internal("a call wants input and asks nothing"));
    };
    let sealed =
        shared.sealer.seal(&memory, &binding.bytes(state.principal.as_str())).map_err(
            |error| match error {
                SealError::Random => internal("the system's random source failed"),
                SealError::TooLarge { bytes, max } => {
                    let message = format!(
                        "The answers and results of this call make a requestState of {bytes} bytes; \
                 max_request_state_bytes is {max}"
                    );
                    Refusal::new(ErrorKind::RequestStateTooLarge, message)
                }
            },
        )?;
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(state.id.as_str().as_bytes());
    out.extend_from_slice(br#","result":{"resultType":"input_required","inputRequests":{"#);
    append_questions(out, state, &questions)?;
    out.extend_from_slice(br#"},"requestState":"#);
    json::string(out, &sealed);
    out.extend_from_slice(br#","_meta":{"#);
    out.extend_from_slice(&shared.server_meta);
    out.extend_from_slice(b"}}}");
    Ok(())
}

fn append_questions(
    out: &mut Vec<u8>,
    state: &CallState,
    questions: &[(String, Question)],
) -> Result<(), Refusal> {
    for (index, (key, question)) in questions.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::string(out, key);
        out.extend_from_slice(b":{");
        let written = question.write_request(out, state.revision, &state.capabilities);
        written.map_err(|problem| internal(&format!("the question {key:?}: {problem}")))?;
        out.push(b'}');
    }
    Ok(())
}

fn internal(problem: &str) -> Refusal {
    tracing::error!(problem, "a call could not ask its client");
    Refusal::new(ErrorKind::Internal, "Internal error")
}
