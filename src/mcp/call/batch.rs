//! The requests of one batch (2025-03-26), which run side by side on the task of their connection.

use std::fmt;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use crate::mcp::call::running::Call;
use crate::mcp::message::answer::{Answer, Label};
use crate::mcp::session::entry::{InUse, Session};
use crate::mcp::session::replay::Replay;

/// Several requests in flight, to be polled as one [`Call`] is.
///
/// Without any event the responses are one JSON array, in the order of the requests. From the first event on each
/// response is an event too, as soon as it is there, and the last answer has no body.
pub struct Batch {
    members: Vec<Member>,
    session: InUse,
    replay: Arc<Replay>,
    status: u16,
    label: Label,
    is_stream: bool,
    /// What ended and was not counted yet.
    ended: Vec<Label>,
}

/// What a batch answers to one of its messages.
struct Member {
    call: Option<Call>,
    /// The response, once there is one.
    text: Vec<u8>,
    is_sent: bool,
}

impl Batch {
    pub(crate) fn new(session: InUse, replay: Arc<Replay>, label: Label) -> Batch {
        let (members, ended) = (Vec::new(), Vec::new());
        Batch { members, session, replay, status: 400, label, is_stream: false, ended }
    }

    /// Adds a response that is there already.
    pub(crate) fn add_answer(&mut self, text: Vec<u8>, label: Label) {
        self.members.push(Member { call: None, text, is_sent: false });
        self.ended.push(label);
    }

    /// Adds a call.
    pub(crate) fn add_call(&mut self, call: Call) {
        self.members.push(Member { call: Some(call), text: Vec::new(), is_sent: false });
    }

    /// Notes that one of the messages was a request, so that the batch as a whole is no error.
    pub(crate) fn note_request(&mut self) {
        self.status = 200;
    }

    /// Counts a message that has no answer.
    pub(crate) fn note(&mut self, label: Label) {
        self.ended.push(label);
    }

    /// True when no message has an answer.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Runs the calls on. When all have ended and every event was taken, appends the array to `out`, or nothing where
    /// the responses were events.
    pub fn poll(&mut self, cx: &mut TaskContext<'_>, out: &mut Vec<u8>) -> Poll<Answer> {
        for member in &mut self.members {
            let Some(call) = &mut member.call else { continue };
            if let Poll::Ready(answer) = call.poll(cx, &mut member.text) {
                member.call = None;
                self.ended.push(answer.label);
            }
        }
        if self.running() > 0 || (self.is_stream && self.members.iter().any(|member| !member.is_sent)) {
            return Poll::Pending;
        }
        if self.is_stream {
            return Poll::Ready(Answer::empty(200, self.label));
        }
        for (index, member) in self.members.iter().enumerate() {
            out.push(if index == 0 { b'[' } else { b',' });
            out.extend_from_slice(&member.text);
        }
        out.push(b']');
        Poll::Ready(Answer::with_body(self.status, self.label))
    }

    /// Appends the next event: a notification of one of the calls, or, once there was any, a response.
    pub fn poll_event(&mut self, cx: &mut TaskContext<'_>, out: &mut Vec<u8>) -> Poll<()> {
        let calls = self.members.iter_mut().filter_map(|member| member.call.as_mut());
        for call in calls {
            if call.poll_event(cx, out).is_ready() {
                self.is_stream = true;
                return Poll::Ready(());
            }
        }
        let is_stream = self.is_stream;
        let ready = |member: &&mut Member| is_stream && member.call.is_none() && !member.is_sent;
        let Some(member) = self.members.iter_mut().find(ready) else { return Poll::Pending };
        out.append(&mut member.text);
        member.text = Vec::new();
        member.is_sent = true;
        Poll::Ready(())
    }

    /// True while an event waits to be taken.
    pub fn has_events(&self) -> bool {
        self.calls().any(Call::has_events)
            || (self.is_stream && self.members.iter().any(|member| member.call.is_none() && !member.is_sent))
    }

    /// How many calls run.
    pub fn running(&self) -> usize {
        self.calls().count()
    }

    /// When the first of the calls has to be stopped for taking too long.
    pub fn expires_at(&self) -> Option<Instant> {
        self.calls().filter_map(Call::expires_at).min()
    }

    /// Stops the calls whose time is up, and waits for answers whose time is up; poll again.
    pub fn expire(&mut self, now: Instant) {
        for member in &mut self.members {
            let Some(call) = &mut member.call else { continue };
            if let Poll::Ready(answer) = call.poll_expired(now, &mut member.text) {
                member.call = None;
                self.ended.push(answer.label);
            }
        }
    }

    /// Ends the wait for the client's answers, because nobody can bring it the questions; true when there was any. Poll
    /// again.
    pub fn refuse_questions(&mut self) -> bool {
        let calls = self.members.iter_mut().filter_map(|member| member.call.as_mut());
        calls.filter_map(|call| call.refuse_question().then_some(())).count() > 0
    }

    /// Stops every call, because the server stops; poll again.
    pub fn cancel(&mut self) {
        for member in &mut self.members {
            if let Some(mut call) = member.call.take() {
                self.ended.push(call.cancelled_answer(&mut member.text).label);
            }
        }
    }

    /// The next message that ended and was not counted yet.
    pub fn take_ended(&mut self) -> Option<Label> {
        self.ended.pop()
    }

    /// How often an event of one of the calls found `max_stream_queue_bytes` used up.
    pub fn times_queue_full(&self) -> u32 {
        self.calls().map(Call::times_queue_full).sum()
    }

    /// What to count for the batch as a whole.
    pub fn label(&self) -> Label {
        self.label
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session.0
    }

    pub(crate) fn replay(&self) -> &Arc<Replay> {
        &self.replay
    }

    fn calls(&self) -> impl Iterator<Item = &Call> {
        self.members.iter().filter_map(|member| member.call.as_ref())
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("members", &self.members.len()).finish_non_exhaustive()
    }
}
