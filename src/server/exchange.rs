//! From a parsed request to its answer's bytes, without a socket: the part that connections and the socketless
//! [`App`](super::App) share.

use std::time::Instant;

use tracing::{Level, Span, field};

use super::apart::Apart;
use super::core::CoreState;
use super::job::{Job, Work};
use super::{probes, sse};
use crate::http::{
    self, CorsGrant, EventStream, HttpDate, JSON, Method, Reject, Request, ResponseHead, write_response,
};
use crate::limits::Limit;
use crate::mcp::{
    Access, Answer, At, Call, EventHead, HeaderLookup, Outcome, RequestHead, SessionStream, Transport,
};
use crate::observe::TraceContext;

/// The name of the one principal there is without authentication.
const ANONYMOUS: &str = "anonymous";
/// The methods of the MCP endpoint.
const ALLOW: &str = "POST, GET, DELETE, OPTIONS";

/// What a listener's connections may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serves {
    /// MCP and the probes.
    Everything,
    /// MCP; the probes have a listener of their own.
    Mcp,
    /// The probes alone.
    Probes,
}

/// How far a request came at once.
pub(crate) enum Begun {
    /// Its answer is written; `keep` says whether the connection may serve on.
    Done { keep: bool },
    /// Something runs; the caller polls it.
    Work { work: Work, reply: Reply },
    /// Its answer is written, and a call runs on; `keep` says whether the connection may serve on.
    Apart { apart: Apart, keep: bool },
}

/// What the answer of a request needs to know of the request, after the request's bytes are gone.
pub(crate) struct Reply {
    keep_alive: bool,
    http_1_0: bool,
    head_only: bool,
    origin: Option<Box<str>>,
    pub(crate) begun_at: Instant,
    /// Names the request in log lines, where one is wanted.
    pub(crate) span: Span,
    /// Set where the server wants this answer to be the connection's last.
    pub(crate) closing: bool,
}

impl Reply {
    /// Gives a request that takes time its name for the log.
    pub(crate) fn name_late(&mut self, core: &CoreState) {
        if self.span.is_none() {
            self.span = tracing::info_span!("request", id = %core.ids.next_id());
        }
    }

    fn new(core: &CoreState, request: &Request<'_>) -> Self {
        Self {
            keep_alive: request.keep_alive,
            http_1_0: request.http_1_0,
            head_only: request.method == Method::Head,
            origin: None,
            begun_at: Instant::now(),
            span: request_span(core, request),
            closing: false,
        }
    }

    fn keep(&self) -> bool {
        self.keep_alive && !self.closing
    }

    pub(super) fn head<'a>(&'a self, status: u16, date: &'a HttpDate) -> ResponseHead<'a> {
        ResponseHead {
            status,
            close: !self.keep(),
            http_1_0: self.http_1_0,
            head_only: self.head_only,
            date: Some(date),
            cors: CorsGrant { origin: self.origin.as_deref() },
            ..ResponseHead::default()
        }
    }
}

/// A request has a span from its start when its client traces it or the log wants every request; otherwise only one that
/// takes time gets one, see [`Reply::name_late`]. The usual request pays for none.
fn request_span(core: &CoreState, request: &Request<'_>) -> Span {
    let trace = request.fields.traceparent.and_then(TraceContext::parse);
    if trace.is_none() && !tracing::enabled!(Level::DEBUG) {
        return Span::none();
    }
    let span = tracing::info_span!("request", id = %core.ids.next_id(), traceparent = field::Empty);
    if let Some(trace) = trace {
        span.record("traceparent", field::display(trace));
    }
    span
}

