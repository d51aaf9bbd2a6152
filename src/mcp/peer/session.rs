//! What becomes of each message of a stream.

use std::task::{Context, Poll};

use crate::mcp::call::batch::Batch;
use crate::mcp::call::running::Call;
use crate::mcp::listen::feed::Feed;
use crate::mcp::message::answer::{Label, Outcome, Refusal};
use crate::mcp::message::envelope::Message;
use crate::mcp::message::era::{self, Era, Revision};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::head::{Access, At, NoHeaders, RequestHead, Transport};
use crate::mcp::message::method::MethodKind;
use crate::mcp::message::scan::{Scanner, text};
use crate::mcp::peer::answers::AnswerForm;
use crate::mcp::peer::options::{PeerOptions, With};
use crate::mcp::peer::rpc::{self, RpcCall};
use crate::mcp::peer::stream_session::{NO_ROOM, StreamSession};
use crate::mcp::serve::dispatcher::{Form, Request, check_envelope, known_id};
use crate::mcp::serve::{legacy, modern};

/// One stream of messages with a peer.
pub(crate) struct PeerSession {
    pub(super) dialect: Dialect,
    pub(super) session: Option<StreamSession>,
    /// What the token of `initialize` was worth.
    pub(super) granted: Option<Access>,
}

/// How the peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Nothing has told yet.
    Unknown,
    /// 2024-11-05, as the peers speak it.
    Old,
    /// Any later revision.
    Newer,
}

