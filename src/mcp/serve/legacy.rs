//! 2025-11-25 and earlier: a session that begins with `initialize`.
//!
//! A session serves any request from the moment it was opened. The specification asks clients to send
//! `notifications/initialized` first; clients that are late with it, or that send requests side by side with it, are
//! served all the same, and their first request other than `ping` counts as the notification.

use std::sync::Arc;

use crate::mcp::ask::asking::Asking;
use crate::mcp::ask::waiting;
use crate::mcp::message::answer::{Answer, Label, Outcome, Refusal, excerpt, write_result};
use crate::mcp::message::capability::ClientCapabilities;
use crate::mcp::message::envelope::{Kind, Message};
use crate::mcp::message::era::{Era, Revision};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::head::{At, RequestHead};
use crate::mcp::message::level::{BAD_LEVEL, LogLevel};
use crate::mcp::message::method::MethodKind;
use crate::mcp::message::scan::text;
use crate::mcp::serve::dispatcher::{Dispatcher, Request};
use crate::mcp::serve::methods::{check_offered, is_call, is_list, method_not_found};
use crate::mcp::serve::tools_call::{CallMeta, check_progress_token};
use crate::mcp::session::entry::{InUse, Session, SessionId};

impl Dispatcher {
    pub(crate) fn take_legacy(&self, request: &Request<'_>, out: &mut Vec<u8>) -> Outcome {
        let label = Label::new(request.kind, Era::Legacy);
        let Some(id) = request.id else {
            return Outcome::Answer(self.take_notification(request, label, out));
        };
        if request.kind == MethodKind::Initialize {
            let answer = self.initialize(request, id, label, out);
            let newest = Some(Revision::NEWEST_LEGACY);
            return Outcome::Answer(
                answer.unwrap_or_else(|refusal| refusal.answer(out, Some(id), newest, label)),
            );
        }
        match self.session(request.head, request.at) {
            Ok(session) => self.serve_in_session(request, id, &InUse(session), label, out),
            Err(refusal) => Outcome::Answer(refusal.answer(out, Some(id), None, label)),
        }
    }

    /// Serves any request but `initialize`.
    pub(crate) fn serve_in_session(
        &self,
        request: &Request<'_>,
        id: &str,
        session: &InUse,
        label: Label,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let revision = Some(session.0.revision);
        self.serve_legacy(request, id, &session.0, label, out)
            .unwrap_or_else(|refusal| Outcome::Answer(refusal.answer(out, Some(id), revision, label)))
    }

