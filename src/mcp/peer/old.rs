//! Old peers: 2024-11-05 as the nodes that exist speak it. Each request gets exactly one frame, in order; ids come back as
//! they came, whatever they are; errors are a code and a word.

use crate::mcp::message::answer::{Label, Outcome, Refusal};
use crate::mcp::message::capability::ClientCapabilities;
use crate::mcp::message::envelope::{Kind, MAX_TOKEN_BYTES, Message};
use crate::mcp::message::era::{Era, Revision};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::head::{Access, At, RequestHead, Transport};
use crate::mcp::message::method::MethodKind;
use crate::mcp::message::scan::text;
use crate::mcp::peer::answers::write_old_error;
use crate::mcp::peer::options::With;
use crate::mcp::peer::rpc::{self, RpcCall};
use crate::mcp::peer::session::{Dialect, PeerSession, Taken, held_back, refuse};
use crate::mcp::peer::stream_session::{NO_ROOM, StreamSession};
use crate::mcp::serve::dispatcher::Request;
use crate::mcp::serve::legacy;

const REVISION: Revision = Revision::V2024_11_05;

impl PeerSession {
    /// Refuses what is no message, and with it the stream where the peer would not know what the answer belongs to.
    ///
    /// Peers of later revisions are told without an id and go on: the frames are still known.
    pub(super) fn refuse_text<'f>(&self, with: &With<'_>, refusal: &Refusal, out: &mut Vec<u8>) -> Taken<'f> {
        let label = Label::new(MethodKind::Unknown, Era::Unknown);
        if self.dialect != Dialect::Newer {
            let word =
                if refusal.kind == ErrorKind::InvalidRequest { "invalid_message" } else { "invalid_json" };
            return last(out, refusal.kind, None, (-32003, word), Some(&refusal.message));
        }
        match with.gate.admit() {
            Ok(()) => refuse(out, refusal, None, None, label),
            Err(kind) => refuse(out, &held_back(kind), None, None, label),
        }
    }

    pub(super) fn refuse_batch<'f>(&self, out: &mut Vec<u8>) -> Taken<'f> {
        let sentence = "Send one message a frame; only sessions of 2025-03-26 have batches";
        last(out, ErrorKind::Batch, None, (-32003, "invalid_message"), Some(sentence))
    }

    /// Refuses a stream that cannot be read on: a frame that is too long ([`ErrorKind::FrameTooLarge`]), one of no bytes
    /// ([`ErrorKind::Parse`]), or one that there are no bytes for ([`ErrorKind::BufferedFull`]).
    pub(crate) fn refuse_frame<'f>(&self, kind: ErrorKind, sentence: String, out: &mut Vec<u8>) -> Taken<'f> {
        let label = Label::new(MethodKind::Unknown, Era::Unknown);
        if self.dialect == Dialect::Newer {
            let answer = Refusal::new(kind, sentence).answer(out, None, None, label);
            return Taken::Last(answer.label);
        }
        let word = match kind {
            ErrorKind::FrameTooLarge => (-32003, "frame_too_large"),
            ErrorKind::BufferedFull => (-32010, "rate_limited"),
            _ => (-32003, "invalid_json"),
        };
        last(out, kind, None, word, Some(&sentence))
    }

    /// The message of an old peer, or of one that has not said yet what it is.
    pub(super) fn take_old<'f>(
        &mut self,
        with: &With<'_>,
        message: &Message<'f>,
        out: &mut Vec<u8>,
    ) -> Taken<'f> {
        let method = message.method.and_then(text).unwrap_or_default();
        let kind = old_kind(&method);
        let label = Label::new(kind, Era::Legacy);
        let admitted = with.gate.admit();
        let Some(id) = message.id else { return Taken::Silent(label) };
        if message.method.is_none() && (message.result.is_some() || message.error.is_some()) {
            // Answering an answer could go on for ever.
            return Taken::Silent(label);
        }
        if id.len() > MAX_TOKEN_BYTES || message.duplicate.is_some() || !is_json_rpc(message) {
            let id = Some(id).filter(|id| id.len() <= MAX_TOKEN_BYTES);
            return last(out, ErrorKind::InvalidRequest, id, (-32600, "invalid_jsonrpc"), None);
        }
        if let Err(kind) = admitted {
            return last(out, kind, Some(id), (-32010, "rate_limited"), Some(&held_back(kind).message));
        }
        match (self.dialect, kind) {
            (Dialect::Unknown, MethodKind::Initialize) => self.begin_old(with, id, message, out),
            (Dialect::Unknown, _) => {
                last(out, ErrorKind::SessionRequired, Some(id), (-32000, "init_required"), None)
            }
            _ => self.serve_old(with, message, (kind, &method, id), out),
        }
    }

    fn serve_old<'f>(
        &mut self,
        with: &With<'_>,
        message: &Message<'f>,
        (kind, method, id): (MethodKind, &str, &str),
        out: &mut Vec<u8>,
    ) -> Taken<'f> {
        let label = Label::new(kind, Era::Legacy);
        let Some(session) = &self.session else {
            unreachable!("invariant: an old peer's session begins with its dialect and ends with its stream")
        };
        let refused =
            |out: &mut Vec<u8>, refusal: &Refusal| refuse(out, refusal, Some(id), Some(REVISION), label);
        if with.options.task_queue && rpc::is_rpc(message, kind) {
            return Taken::TaskQueue(RpcCall::old(message, id));
        }
        if kind == MethodKind::ToolsCall
            && message.params.kind == Kind::Object
            && message.params.name.is_none()
        {
            return refused(out, &Refusal::new(ErrorKind::UnknownTool, "params.name is missing"));
        }
        let snapshot = &with.dispatcher.snapshot();
        let head = &RequestHead { transport: Transport::Stream, ..RequestHead::default() };
        let at = &At { access: self.access(with, message), ..with.at };
        let request = &Request { snapshot, head, message, at, id: Some(id), method, kind };
        match with.dispatcher.serve_in_session(request, id, session.get(), label, out) {
            Outcome::Answer(answer) => Taken::Answer(answer.label),
            Outcome::Call(call) => Taken::Call(call),
            Outcome::Batch(_) | Outcome::Feed(_) => {
                unreachable!("invariant: a session answers a request at once or with a call")
            }
        }
    }

    /// `initialize` of an old peer. What it says it can do is passed over: it is never asked anything.
    fn begin_old<'f>(
        &mut self,
        with: &With<'_>,
        id: &str,
        message: &Message<'_>,
        out: &mut Vec<u8>,
    ) -> Taken<'f> {
        let label = Label::new(MethodKind::Initialize, Era::Legacy);
        let dispatcher = with.dispatcher;
        self.dialect = Dialect::Old;
        let capabilities = ClientCapabilities::default();
        let opened = dispatcher.shared.sessions.open(with.at.principal, REVISION, capabilities, with.at.now);
        let session = opened.and_then(|session| {
            dispatcher.shared.sessions.initialized(&session, with.at.now);
            StreamSession::enter(dispatcher, session.id, &with.at).ok_or(NO_ROOM)
        });
        match session {
            Ok(session) => self.session = Some(session),
            Err(kind) => {
                return last(out, kind, Some(id), (-32010, "rate_limited"), Some(legacy::full_message(kind)));
            }
        }
        self.granted = Some(self.access(with, message)).filter(|access| *access == Access::Full);
        out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(br#","result":{"ok":true,"protocolVersion":""#);
        out.extend_from_slice(REVISION.as_str().as_bytes());
        out.extend_from_slice(dispatcher.snapshot().catalog().initialize_tail(REVISION));
        // The result goes on after MCP's members.
        out.pop();
        out.extend_from_slice(&with.options.old_members);
        out.extend_from_slice(b"}}");
        Taken::Answer(label)
    }
}

fn is_json_rpc(message: &Message<'_>) -> bool {
    message.jsonrpc.and_then(text).as_deref() == Some("2.0")
}

/// The method, in either spelling. A second `initialize` is no method that old peers know.
fn old_kind(method: &str) -> MethodKind {
    match method {
        "tools.list" => MethodKind::ToolsList,
        "tools.call" => MethodKind::ToolsCall,
        _ => MethodKind::parse(method),
    }
}

/// An error that the stream ends with.
fn last<'f>(
    out: &mut Vec<u8>,
    kind: ErrorKind,
    id: Option<&str>,
    (code, word): (i32, &str),
    detail: Option<&str>,
) -> Taken<'f> {
    write_old_error(out, id, code, word, detail);
    let label = Label::new(MethodKind::Unknown, Era::Unknown);
    Taken::Last(Label { error: Some(kind), ..label })
}
