//! One client connection: reads requests, has them answered, writes the answers, all in one task of the core that
//! accepted it.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::budget::Share;
use super::core::CoreState;
use super::exchange::{self, Begun, Serves};
use super::flight::FlightEnd;
use super::job::Job;
use super::roster::{Member, Phase};
use crate::http::{CONTINUE, HttpLimits, Progress, Reject, RequestReader};
use crate::limits::Limit;
use crate::runtime::{self, Buf, Deadline, Scope, Stream};

/// Answers of pipelined requests are gathered up to this many bytes before they are sent.
const GATHER_BYTES: usize = 64 << 10;
/// A body under construction that has grown past this is given back with the answer it grew for.
const KEPT_BODY_BYTES: usize = 64 << 10;
/// A connection that always has work lets others have the core after so many steps.
const MAX_STEPS: u32 = 64;
/// After a server-side close, this much of what the client still sends is read and thrown away, so that the reset
/// that unread bytes would cause does not destroy the answer on its way.
const LINGER_BYTES: usize = 1 << 20;
const LINGER_TIME: Duration = Duration::from_secs(1);

/// What becomes of the connection after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It serves on.
    Keep,
    /// Everything owed is sent, then it closes in order.
    Close,
    /// It is reset at once: the client is gone or does not read.
    Abort,
}

/// Why a wait for bytes ended.
enum Woken {
    Bytes(Buf),
    Eof,
    Expired,
    PhaseChanged,
    Failed,
}

pub(super) struct Connection {
    pub(super) core: Rc<CoreState>,
    pub(super) scope: Scope,
    serves: Serves,
    pub(super) stream: Stream,
    pub(super) member: Member,
    pub(super) reader: RequestReader,
    /// Answers of this turn, sent with one write.
    pub(super) out: Vec<u8>,
    /// The JSON body under construction, kept for its capacity.
    pub(super) body: Vec<u8>,
    pub(super) deadline: Deadline,
    pub(super) share: Share,
    /// Which limit the armed deadline stands for.
    waiting_for: Option<Limit>,
    /// Steps since the task last waited.
    steps: u32,
}

impl Connection {
    /// `read_ahead` was read of the stream already.
    pub(super) fn new(
        core: Rc<CoreState>,
        scope: Scope,
        stream: Stream,
        serves: Serves,
        read_ahead: Option<Buf>,
    ) -> Self {
        let mut reader = RequestReader::new(HttpLimits::from(&core.shared.limits));
        if let Some(bytes) = read_ahead {
            core.metrics().bytes_received(bytes.len());
            reader.feed(&bytes);
        }
        let share = Share::new(core.shared.budget.clone());
        let member = core.roster.enter(serves != Serves::Probes);
        Self {
            core,
            scope,
            serves,
            stream,
            member,
            reader,
            out: Vec::new(),
            body: Vec::new(),
            deadline: Deadline::new(),
            share,
            waiting_for: None,
            steps: 0,
        }
    }

    /// Serves requests until the connection ends.
    pub(super) async fn run(mut self) {
        let next = loop {
            match self.step().await {
                Next::Keep => {}
                end => break end,
            }
            self.steps += 1;
            if self.steps >= MAX_STEPS {
                self.steps = 0;
                runtime::yield_now().await;
            }
        };
        if next == Next::Abort {
            self.stream.abort();
        } else {
            self.close().await;
        }
    }

    async fn step(&mut self) -> Next {
        match self.reader.poll() {
            Progress::Ready => self.exchange().await,
            Progress::Reject(reject) => {
                let next = self.refuse(&reject);
                self.reader.consume();
                self.waiting_for = None;
                self.share.hold(self.held_bytes());
                next
            }
            Progress::NeedHead { started } => {
                let limit = if started { Limit::HeaderTime } else { Limit::IdleTime };
                self.more(limit, started).await
            }
            Progress::NeedBody { expect_continue } => {
                if !self.account() {
                    let limit = Limit::BufferedBytes;
                    return self
                        .refuse(&Reject::overloaded(limit, self.core.shared.limits.value(limit)).closing());
                }
                if expect_continue {
                    self.core.metrics().response(100);
                    self.out.extend_from_slice(CONTINUE);
                }
                self.more(Limit::BodyTime, true).await
            }
        }
    }

    /// Sends what is owed, then waits for more of the request.
    async fn more(&mut self, limit: Limit, started: bool) -> Next {
        if !self.out.is_empty() && self.flush().await == Next::Abort {
            return Next::Abort;
        }
        if self.closes_now(started) {
            return Next::Close;
        }
        // A phase of a request has one deadline, however many reads it takes.
        if self.waiting_for != Some(limit) {
            self.waiting_for = Some(limit);
            self.deadline.set_after(self.core.shared.limits.duration(limit));
        }
        match self.wait_for_bytes().await {
            Woken::Bytes(bytes) => {
                if !started {
                    self.waiting_for = None;
                }
                self.core.metrics().bytes_received(bytes.len());
                self.reader.feed(&bytes);
                Next::Keep
            }
            Woken::PhaseChanged => Next::Keep,
            // Nothing is owed, and what was answered may still be on its way: no reset.
            Woken::Eof if !started => Next::Close,
            Woken::Eof => self.refuse(&exchange::incomplete()),
            Woken::Failed => Next::Abort,
            Woken::Expired if !started => {
                self.core.metrics().hit(Limit::IdleTime);
                Next::Close
            }
            Woken::Expired => self.refuse(&Reject::timed_out(limit, self.core.shared.limits.value(limit))),
        }
    }

    fn closes_now(&self, started: bool) -> bool {
        match self.member.phase() {
            Phase::Serving | Phase::Draining => false,
            Phase::Closing => !started,
            Phase::Cancelling => true,
        }
    }

