//! What a fuzz target drives: any bytes as an answer of a server.

use serde_json::Map;

use super::answer::{Failure, Head, read_body};
use super::era::{Wish, after_discover};
use super::message::{Message, decode};
use super::rounds;
use super::stream::Follow;
use crate::client::handlers;
use crate::client::limits::ClientLimits;
use crate::client::results::raw::{Kept, kept};
use crate::client::results::{
    PromptDescription, PromptResult, RawJson, ReadResult, ResourceDescription, ServerDescription,
    ToolDescription, ToolResult,
};
use crate::client::transport::Event;

/// Takes the bytes as a body, as an event, and their result as everything that results are read into. Nothing may
/// panic; what holds a response must be one as a body and as an event alike.
pub(crate) fn fuzz_answer(data: &[u8]) {
    let limits =
        ClientLimits { max_message_bytes: 64 << 10, max_batch_messages: 8, ..ClientLimits::default() };
    for status in [200, 400, 404, 503] {
        let head = Head { status, in_session: true, ..Head::default() };
        let found = read_body(&head, None, data, 1, &limits);
        after(found.response.as_deref());
    }
    let event = Event { data: data.to_vec(), ..Event::default() };
    let streamed = Follow::of_call().event(event, &limits);
    let Ok(messages) = decode(data, limits.max_batch_messages) else {
        assert!(data.is_empty() || streamed.is_err(), "no message, and yet an event");
        return;
    };
    let too_long = data.len() > limits.max_message_bytes;
    assert_eq!(streamed.is_ok(), !too_long, "an event holds what a body does");
    for message in messages {
        match message {
            Message::Response { outcome: Ok(result), .. } => results(&RawJson::new(result), &limits),
            Message::Notification { method, params } => drop(handlers::read(&method, &params)),
            Message::Response { .. } | Message::Request { .. } => {}
        }
    }
}

fn after(response: Result<&serde_json::value::RawValue, &Failure>) {
    for (forced, silence_is_old) in [(None, false), (Some(crate::client::Revision::V2026_07_28), true)] {
        after_discover(response, Wish { forced, retried: false, silence_is_old });
    }
}

fn results(result: &RawJson, limits: &ClientLimits) {
    whole::<ToolDescription>(result);
    whole::<ToolResult>(result);
    whole::<ResourceDescription>(result);
    whole::<ReadResult>(result);
    whole::<PromptDescription>(result);
    whole::<PromptResult>(result);
    let _ = ServerDescription::read(result.clone());
    let raw: &serde_json::value::RawValue =
        serde_json::from_str(result.get()).expect("invariant: it was read once");
    if let Ok(Some(needed)) = rounds::needed("tools/call", raw, limits) {
        let params = needed.next_params(&Map::new(), Map::new());
        assert!(params.len() <= 2, "the answers and the state, no more");
    }
}

/// What is read is kept word for word.
fn whole<T: Kept + serde::Serialize>(result: &RawJson) {
    if let Ok(read) = kept::<T>(result.clone()) {
        let text = serde_json::to_string(&read).expect("invariant: kept text is JSON");
        assert_eq!(text, result.get());
    }
}