/// Answers one request, or starts its handler. `last` asks that the answer close its connection.
pub(crate) fn begin(
    core: &CoreState,
    request: &Request<'_>,
    serves: Serves,
    last: bool,
    body: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Begun {
    body.clear();
    core.metrics().request_started();
    let mut reply = Reply::new(core, request);
    reply.closing = last;
    if serves != Serves::Mcp && probes::answer(core, request, &reply, out) {
        return Begun::Done { keep: reply.keep() };
    }
    if serves == Serves::Probes {
        let reject =
            Reject::new(404, "not_found", "this address serves /health, /livez, /readyz and /metrics");
        return done(core, &reply, &reject, out);
    }
    match core.shared.access.check(&request.fields) {
        Ok(cors) => reply.origin = cors.origin.map(Into::into),
        Err(reject) => return done(core, &reply, &reject, out),
    }
    if request.path != core.shared.config.mount_path {
        if sse::serves(core, request) {
            return sse::route(core, request, reply, body, out);
        }
        let message = format!("nothing is served at this path; MCP is at {}", core.shared.config.mount_path);
        return done(core, &reply, &Reject::new(404, "not_found", message), out);
    }
    route(core, request, reply, body, out)
}

/// Who asks, and when.
pub(super) fn at<'a>(core: &CoreState, request: &Request<'a>, reply: &Reply) -> At<'a> {
    At {
        now: reply.begun_at,
        core: core.index,
        principal: ANONYMOUS,
        full: core.shared.inflight.is_full(),
        traceparent: request.fields.traceparent,
        access: Access::Full,
    }
}

fn route(
    core: &CoreState,
    request: &Request<'_>,
    reply: Reply,
    body: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Begun {
    let at = at(core, request, &reply);
    let lookup = Headers(request);
    let head = mcp_head(request, &lookup);
    let dispatcher = &core.dispatcher;
    let span = reply.span.clone();
    let _entered = span.enter();
    let outcome = match request.method {
        Method::Post if core.shared.budget.is_full() => return refuse_bytes(core, &reply, out),
        Method::Post => dispatcher.post(&head, request.body, &at, body),
        Method::Get => dispatcher.get(&head, &at, body),
        Method::Delete => dispatcher.delete(&head, &at, body),
        Method::Options => return preflight(core, request, &reply, out),
        _ => return done(core, &reply, &Reject::method_not_allowed(ALLOW), out),
    };
    begun(core, reply, outcome, body, out)
}

/// The refusal of a request that there are no bytes for.
pub(super) fn refuse_bytes(core: &CoreState, reply: &Reply, out: &mut Vec<u8>) -> Begun {
    let limit = Limit::BufferedBytes;
    done(core, reply, &Reject::overloaded(limit, core.shared.limits.value(limit)), out)
}

/// Writes what is answered at once.
pub(super) fn begun(
    core: &CoreState,
    reply: Reply,
    outcome: Outcome,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Begun {
    match outcome {
        Outcome::Answer(answer) => Begun::Done { keep: finish(core, &reply, &answer, body, out) },
        Outcome::Call(call) => Begun::Work { work: Work::Call(Box::new(call)), reply },
        Outcome::Batch(batch) => Begun::Work { work: Work::Batch(Box::new(batch)), reply },
        Outcome::Feed(feed) => Begun::Work { work: Work::Feed(Box::new(feed)), reply },
    }
}

/// Accepts a message whose call runs on by itself.
pub(super) fn accepted(
    core: &CoreState,
    mut reply: Reply,
    call: Box<Call>,
    stream: SessionStream,
    out: &mut Vec<u8>,
) -> Begun {
    write_response(out, &reply.head(202, &core.date()), &[]);
    core.metrics().response(202);
    reply.name_late(core);
    let job = Job::new(Work::Call(call), &reply);
    let places = job.places(&core.shared.inflight);
    Begun::Apart { apart: Apart::new(job, Some(stream), places), keep: reply.keep() }
}

/// The header fields MCP looks at.
pub(super) fn mcp_head<'a>(request: &'a Request<'_>, lookup: &'a Headers<'_, '_>) -> RequestHead<'a> {
    let fields = &request.fields;
    RequestHead {
        transport: Transport::Http,
        content_type: fields.content_type,
        accept: fields.accept,
        protocol_version: fields.mcp_protocol_version,
        method: fields.mcp_method,
        name: fields.mcp_name,
        session_id: fields.mcp_session_id,
        last_event_id: fields.last_event_id,
        params: lookup,
    }
}

