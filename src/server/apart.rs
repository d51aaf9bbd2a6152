//! A call of a session that goes on without the connection it came on: its client has gone, or reads its events from the
//! session's stream, on this connection or on another.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::core::CoreState;
use super::flight::MAX_TURNS;
use super::job::Job;
use super::roster::Phase;
use crate::limits::Limit;
use crate::limits::Place;
use crate::mcp::{Answer, SessionStream};
use crate::runtime::Deadline;

/// A job and where its events go.
pub(super) struct Apart {
    job: Job,
    /// None when its client went away before the first event, and so cannot come back for the answer.
    stream: Option<SessionStream>,
    body: Vec<u8>,
    /// The limit that was counted already.
    hit: Option<Limit>,
    _places: Vec<Place>,
}

impl Apart {
    pub(super) fn new(job: Job, stream: Option<SessionStream>, places: Vec<Place>) -> Self {
        Self { job, stream, body: Vec::new(), hit: None, _places: places }
    }

    /// Runs the job to its end, or until its time is up or the server stops.
    pub(super) async fn run(mut self, core: Rc<CoreState>) {
        let member = core.roster.enter(true);
        let deadline = Deadline::new();
        let answer = poll_fn(|cx| {
            if let Poll::Ready(answer) = self.poll(&core, cx) {
                return Poll::Ready(answer);
            }
            member.watch(cx);
            if member.phase() == Phase::Cancelling {
                return self.job.cancel(cx, &mut self.body);
            }
            match self.job.expires_at() {
                Some(at) => deadline.set(at),
                None => deadline.clear(),
            }
            match deadline.poll_expired(cx) {
                Poll::Ready(()) => self.job.expire(std::time::Instant::now(), cx, &mut self.body),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        self.finish(&core, &answer);
    }

    /// Runs the job on and moves its events.
    fn poll(&mut self, core: &CoreState, cx: &mut Context<'_>) -> Poll<Answer> {
        for _ in 0..MAX_TURNS {
            self.body.clear();
            if let Poll::Ready(answer) = self.job.poll(core, cx, &mut self.body) {
                return Poll::Ready(answer);
            }
            let mut moved = false;
            while self.has_room(cx) && self.job.poll_event(cx, &mut self.body).is_ready() {
                moved = true;
                self.keep(core);
            }
            if !moved && !self.refuses_questions() {
                self.hang_up();
                return Poll::Pending;
            }
        }
        // A tool that never stops sending shares its core.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Events that nobody can read have room: taking them keeps the tool from waiting.
    fn has_room(&self, cx: &Context<'_>) -> bool {
        self.stream.as_ref().is_none_or(|stream| stream.poll_room(cx).is_ready())
    }

    /// Without a stream no question reaches the client, and the handler need not wait; true when it did.
    fn refuses_questions(&mut self) -> bool {
        self.stream.is_none() && self.job.refuse_questions()
    }

    fn keep(&mut self, core: &CoreState) {
        if let Some(stream) = &self.stream {
            let hit = stream.write(std::mem::take(&mut self.body));
            self.note(core, hit);
        }
    }

    fn hang_up(&self) {
        if let Some(stream) = &self.stream
            && self.job.take_hang_up()
        {
            stream.hang_up();
        }
    }

    fn finish(&mut self, core: &CoreState, answer: &Answer) {
        let last = answer.has_body.then(|| std::mem::take(&mut self.body));
        if let Some(stream) = &mut self.stream {
            let hit = stream.finish(last);
            self.note(core, hit);
        }
        core.record(&answer.label, self.job.begun_at);
    }

    /// Counts a limit that made events go, once a job.
    fn note(&mut self, core: &CoreState, hit: Option<Limit>) {
        if let (Some(limit), None) = (hit, self.hit) {
            core.metrics().hit(limit);
            self.hit = hit;
        }
    }
}