/// What becomes of a message. Answers are appended to the caller's buffer, without their frame.
pub(crate) enum Taken<'f> {
    /// Nothing is said about it.
    Silent(Label),
    /// It is answered.
    Answer(Label),
    /// It is answered, and the stream ends with that.
    Last(Label),
    /// A handler runs.
    Call(Call),
    /// The handlers of several messages run.
    Batch(Batch),
    /// The peer listens, under this id (JSON text).
    Feed(Feed, &'f str),
    /// The task queue is asked.
    TaskQueue(RpcCall),
    /// Whatever runs under this id (JSON text) is not wanted any more.
    Cancel(&'f str, Label),
}

/// What is known of a message that is served.
struct Served<'a, 'f> {
    with: &'a With<'a>,
    message: &'a Message<'f>,
    kind: MethodKind,
    method: &'a str,
}

impl PeerSession {
    pub(crate) fn new() -> PeerSession {
        PeerSession { dialect: Dialect::Unknown, session: None, granted: None }
    }

    /// Whether the peer waits for each answer before it sends the next request.
    pub(crate) fn is_sequential(&self) -> bool {
        self.dialect == Dialect::Old
    }

    /// How answers to the peer leave.
    pub(crate) fn form(&self, options: &PeerOptions) -> AnswerForm {
        AnswerForm::new(self.dialect == Dialect::Old, options)
    }

    /// Takes the next message.
    pub(crate) fn take<'f>(&mut self, with: &With<'_>, frame: &'f [u8], out: &mut Vec<u8>) -> Taken<'f> {
        let start = out.len();
        let mut message = Message::default();
        let form = match with.dispatcher.parse(frame, &mut message) {
            Ok(form) => form,
            Err(refusal) => return self.refuse_text(with, &refusal, out),
        };
        let taken = match (self.dialect, form) {
            (Dialect::Newer, Form::Batch(text)) => self.take_batch(with, text, out),
            (_, Form::Batch(_)) => return self.refuse_batch(out),
            (Dialect::Unknown, Form::Message) if is_newer(&message) => {
                self.dialect = Dialect::Newer;
                self.take_newer(with, &message, out)
            }
            (Dialect::Newer, Form::Message) => self.take_newer(with, &message, out),
            (_, Form::Message) => self.take_old(with, &message, out),
        };
        let (Taken::Answer(label) | Taken::Last(label)) = taken else { return taken };
        let label = self.form(with.options).finish(out, start, known_id(&message).or(message.id), label);
        if matches!(taken, Taken::Last(_)) { Taken::Last(label) } else { Taken::Answer(label) }
    }

    /// Appends the next message that the peer did not ask for; the task is woken when there is one.
    pub(crate) fn poll_notice(&self, cx: &Context<'_>, out: &mut Vec<u8>) -> Poll<()> {
        match (&self.session, self.dialect) {
            (Some(session), Dialect::Newer) => session.poll_notice(cx, out),
            _ => Poll::Pending,
        }
    }

    /// The message of a peer that speaks a revision from 2025-03-26 on.
    fn take_newer<'f>(&mut self, with: &With<'_>, message: &Message<'f>, out: &mut Vec<u8>) -> Taken<'f> {
        let unknown = Label::new(MethodKind::Unknown, Era::Unknown);
        let method = match check_envelope(message) {
            Ok(Some(method)) => method,
            Ok(None) => return self.take_response(with, message),
            Err(refusal) => return refuse(out, &refusal, known_id(message), None, unknown),
        };
        let kind = MethodKind::parse(&method);
        let era = era::select(&head(None), message, kind);
        let label = Label::new(kind, era);
        if let Err(kind) = with.gate.admit() {
            return match message.id {
                Some(id) => refuse(out, &held_back(kind), Some(id), None, label),
                None => Taken::Silent(label),
            };
        }
        let at = At { access: self.access(with, message), ..with.at };
        let with = &With { at, ..*with };
        let served = &Served { with, message, kind, method: &method };
        match (message.id, era) {
            (None, _) => self.take_notification(served, label),
            (Some(id), Era::Modern) => take_modern(served, id, label, out),
            (Some(id), _) => self.take_in_session(served, id, label, out),
        }
    }

    fn take_notification<'f>(&mut self, served: &Served<'_, 'f>, label: Label) -> Taken<'f> {
        if let Some(session) = &mut self.session {
            session.listen(served.with.dispatcher);
            // A cancellation that comes this way reaches what a batch has begun, which has no id of its own.
            served.request(&head(None), |request| served.with.dispatcher.notify(request, session.get()));
        }
        match served.message.params.request_id {
            Some(id) if served.kind == MethodKind::NotificationsCancelled => Taken::Cancel(id, label),
            _ => Taken::Silent(label),
        }
    }

    fn take_response<'f>(&mut self, with: &With<'_>, message: &Message<'_>) -> Taken<'f> {
        if let Some(session) = &self.session {
            with.dispatcher.take_client_response(session.get(), message);
        }
        Taken::Silent(Label::new(MethodKind::Response, Era::Legacy))
    }

    /// A request of the revisions with sessions.
    fn take_in_session<'f>(
        &mut self,
        served: &Served<'_, 'f>,
        id: &'f str,
        label: Label,
        out: &mut Vec<u8>,
    ) -> Taken<'f> {
        let dispatcher = served.with.dispatcher;
        let Some(session) = &mut self.session else {
            if served.kind == MethodKind::Initialize {
                return self.initialize(served, id, label, out);
            }
            let sentence = "initialize must come first, or _meta with each request as 2026-07-28 has it";
            let refusal = Refusal::new(ErrorKind::SessionRequired, sentence);
            return refuse(out, &refusal, Some(id), None, label);
        };
        let revision = session.get().0.revision;
        if served.kind == MethodKind::Initialize {
            let refusal = Refusal::new(ErrorKind::InvalidRequest, "The session is initialized already");
            return refuse(out, &refusal, Some(id), Some(revision), label);
        }
        session.listen(dispatcher);
        served.request(&head(None), |request| {
            if served.is_rpc() {
                return match legacy::check_params(request) {
                    Ok(()) => Taken::TaskQueue(RpcCall::of_tool(served.message, id, revision, b"")),
                    Err(refusal) => refuse(out, &refusal, Some(id), Some(revision), label),
                };
            }
            started(dispatcher.serve_in_session(request, id, session.get(), label, out), id)
        })
    }

    /// `initialize`: from now on the stream has a session.
    fn initialize<'f>(
        &mut self,
        served: &Served<'_, 'f>,
        id: &str,
        label: Label,
        out: &mut Vec<u8>,
    ) -> Taken<'f> {
        let (with, start) = (served.with, out.len());
        let dispatcher = with.dispatcher;
        let answer = served.request(&head(None), |request| dispatcher.initialize(request, id, label, out));
        let newest = Some(Revision::NEWEST_LEGACY);
        let opened = match answer {
            Ok(answer) => answer.session_id,
            Err(refusal) => return refuse(out, &refusal, Some(id), newest, label),
        };
        self.session = opened.and_then(|opened| StreamSession::enter(dispatcher, opened, &with.at));
        if self.session.is_none() {
            out.truncate(start);
            return refuse(
                out,
                &Refusal::new(NO_ROOM, legacy::full_message(NO_ROOM)),
                Some(id),
                newest,
                label,
            );
        }
        self.granted = Some(with.at.access).filter(|access| *access == Access::Full);
        Taken::Answer(label)
    }

    /// Several messages in one frame, which only sessions of 2025-03-26 have.
    fn take_batch<'f>(&mut self, with: &With<'_>, text: &str, out: &mut Vec<u8>) -> Taken<'f> {
        let label = Label::new(MethodKind::Batch, Era::Legacy);
        let max =
            usize::try_from(with.dispatcher.shared.options.limits.max_batch_messages).unwrap_or(usize::MAX);
        let mut scanner = Scanner::new(text, with.dispatcher.shared.max_depth);
        scanner.peek();
        let messages = scanner.members(max).map_or(1, |members| members.len());
        for _ in 0..messages.max(1) {
            if let Err(kind) = with.gate.admit() {
                return refuse(out, &held_back(kind), None, None, label);
            }
        }
        let access = |message: &Message<'_>| self.access(with, message);
        let id = self.session.as_ref().map(|session| session.get().0.id);
        let head = head(id.as_ref().map(|id| id.as_str().as_bytes()));
        match with.dispatcher.take_batch(&head, text, &with.at, &access, out) {
            Outcome::Batch(batch) => Taken::Batch(batch),
            Outcome::Answer(answer) if answer.has_body => Taken::Answer(answer.label),
            Outcome::Answer(answer) => Taken::Silent(answer.label),
            Outcome::Call(_) | Outcome::Feed(_) => unreachable!("invariant: a batch is answered as a whole"),
        }
    }

    /// What the message's sender may do.
    pub(super) fn access(&self, with: &With<'_>, message: &Message<'_>) -> Access {
        if with.at.access == Access::Full {
            return Access::Full;
        }
        let token = message.params.meta.token.and_then(text);
        match (self.granted, token) {
            (Some(granted), _) => granted,
            (None, Some(token)) => with.gate.access(&token),
            (None, None) => with.at.access,
        }
    }
}

