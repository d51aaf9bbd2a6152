//! The HTTP+SSE transport of 2024-11-05: one GET opens the stream, and whatever is posted to the address that its first
//! event names is answered on it.

use std::sync::Arc;

use crate::mcp::call::running::Call;
use crate::mcp::listen::feed::Feed;
use crate::mcp::listen::inbox::Inbox;
use crate::mcp::message::answer::{Answer, Label, Outcome, Refusal};
use crate::mcp::message::envelope::Message;
use crate::mcp::message::era::{Era, Revision};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::head::{At, RequestHead};
use crate::mcp::message::headers;
use crate::mcp::message::method::MethodKind;
use crate::mcp::serve::dispatcher::{Dispatcher, Form, Request, check_envelope, known_id};
use crate::mcp::serve::snapshot::Shared;
use crate::mcp::session::channel::Channel;
use crate::mcp::session::entry::{InUse, SessionId};
use crate::mcp::session::writer::SessionStream;

/// What became of a message that was posted.
pub(crate) enum Posted {
    /// It is answered with a status; what there is to say is on the stream.
    Answer(Answer),
    /// A call runs, and writes to the stream. The message is accepted.
    Call(Box<Call>, SessionStream),
}

/// A channel for as long as somebody reads its stream; its end is that of the session.
pub(crate) struct OpenChannel {
    pub(crate) channel: Arc<Channel>,
    shared: Arc<Shared>,
}

impl Dispatcher {
    /// Takes the GET that opens a stream; `messages` is the path to post to.
    pub(crate) fn open_channel(
        &self,
        head: &RequestHead<'_>,
        at: &At<'_>,
        messages: &str,
        out: &mut Vec<u8>,
    ) -> Outcome {
        match self.new_channel(head, at, messages) {
            Ok(feed) => Outcome::Feed(feed),
            Err(refusal) => {
                Outcome::Answer(refusal.answer(out, None, None, Label::new(MethodKind::Get, Era::Legacy)))
            }
        }
    }

    fn new_channel(&self, head: &RequestHead<'_>, at: &At<'_>, messages: &str) -> Result<Feed, Refusal> {
        if !head.accept.is_some_and(headers::accepts_events) {
            return Err(Refusal::new(ErrorKind::NotAcceptable, "Accept must list text/event-stream"));
        }
        let place = self.place()?;
        let internal = || Refusal::new(ErrorKind::Internal, "Internal error");
        let id = SessionId::random().map_err(|_| internal())?;
        let inbox = Arc::new(Inbox::new(self.advertised(), Vec::new()));
        let registration = self.shared.hub.register(inbox);
        let (channel, reader) =
            Channel::new(id, at.principal, registration, &self.shared.replay).ok_or_else(internal)?;
        self.shared.channels.insert(channel.clone());
        let endpoint = format!("{messages}?sessionId={}", id.as_str());
        Ok(Feed::of_channel(reader, OpenChannel { channel, shared: self.shared.clone() }, endpoint, place))
    }

    /// Takes the body of a POST to the address of a channel.
    pub(crate) fn post_to_channel(
        &self,
        head: &RequestHead<'_>,
        query: Option<&str>,
        body: &[u8],
        at: &At<'_>,
        out: &mut Vec<u8>,
    ) -> Posted {
        let label = Label::new(MethodKind::Unknown, Era::Legacy);
        let mut message = Message::default();
        let checked =
            self.check_post(head, query, at).and_then(|channel| match self.parse(body, &mut message)? {
                Form::Message => Ok(channel),
                Form::Batch(_) => {
                    Err(Refusal::new(ErrorKind::Batch, "Send one message a request on this transport"))
                }
            });
        let channel = match checked {
            Ok(channel) => channel,
            Err(refusal) => return Posted::Answer(refusal.answer(out, None, None, label)),
        };
        match check_envelope(&message) {
            Ok(Some(method)) => {
                let kind = MethodKind::parse(&method);
                let snapshot = &self.snapshot();
                let (message, id) = (&message, message.id);
                let request = Request { snapshot, head, message, at, id, method: &method, kind };
                self.take_from_channel(&request, &channel)
            }
            Ok(None) => {
                if let Some(session) = channel.session() {
                    self.take_client_response(&InUse::enter(session), &message);
                }
                Posted::Answer(Answer::empty(202, Label { method: MethodKind::Response, ..label }))
            }
            Err(refusal) => Posted::Answer(refusal.answer(out, known_id(&message), None, label)),
        }
    }

    fn check_post(
        &self,
        head: &RequestHead<'_>,
        query: Option<&str>,
        at: &At<'_>,
    ) -> Result<Arc<Channel>, Refusal> {
        if !head.content_type.is_some_and(headers::is_json) {
            let message = "Content-Type must be application/json, in UTF-8";
            return Err(Refusal::new(ErrorKind::UnsupportedMediaType, message));
        }
        let id = query
            .into_iter()
            .flat_map(|query| query.split('&'))
            .find_map(|pair| pair.strip_prefix("sessionId="));
        let channel = id
            .and_then(|id| SessionId::parse(id.as_bytes()))
            .and_then(|id| self.shared.channels.find(id, at.principal))
            .ok_or_else(|| {
                let message = "No open stream has this sessionId; open one and post to the address it names";
                Refusal::new(ErrorKind::SessionNotFound, message)
            })?;
        if !channel.log.has_room() {
            let message = "The answers on the stream are not read (max_stream_queue_bytes); read them first";
            return Err(Refusal::new(ErrorKind::StreamFull, message));
        }
        Ok(channel)
    }