/// Any other header, for the few tools that mirror arguments into headers.
pub(super) struct Headers<'a, 'b>(pub(super) &'a Request<'b>);

impl HeaderLookup for Headers<'_, '_> {
    fn find(&self, name: &str) -> Option<&[u8]> {
        self.0.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

pub(super) fn preflight(core: &CoreState, request: &Request<'_>, reply: &Reply, out: &mut Vec<u8>) -> Begun {
    let date = core.date();
    let head = reply.head(204, &date);
    http::write_options(out, &request.fields, head.cors, ALLOW, &head);
    core.metrics().response(204);
    Begun::Done { keep: reply.keep() }
}

/// Writes a refusal; the connection serves on unless the refusal says otherwise.
pub(super) fn done(core: &CoreState, reply: &Reply, reject: &Reject, out: &mut Vec<u8>) -> Begun {
    note_reject(core, reject);
    http::write_reject(out, reject, &reply.head(reject.status, &core.date()));
    Begun::Done { keep: reply.keep() && !reject.close }
}

/// The refusal of a request whose client stopped sending in its middle.
pub(crate) fn incomplete() -> Reject {
    Reject::new(400, "incomplete_request", "the connection was closed before the request was complete")
        .closing()
}

/// Writes a refusal of bytes that never became a request, and of requests the reader refused.
pub(crate) fn refuse(core: &CoreState, reject: &Reject, last: bool, out: &mut Vec<u8>) {
    note_reject(core, reject);
    let date = core.date();
    let base = ResponseHead { close: last, date: Some(&date), ..ResponseHead::default() };
    http::write_reject(out, reject, &base);
}

fn note_reject(core: &CoreState, reject: &Reject) {
    core.metrics().response(reject.status);
    if let Some((limit, _)) = reject.limit {
        core.metrics().hit(limit);
    }
    tracing::debug!(
        core = core.index,
        status = reject.status,
        code = reject.code,
        "refused: {}",
        reject.message
    );
}

/// Writes a complete answer; true when the connection may serve on.
pub(crate) fn finish(
    core: &CoreState,
    reply: &Reply,
    answer: &Answer,
    body: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    let date = core.date();
    let head = ResponseHead {
        content_type: answer.has_body.then_some(JSON),
        session_id: answer.session_id.as_ref().map(|id| id.as_str()),
        allow: answer.allow,
        retry_after_s: answer.retry_after_s,
        ..reply.head(answer.status, &date)
    };
    write_response(out, &head, if answer.has_body { body } else { &[] });
    note_answer(answer, reply);
    core.metrics().response(answer.status);
    core.record(&answer.label, reply.begun_at);
    reply.keep()
}

fn note_answer(answer: &Answer, reply: &Reply) {
    tracing::debug!(
        parent: &reply.span,
        method = answer.label.method.as_str(),
        status = answer.status,
        error = answer.label.error.map(|error| error.as_str()),
        duration_us = reply.begun_at.elapsed().as_micros() as u64,
        "answered"
    );
}

/// Begins an event stream.
pub(crate) fn begin_stream(core: &CoreState, reply: &Reply, out: &mut Vec<u8>) -> EventStream {
    core.metrics().response(200);
    http::write_sse_head(out, &reply.head(200, &core.date()))
}

/// Writes one event of an event stream.
pub(crate) fn write_event(stream: EventStream, head: EventHead, body: &[u8], out: &mut Vec<u8>) {
    if let Some(name) = head.name {
        return stream.named_event(out, name, body);
    }
    let id = head.id.map(|id| id.to_string());
    stream.event_with_retry(out, id.as_deref(), head.retry_ms, body);
}

/// Writes the last message of an event stream; true when the connection may serve on.
pub(crate) fn finish_stream(
    reply: &Reply,
    stream: EventStream,
    answer: &Answer,
    body: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    if answer.has_body {
        stream.event(out, None, body);
    }
    stream.end(out);
    note_answer(answer, reply);
    reply.keep() && !stream.ends_with_connection()
}