impl Served<'_, '_> {
    fn is_rpc(&self) -> bool {
        self.with.options.task_queue && rpc::is_rpc(self.message, self.kind)
    }

    /// Does something with the message as the dispatcher sees it.
    fn request<T>(&self, head: &RequestHead<'_>, act: impl FnOnce(&Request<'_>) -> T) -> T {
        let snapshot = &self.with.dispatcher.snapshot();
        let (message, at, kind, method) = (self.message, &self.with.at, self.kind, self.method);
        act(&Request { snapshot, head, message, at, id: message.id, method, kind })
    }
}

/// A request of 2026-07-28.
fn take_modern<'f>(served: &Served<'_, 'f>, id: &'f str, label: Label, out: &mut Vec<u8>) -> Taken<'f> {
    let dispatcher = served.with.dispatcher;
    served.request(&head(None), |request| {
        if served.is_rpc() {
            return match modern::check(request) {
                Ok(_) => {
                    let meta = &dispatcher.shared.server_meta;
                    Taken::TaskQueue(RpcCall::of_tool(served.message, id, Revision::V2026_07_28, meta))
                }
                Err(refusal) => refuse(out, &refusal, Some(id), Some(Revision::V2026_07_28), label),
            };
        }
        started(dispatcher.take_modern(request, out), id)
    })
}

fn started(outcome: Outcome, id: &str) -> Taken<'_> {
    match outcome {
        Outcome::Answer(answer) => Taken::Answer(answer.label),
        Outcome::Call(call) => Taken::Call(call),
        Outcome::Batch(batch) => Taken::Batch(batch),
        Outcome::Feed(feed) => Taken::Feed(feed, id),
    }
}

pub(super) fn refuse<'f>(
    out: &mut Vec<u8>,
    refusal: &Refusal,
    id: Option<&str>,
    revision: Option<Revision>,
    label: Label,
) -> Taken<'f> {
    Taken::Answer(refusal.answer(out, id, revision, label).label)
}

/// What a message that comes at the wrong time is refused with.
pub(super) fn held_back(kind: ErrorKind) -> Refusal {
    let message = match kind {
        ErrorKind::PeerRate => "You send more requests than max_p2p_requests_per_s allows; try again later",
        ErrorKind::TotalRate => {
            "Peers send more requests than max_p2p_total_requests_per_s allows; try again later"
        }
        _ => "The server holds as many bytes as max_buffered_bytes allows; try again later",
    };
    Refusal::new(kind, message)
}

/// A stream has no headers; its session, where it has one, is named as in a header.
fn head(session_id: Option<&[u8]>) -> RequestHead<'_> {
    RequestHead { session_id, params: &NoHeaders, transport: Transport::Stream, ..RequestHead::default() }
}

/// Whether the first message of a stream tells that its sender knows a revision after 2024-11-05.
fn is_newer(message: &Message<'_>) -> bool {
    let kind = message.method.and_then(text).map_or(MethodKind::Unknown, |method| MethodKind::parse(&method));
    if era::select(&head(None), message, kind) == Era::Modern {
        return message.id.is_some();
    }
    let version = message.params.version.and_then(text);
    kind == MethodKind::Initialize
        && message.id.is_some()
        && version.is_some_and(|version| version != Revision::V2024_11_05.as_str())
}
