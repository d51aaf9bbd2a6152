//! Several messages in one array, which only 2025-03-26 has.

use crate::limits::Limit;
use crate::mcp::call::batch::Batch;
use crate::mcp::message::answer::{Answer, Label, Outcome, Refusal};
use crate::mcp::message::envelope::{Kind, Message};
use crate::mcp::message::era::{self, Era};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::head::{Access, At, RequestHead};
use crate::mcp::message::method::MethodKind;
use crate::mcp::message::scan::Scanner;
use crate::mcp::serve::dispatcher::{Dispatcher, Request, check_envelope, known_id};
use crate::mcp::session::entry::InUse;

impl Dispatcher {
    /// Takes a body that is a JSON array. `access` says what the sender of each message may do.
    pub(crate) fn take_batch(
        &self,
        head: &RequestHead<'_>,
        text: &str,
        at: &At<'_>,
        access: &dyn Fn(&Message<'_>) -> Access,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let label = Label::new(MethodKind::Batch, Era::Legacy);
        let (session, members) = match self.read_batch(head, text, at) {
            Ok(read) => read,
            Err(refusal) => return Outcome::Answer(refusal.answer(out, None, None, label)),
        };
        let mut batch = Batch::new(InUse::enter(&session.0), self.shared.replay.clone(), label);
        for member in members {
            self.take_member(head, member, (at, access), &session, &mut batch);
        }
        match batch.is_empty() {
            true => Outcome::Answer(Answer::empty(202, label)),
            false => Outcome::Batch(batch),
        }
    }

    /// The session and the messages of a batch, where it may be one.
    fn read_batch<'a>(
        &self,
        head: &RequestHead<'_>,
        text: &'a str,
        at: &At<'_>,
    ) -> Result<(InUse, Vec<&'a str>), Refusal> {
        let refuse = || {
            Refusal::new(
                ErrorKind::Batch,
                "Batches are served in sessions of 2025-03-26 only; send one message a request",
            )
        };
        if head.protocol_version.is_some_and(era::is_modern_name) || head.session_id.is_none() {
            return Err(refuse());
        }
        let session = InUse(self.session(head, at)?);
        if !session.0.revision.has_batches() {
            return Err(refuse());
        }
        let max = usize::try_from(self.shared.options.limits.max_batch_messages).unwrap_or(usize::MAX);
        let mut scanner = Scanner::new(text, self.shared.max_depth);
        scanner.peek();
        let members = scanner
            .members(max.saturating_add(1))
            .ok_or_else(|| Refusal::new(ErrorKind::InvalidRequest, "The batch is not an array"))?;
        if members.is_empty() {
            return Err(Refusal::new(ErrorKind::InvalidRequest, "A batch must hold at least one message"));
        }
        if members.len() > max {
            let name = Limit::BatchMessages.name();
            let sentence = format!("The batch holds more messages than {name} allows, which is {max}");
            let data = format!(r#"{{"limit":"{name}","max":{max}}}"#);
            return Err(Refusal::new(ErrorKind::BatchTooLong, sentence).with_data(data));
        }
        Ok((session, members))
    }

    /// Takes one message of a batch; what is wrong with it is answered for itself.
    fn take_member(
        &self,
        head: &RequestHead<'_>,
        text: &str,
        (at, access): (&At<'_>, &dyn Fn(&Message<'_>) -> Access),
        session: &InUse,
        batch: &mut Batch,
    ) {
        let mut message = Message::default();
        let mut out = Vec::new();
        let label = Label::new(MethodKind::Unknown, Era::Legacy);
        let parsed = message.parse(text, self.shared.max_depth);
        if parsed.is_err() || message.kind != Kind::Object {
            let refusal = Refusal::new(ErrorKind::InvalidRequest, "A JSON-RPC message is a JSON object");
            let answer = refusal.answer(&mut out, None, None, label);
            return batch.add_answer(out, answer.label);
        }
        let method = match check_envelope(&message) {
            Ok(Some(method)) => method,
            Ok(None) => {
                self.take_client_response(session, &message);
                return batch.note(Label::new(MethodKind::Response, Era::Legacy));
            }
            Err(refusal) => {
                let answer = refusal.answer(&mut out, known_id(&message), None, label);
                return batch.add_answer(out, answer.label);
            }
        };
        let kind = MethodKind::parse(&method);
        let (snapshot, at) = (&self.snapshot(), &At { access: access(&message), ..*at });
        let request =
            Request { snapshot, head, message: &message, at, id: message.id, method: &method, kind };
        self.take_request(&request, session, batch);
    }

    /// Takes a request or notification of a batch.
    fn take_request(&self, request: &Request<'_>, session: &InUse, batch: &mut Batch) {
        let label = Label::new(request.kind, Era::Legacy);
        let mut out = Vec::new();
        let Some(id) = request.id else {
            self.notify(request, session);
            return batch.note(label);
        };
        if request.kind == MethodKind::Initialize {
            let refusal = Refusal::new(ErrorKind::InvalidRequest, "initialize must not be part of a batch");
            let answer = refusal.answer(&mut out, Some(id), Some(session.0.revision), label);
            return batch.add_answer(out, answer.label);
        }
        batch.note_request();
        match self.serve_in_session(request, id, session, label, &mut out) {
            Outcome::Answer(answer) => batch.add_answer(out, answer.label),
            Outcome::Call(call) => batch.add_call(call),
            Outcome::Batch(_) | Outcome::Feed(_) => {
                unreachable!("invariant: a session answers a request at once or with a call")
            }
        }
    }
}
