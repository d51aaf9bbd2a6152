//! From a frame to its answer, or to a flight.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_lite::FutureExt;
use tracing::Span;

use super::ahead::{Ahead, Read};
use super::flight::{Begun, Flight, ask_task_queue};
use super::host::{McpHost, PeerGate};
use super::outlet::Outlet;
use crate::limits::Limit;
use crate::mcp::peer::{AnswerForm, Gate, Look, PeerSession, RpcCall, Taken, With};
use crate::mcp::{Access, At, Call, ErrorKind, Label, SmallText};
use crate::p2p::Remote;
use crate::p2p::frame::{OpenFrame, write_frame};
use crate::server::core::CoreState;
use crate::server::job::{Job, Work};

/// Everything about a stream but its bytes.
pub(super) struct Requests {
    pub(super) host: Rc<McpHost>,
    pub(super) outlet: Rc<Outlet>,
    pub(super) session: PeerSession,
    /// What was read and has no room yet.
    pub(super) ahead: Ahead,
    remote: Rc<Remote>,
    gate: Rc<dyn PeerGate>,
    /// What the peer may do without a token.
    access: Access,
}

impl Drop for Requests {
    /// Whatever is still in progress has nobody to answer.
    fn drop(&mut self) {
        self.outlet.order(super::outlet::Order::Leave);
    }
}

/// Whether the stream goes on after a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Serving,
    /// Nothing more is read.
    Ending,
}

/// What the answer to a message needs.
struct Reply {
    form: AnswerForm,
    begun_at: Instant,
    frame: OpenFrame,
}

/// The gate of a peer at one moment.
struct GateAt<'a> {
    gate: &'a dyn PeerGate,
    core: &'a CoreState,
    now: Instant,
}

impl Gate for GateAt<'_> {
    fn admit(&self) -> Result<(), ErrorKind> {
        if self.core.shared.budget.is_full_for_peers() {
            return Err(ErrorKind::BufferedFull);
        }
        self.gate.admit(self.now).map_err(|limit| match limit {
            Limit::P2pRequestRate => ErrorKind::PeerRate,
            _ => ErrorKind::TotalRate,
        })
    }

    fn access(&self, token: &str) -> Access {
        self.gate.access(Some(token))
    }
}

impl Requests {
    pub(super) fn new(host: Rc<McpHost>, remote: Rc<Remote>, gate: Rc<dyn PeerGate>) -> Requests {
        let max_bytes = host.core.shared.limits.max_stream_queue_bytes as usize;
        let access = gate.access(None);
        let (outlet, session, ahead) = (Outlet::new(max_bytes), PeerSession::new(), Ahead::default());
        Requests { host, outlet, session, ahead, remote, gate, access }
    }

    /// How many requests may be in progress at once.
    pub(super) fn most_in_progress(&self) -> usize {
        match self.session.is_sequential() {
            true => 1,
            false => self.host.core.shared.limits.max_p2p_stream_requests as usize,
        }
    }

    /// Whether one more request may begin, where `unsent` bytes wait to be sent already.
    pub(super) fn has_room(&self, unsent: usize) -> bool {
        let max_bytes = self.host.core.shared.limits.max_stream_queue_bytes as usize;
        let queued = self.outlet.queued_bytes();
        self.outlet.in_progress() < self.most_in_progress()
            && unsent + queued < max_bytes
            // An answer that was not collected yet stands before that to the next request.
            && (queued == 0 || !self.session.is_sequential())
    }

    /// Puts a message aside that has no room yet. False for one that must not wait, because what is in progress may wait
    /// for it: an answer to a question, or a cancellation.
    pub(super) fn put_aside(&mut self, frame: &[u8]) -> bool {
        match self.session.look(&self.host.core.dispatcher, frame) {
            Look::Asks(id) => self.ahead.push(id, frame),
            Look::Tells => return false,
        }
        true
    }