    async fn wait_for_bytes(&mut self) -> Woken {
        let phase = self.member.phase();
        poll_fn(|cx| {
            if let Poll::Ready(read) = self.stream.poll_read(cx) {
                return Poll::Ready(match read {
                    Ok(bytes) if bytes.is_empty() => Woken::Eof,
                    Ok(bytes) => Woken::Bytes(bytes),
                    Err(_) => Woken::Failed,
                });
            }
            self.steps = 0;
            self.member.watch(cx);
            if self.member.phase() != phase {
                return Poll::Ready(Woken::PhaseChanged);
            }
            self.deadline.poll_expired(cx).map(|()| Woken::Expired)
        })
        .await
    }

    async fn exchange(&mut self) -> Next {
        self.waiting_for = None;
        self.member.note_request();
        let last = self.member.phase() != Phase::Serving && self.reader.read_ahead() == 0;
        let request = self.reader.request();
        let begun = exchange::begin(&self.core, &request, self.serves, last, &mut self.body, &mut self.out);
        self.reader.consume();
        let keep = match begun {
            Begun::Done { keep } => keep,
            Begun::Apart { apart, keep } => {
                // A scope that is closing takes no new task; then the call ends unanswered with the stream.
                let _ = self.scope.spawn("call on a channel", apart.run(self.core.clone()));
                keep
            }
            Begun::Work { work, mut reply } => {
                let mut job = Job::new(work, &reply);
                // A stream has its own way to begin and to end, even where it ends at once.
                let first = match job.is_feed() {
                    true => Poll::Pending,
                    false => poll_fn(|cx| Poll::Ready(job.poll(&self.core, cx, &mut self.body))).await,
                };
                match first {
                    Poll::Ready(answer) => {
                        reply.closing = self.last_answer();
                        exchange::finish(&self.core, &reply, &answer, &self.body, &mut self.out)
                    }
                    Poll::Pending => match self.fly(job, reply).await {
                        FlightEnd::Answered { keep } => keep,
                        FlightEnd::Gone => {
                            self.core.metrics().request_ended();
                            return Next::Abort;
                        }
                    },
                }
            }
        };
        self.core.metrics().request_ended();
        self.after_answer(keep).await
    }

    async fn after_answer(&mut self, keep: bool) -> Next {
        if !keep || self.last_answer() {
            return Next::Close;
        }
        if self.body.capacity() > KEPT_BODY_BYTES {
            self.body = Vec::new();
        }
        // An answer that is there is counted, whatever is left.
        self.share.hold(self.held_bytes());
        if self.out.len() >= GATHER_BYTES { self.flush().await } else { Next::Keep }
    }

    /// Whether the answer being written is this connection's last: the server drains and has read no further request.
    pub(super) fn last_answer(&self) -> bool {
        self.member.phase() != Phase::Serving && self.reader.buffered() == 0
    }

    /// Brings the connection's share of the byte budget up to what it holds; false when the process has no more to give.
    pub(super) fn account(&mut self) -> bool {
        self.share.cover(self.held_bytes())
    }

    fn held_bytes(&self) -> usize {
        self.reader.held_bytes() + self.out.capacity() + self.body.capacity() + self.stream.staged()
    }

    fn refuse(&mut self, reject: &Reject) -> Next {
        let last = self.member.phase() != Phase::Serving && self.reader.read_ahead() == 0;
        exchange::refuse(&self.core, reject, last, &mut self.out);
        if reject.close || last { Next::Close } else { Next::Keep }
    }

    /// Hands the gathered answers to the stream and waits until the kernel has taken them.
    pub(super) async fn flush(&mut self) -> Next {
        self.stage();
        if self.stream.staged() == 0 {
            return Next::Keep;
        }
        let limit = self.core.shared.limits.duration(Limit::WriteTime);
        let mut left = usize::MAX;
        let sent = poll_fn(|cx| {
            if let Poll::Ready(sent) = self.stream.poll_flush(cx) {
                return Poll::Ready(sent.is_ok());
            }
            // Only a write that has to wait needs a deadline, and whoever reads, however slowly, gets a new one.
            if self.stream.staged() < left {
                left = self.stream.staged();
                self.waiting_for = None;
                self.deadline.set_after(limit);
            }
            self.poll_write_end(cx)
        })
        .await;
        self.share.hold(self.held_bytes());
        if sent { Next::Keep } else { Next::Abort }
    }

    fn poll_write_end(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.member.watch(cx);
        if self.deadline.poll_expired(cx).is_ready() {
            self.core.metrics().hit(Limit::WriteTime);
            return Poll::Ready(false);
        }
        Poll::Pending
    }

    /// Moves the gathered bytes into the stream and keeps an empty buffer for the next turn.
    pub(super) fn stage(&mut self) {
        if !self.out.is_empty() {
            self.core.metrics().bytes_sent(self.out.len());
            let out = std::mem::take(&mut self.out);
            self.out = self.stream.write(out);
        }
    }

    /// Sends what is owed, says that nothing follows, and reads off what the client still sends.
    async fn close(mut self) {
        if self.flush().await == Next::Abort {
            return self.stream.abort();
        }
        if self.stream.shutdown_write().is_err() {
            return;
        }
        self.deadline.set_after(LINGER_TIME);
        let mut rest = LINGER_BYTES;
        loop {
            match self.wait_for_bytes().await {
                Woken::Bytes(bytes) => rest = rest.saturating_sub(bytes.len()),
                Woken::PhaseChanged if self.member.phase() != Phase::Cancelling => {}
                _ => return,
            }
            if rest == 0 {
                return self.stream.abort();
            }
        }
    }
}