    fn take_from_channel(&self, request: &Request<'_>, channel: &Arc<Channel>) -> Posted {
        let label = Label::new(request.kind, Era::Legacy);
        let mut text = Vec::new();
        let Some(id) = request.id else {
            if let Some(session) = channel.session() {
                self.notify(request, &InUse::enter(session));
            }
            return Posted::Answer(Answer::empty(202, label));
        };
        let outcome = match (request.kind, channel.session()) {
            (MethodKind::Initialize, None) => {
                Outcome::Answer(self.begin_channel(request, id, channel, &mut text))
            }
            (MethodKind::Initialize, Some(session)) => {
                let refusal = Refusal::new(ErrorKind::InvalidRequest, "The session is initialized already");
                Outcome::Answer(refusal.answer(&mut text, Some(id), Some(session.revision), label))
            }
            (_, Some(session)) => {
                self.serve_in_session(request, id, &InUse::enter(session), label, &mut text)
            }
            (_, None) => {
                let refusal =
                    Refusal::new(ErrorKind::SessionRequired, "initialize must be the first request");
                Outcome::Answer(refusal.answer(&mut text, Some(id), Some(Revision::V2024_11_05), label))
            }
        };
        match outcome {
            Outcome::Call(call) => match SessionStream::over(channel, &self.shared.replay) {
                Some(stream) => Posted::Call(Box::new(call), stream),
                None => Posted::Answer(Answer::empty(202, label)),
            },
            Outcome::Answer(answer) => {
                channel.log.push(text);
                Posted::Answer(Answer::empty(202, answer.label))
            }
            Outcome::Batch(_) | Outcome::Feed(_) => {
                unreachable!("invariant: a session answers a request at once or with a call")
            }
        }
    }

    /// `initialize`: from now on the channel has a session.
    fn begin_channel(
        &self,
        request: &Request<'_>,
        id: &str,
        channel: &Arc<Channel>,
        text: &mut Vec<u8>,
    ) -> Answer {
        let label = Label::new(MethodKind::Initialize, Era::Legacy);
        let answer = match self.initialize(request, id, label, text) {
            Ok(answer) => answer,
            Err(refusal) => return refusal.answer(text, Some(id), Some(Revision::V2024_11_05), label),
        };
        let session = answer
            .session_id
            .and_then(|opened| self.shared.sessions.enter(opened, request.at.principal, request.at.now));
        if let Some(session) = session
            && !channel.begin(session.clone())
        {
            // Another core was faster, or the client is gone; this session is not the channel's.
            session.leave(None);
            self.shared.sessions.delete(session.id);
        }
        answer
    }
}

impl Drop for OpenChannel {
    fn drop(&mut self) {
        self.shared.channels.remove(self.channel.id);
        self.channel.log.end();
        if let Some(session) = self.channel.close() {
            session.leave(None);
            self.shared.sessions.delete(session.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context as TaskContext, Waker};
    use std::time::Instant;

    use super::*;
    use crate::mcp::message::head::Access;
    use crate::mcp::offer::registry::Registry;
    use crate::mcp::serve::options::McpOptions;

    #[test]
    fn a_stream_that_closes_during_initialize_leaves_no_session_behind() {
        let dispatcher = Dispatcher::new(Registry::new(), McpOptions::default()).unwrap();
        let head = RequestHead {
            accept: Some(b"text/event-stream"),
            content_type: Some(b"application/json"),
            ..RequestHead::default()
        };
        let at = At {
            now: Instant::now(),
            core: 0,
            principal: "p",
            full: false,
            traceparent: None,
            access: Access::Full,
        };
        let mut endpoint = Vec::new();
        let Outcome::Feed(mut feed) = dispatcher.open_channel(&head, &at, "/messages", &mut endpoint) else {
            panic!("the stream opens")
        };
        assert!(feed.poll_event(&mut TaskContext::from_waker(Waker::noop()), &mut endpoint).is_ready());
        let query = std::str::from_utf8(&endpoint).unwrap().split_once('?').unwrap().1;
        let channel = dispatcher.check_post(&head, Some(query), &at).unwrap();
        let mut message = Message::default();
        let body =
            br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05"}}"#;
        dispatcher.parse(body, &mut message).unwrap();
        let request = Request {
            snapshot: &dispatcher.snapshot(),
            head: &head,
            message: &message,
            at: &at,
            id: message.id,
            method: "initialize",
            kind: MethodKind::Initialize,
        };
        drop(feed);
        dispatcher.take_from_channel(&request, &channel);
        assert_eq!(dispatcher.sessions(), 0);
    }
}