    fn serve_legacy(
        &self,
        request: &Request<'_>,
        id: &str,
        session: &Arc<Session>,
        label: Label,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Refusal> {
        check_params(request)?;
        check_progress_token(request)?;
        if request.kind != MethodKind::Ping {
            self.shared.sessions.initialized(session, request.at.now);
        }
        check_offered(request)?;
        match request.kind {
            kind if is_call(kind) => {
                let meta = CallMeta {
                    revision: session.revision,
                    capabilities: ClientCapabilities::default(),
                    log_level: None,
                    session: Some(session.clone()),
                    asking: Asking::default(),
                };
                return self.start_call(request, id, meta, out);
            }
            kind if is_list(kind) => return self.list(request, id, session.revision, label, out),
            MethodKind::Ping => write_result(out, id, b"{}"),
            MethodKind::LoggingSetLevel => {
                session.set_log_level(level(request)?);
                write_result(out, id, b"{}");
            }
            MethodKind::ResourcesSubscribe => self.subscribe(request, session, id, out)?,
            MethodKind::ResourcesUnsubscribe => self.unsubscribe(request, session, id, out)?,
            _ => return Err(method_not_found(request)),
        }
        Ok(Outcome::Answer(Answer::with_body(200, label)))
    }

    pub(crate) fn initialize(
        &self,
        request: &Request<'_>,
        id: &str,
        label: Label,
        out: &mut Vec<u8>,
    ) -> Result<Answer, Refusal> {
        check_params(request)?;
        let params = &request.message.params;
        let invalid =
            |sentence: String| Refusal::new(ErrorKind::InvalidParams, format!("Invalid params: {sentence}"));
        let version = params
            .version
            .and_then(text)
            .ok_or_else(|| invalid("params.protocolVersion is required and must be a string".into()))?;
        let capabilities = ClientCapabilities::parse(params.capabilities.unwrap_or("{}"))
            .map_err(|problem| invalid(format!("params.capabilities {problem}")))?;
        let served = Revision::parse(version.as_bytes()).filter(|revision| !revision.is_modern());
        let revision = served.unwrap_or(Revision::NEWEST_LEGACY);
        let session = self
            .shared
            .sessions
            .open(request.at.principal, revision, capabilities, request.at.now)
            .map_err(|kind| Refusal::new(kind, full_message(kind)))?;
        out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(br#","result":{"protocolVersion":""#);
        out.extend_from_slice(revision.as_str().as_bytes());
        out.extend_from_slice(request.snapshot.catalog().initialize_tail(revision));
        out.push(b'}');
        Ok(Answer { session_id: Some(session.id), ..Answer::with_body(200, label) })
    }

    fn take_notification(&self, request: &Request<'_>, label: Label, out: &mut Vec<u8>) -> Answer {
        match self.session(request.head, request.at) {
            Ok(session) => {
                self.notify(request, &InUse(session));
                Answer::empty(202, label)
            }
            Err(refusal) => refusal.answer(out, None, None, label),
        }
    }

    /// Acts on a notification; one that means nothing here is dropped.
    pub(crate) fn notify(&self, request: &Request<'_>, session: &InUse) {
        match request.kind {
            MethodKind::NotificationsInitialized => {
                self.shared.sessions.initialized(&session.0, request.at.now);
            }
            // A malformed cancellation is ignored, as one for an unknown request is.
            MethodKind::NotificationsCancelled => {
                if let Some(request_id) = request.message.params.request_id {
                    let reason = request.message.params.reason.map(excerpt);
                    tracing::debug!(request_id = %excerpt(request_id), ?reason, "the client cancels a request");
                    session.0.cancel_call(request_id);
                }
            }
            _ => {}
        }
    }

    /// A client's response to a request of the server. One that answers nothing is accepted and dropped.
    pub(crate) fn take_legacy_response(
        &self,
        head: &RequestHead<'_>,
        message: &Message<'_>,
        at: &At<'_>,
        out: &mut Vec<u8>,
    ) -> Answer {
        let label = Label::new(MethodKind::Response, Era::Legacy);
        match self.session(head, at) {
            Ok(session) => {
                self.take_client_response(&InUse(session), message);
                Answer::empty(202, label)
            }
            Err(refusal) => refusal.answer(out, None, None, label),
        }
    }

    /// Hands a client's response to the call that waits for it.
    pub(crate) fn take_client_response(&self, session: &InUse, message: &Message<'_>) {
        waiting::take_response(&session.0, message, &self.shared.answers);
    }

    pub(crate) fn delete_session(&self, head: &RequestHead<'_>, at: &At<'_>, out: &mut Vec<u8>) -> Answer {
        let label = Label::new(MethodKind::Delete, Era::Legacy);
        match self.session(head, at) {
            Ok(session) => {
                let session = InUse(session);
                self.shared.sessions.delete(session.0.id);
                Answer::empty(204, label)
            }
            Err(refusal) => refusal.answer(out, None, None, label),
        }
    }

    /// The session that the headers name, entered; the caller leaves it.
    pub(crate) fn session(&self, head: &RequestHead<'_>, at: &At<'_>) -> Result<Arc<Session>, Refusal> {
        let refuse = |kind, sentence: String| Err(Refusal::new(kind, sentence));
        let version = head.protocol_version.map(|name| Revision::parse(name).ok_or(name));
        if let Some(Err(name)) = version {
            let served =
                Revision::ALL.iter().map(|revision| revision.as_str()).collect::<Vec<_>>().join(", ");
            let name = String::from_utf8_lossy(name);
            let sentence =
                format!("MCP-Protocol-Version {} is not served; served are {served}", excerpt(&name));
            return refuse(ErrorKind::SessionVersion, sentence);
        }
        let Some(header) = head.session_id else {
            let sentence = "Mcp-Session-Id is required; open a session with initialize, or send the request with \
                            MCP-Protocol-Version 2026-07-28 and its _meta";
            return refuse(ErrorKind::SessionRequired, sentence.to_owned());
        };
        let sessions = &self.shared.sessions;
        let session = SessionId::parse(header).and_then(|id| sessions.enter(id, at.principal, at.now));
        let Some(session) = session else {
            let sentence = "The session does not exist or has ended; open a new one with initialize";
            return refuse(ErrorKind::SessionNotFound, sentence.to_owned());
        };
        if version.is_some_and(|version| version != Ok(session.revision)) {
            let negotiated = session.revision.as_str();
            session.leave(None);
            let sentence =
                format!("MCP-Protocol-Version must be {negotiated}, as negotiated for this session");
            return refuse(ErrorKind::SessionVersion, sentence);
        }
        Ok(session)
    }
}

pub(crate) fn check_params(request: &Request<'_>) -> Result<(), Refusal> {
    let params = &request.message.params;
    let invalid =
        |sentence: String| Err(Refusal::new(ErrorKind::InvalidParams, format!("Invalid params: {sentence}")));
    // Some clients write null for what they leave out.
    if params.kind == Kind::Other {
        return invalid("params must be an object".into());
    }
    if params.meta.kind == Kind::Other {
        return invalid("params._meta must be an object".into());
    }
    match params.duplicate.or(params.meta.duplicate) {
        Some(key) => invalid(format!("the key {key} occurs twice")),
        None => Ok(()),
    }
}

fn level(request: &Request<'_>) -> Result<LogLevel, Refusal> {
    let level = request.message.params.level.and_then(text);
    level
        .and_then(|level| LogLevel::parse(&level))
        .ok_or_else(|| Refusal::new(ErrorKind::InvalidParams, format!("Invalid params: {BAD_LEVEL}")))
}

pub(crate) fn full_message(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::SessionsFull => "Too many sessions are in use (max_sessions); try again later",
        ErrorKind::PrincipalSessionsFull => {
            "You hold as many sessions as you may (max_sessions_per_principal); end one or try again later"
        }
        _ => "Internal error",
    }
}