    /// Takes what was put aside first.
    pub(super) fn take_aside(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> After {
        match self.ahead.pop() {
            Some(Read::Message(frame)) => self.take(&frame, cx, out),
            Some(Read::Broken(kind, sentence)) => {
                self.refuse_frame(kind, sentence, out);
                After::Ending
            }
            None => After::Serving,
        }
    }

    /// Takes one frame. What is answered at once is appended to `out`; the rest has a flight of its own.
    pub(super) fn take(&mut self, frame: &[u8], cx: &mut Context<'_>, out: &mut Vec<u8>) -> After {
        let host = self.host.clone();
        let core = &*host.core;
        let begun_at = Instant::now();
        core.metrics().request_started();
        let at = At {
            now: begun_at,
            core: core.index,
            principal: &self.remote.principal,
            full: core.shared.inflight.is_full(),
            traceparent: None,
            access: self.access,
        };
        let gate = &GateAt { gate: &*self.gate, core, now: begun_at };
        let with = With { dispatcher: &core.dispatcher, options: &host.options, at, gate };
        let frame_out = OpenFrame::begin(out);
        let taken = self.session.take(&with, frame, out);
        let reply = Reply { form: self.session.form(&host.options), begun_at, frame: frame_out };
        self.answer(taken, reply, cx, out)
    }

    /// Does what becomes of a message.
    fn answer(&mut self, taken: Taken<'_>, reply: Reply, cx: &mut Context<'_>, out: &mut Vec<u8>) -> After {
        let Reply { form, begun_at, frame } = reply;
        match taken {
            Taken::Answer(label) => {
                frame.finish(out);
                self.end(&label, begun_at);
            }
            Taken::Last(label) => {
                frame.finish(out);
                self.end(&label, begun_at);
                return After::Ending;
            }
            Taken::Call(call) => self.call(call, Reply { form, begun_at, frame }, cx, out),
            Taken::Silent(label) => {
                frame.discard(out);
                self.end(&label, begun_at);
            }
            Taken::Cancel(id, label) => {
                frame.discard(out);
                self.outlet.cancel(id);
                self.ahead.cancel(id);
                self.end(&label, begun_at);
            }
            Taken::Batch(batch) => {
                frame.discard(out);
                let flight = self.flight(Work::Batch(Box::new(batch)), None, form, begun_at);
                // A cancellation finds only what has begun.
                self.begin("batch of a peer", flight.run(), cx);
            }
            Taken::Feed(feed, id) => {
                frame.discard(out);
                self.fly(Work::Feed(Box::new(feed)), Some(id), form, begun_at);
            }
            Taken::TaskQueue(call) => {
                frame.discard(out);
                self.ask_task_queue(call, form, begun_at, cx);
            }
        }
        After::Serving
    }

    /// Answers a call that ends at its first poll right here; it costs no task.
    fn call(&self, mut call: Call, reply: Reply, cx: &mut Context<'_>, out: &mut Vec<u8>) {
        let Reply { form, begun_at, frame } = reply;
        let polled = {
            let _activity = call.label().tool.map(|tool| self.host.core.activity.enter(tool));
            call.poll(cx, out)
        };
        match polled {
            Poll::Ready(ended) => {
                let label = form.finish(out, frame.body_start(), Some(call.id()), ended.label);
                frame.finish(out);
                self.end(&label, begun_at);
            }
            Poll::Pending => {
                frame.discard(out);
                let id = SmallText::from(call.id());
                self.fly(Work::Call(Box::new(call)), Some(id.as_str()), form, begun_at);
            }
        }
    }

    fn fly(&self, work: Work, id: Option<&str>, form: AnswerForm, begun_at: Instant) {
        let flight = self.flight(work, id, form, begun_at);
        // A scope that is closing takes no new task; the stream closes with it.
        let _ = self.host.scope.spawn("request of a peer", self.guard(flight.run()));
    }

    fn flight(&self, work: Work, id: Option<&str>, form: AnswerForm, begun_at: Instant) -> Flight {
        Flight::new(self.begun(id, form, begun_at), Job::begun(work, Span::none(), begun_at))
    }

    fn ask_task_queue(&self, call: RpcCall, form: AnswerForm, begun_at: Instant, cx: &mut Context<'_>) {
        let begun = self.begun(Some(call.id.as_str()), form, begun_at);
        self.begin("task queue request of a peer", ask_task_queue(begun, call, self.remote.clone()), cx);
    }

    /// Runs a task to its first wait right here; only what waits costs a task.
    fn begin(&self, name: &'static str, task: impl Future<Output = ()> + 'static, cx: &mut Context<'_>) {
        let mut task = Box::pin(self.guard(task));
        if task.as_mut().poll(cx).is_pending() {
            let _ = self.host.scope.spawn(name, task);
        }
    }

    /// Runs a task of the stream; a panic in our own code costs the stream and nobody else.
    fn guard(&self, task: impl Future<Output = ()> + 'static) -> impl Future<Output = ()> + 'static {
        let (host, outlet) = (self.host.clone(), self.outlet.clone());
        async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                host.note_panic();
                outlet.fail();
            }
        }
    }

    fn begun(&self, id: Option<&str>, form: AnswerForm, begun_at: Instant) -> Begun {
        let (host, outlet) = (self.host.clone(), self.outlet.clone());
        let ticket = outlet.enter(id);
        Begun { host, outlet, ticket, form, begun_at }
    }

    /// Refuses a stream that cannot be read on.
    pub(super) fn refuse_frame(&self, kind: ErrorKind, sentence: String, out: &mut Vec<u8>) {
        let answer = OpenFrame::begin(out);
        let taken = self.session.refuse_frame(kind, sentence, out);
        answer.finish(out);
        if let Taken::Last(label) = taken {
            self.host.core.record(&label, Instant::now());
        }
    }

    /// Appends what the peer is told without having asked, as far as there is room; true when there was any.
    pub(super) fn take_notices(&self, cx: &Context<'_>, out: &mut Vec<u8>, room: usize) -> bool {
        let mut any = false;
        while out.len() < room {
            let mut notice = Vec::new();
            if self.session.poll_notice(cx, &mut notice).is_pending() {
                break;
            }
            write_frame(out, &notice);
            any = true;
        }
        any
    }

    fn end(&self, label: &Label, begun_at: Instant) {
        let core = &self.host.core;
        core.record(label, begun_at);
        core.metrics().request_ended();
        tracing::debug!(
            peer = %self.remote.principal,
            method = label.method.as_str(),
            error = label.error.map(|error| error.as_str()),
            "answered"
        );
    }
}
