//! How long a stream may keep the server waiting, and for what.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::limits::{Limit, Limits};
use crate::runtime::{Deadline, coarse_now};

/// How often that is.
const LOOK_TIME: Duration = Duration::from_millis(500);

/// What a stream waits for, and since when. One deadline stands for all of it: it is moved only where it would come too
/// late, and looked at anew when it comes.
pub(super) struct Waits {
    deadline: Deadline,
    /// The rest of a frame.
    frame: Option<Instant>,
    /// The peer to read.
    write: Option<Instant>,
    /// Anything at all.
    idle: Option<Instant>,
}

/// What a stream waits for now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) frame: bool,
    pub(super) write: bool,
    pub(super) idle: bool,
    /// To look whether the peer is still there, which nobody is told of who does not read.
    pub(super) look: bool,
}

impl Waits {
    pub(super) fn new() -> Waits {
        Waits { deadline: Deadline::new(), frame: None, write: None, idle: None }
    }

    /// The peer has read something.
    pub(super) fn has_read(&mut self) {
        self.write = None;
    }

    /// A request has come.
    pub(super) fn has_asked(&mut self) {
        self.idle = None;
        self.frame = None;
    }

    /// Ready with the limit that is over. The task is woken when the next one may be.
    pub(super) fn poll(&mut self, waiting: Waiting, limits: &Limits, cx: &mut Context<'_>) -> Poll<Limit> {
        let now = coarse_now();
        since(&mut self.frame, waiting.frame, now);
        since(&mut self.write, waiting.write, now);
        since(&mut self.idle, waiting.idle, now);
        let waits = [
            (self.frame, Limit::P2pRequestTime),
            (self.write, Limit::WriteTime),
            (self.idle, Limit::P2pStreamIdleTime),
        ];
        let ends = |(since, limit): &(Option<Instant>, Limit)| {
            Some((since.as_ref()?.checked_add(limits.duration(*limit))?, *limit))
        };
        let next = waits.iter().filter_map(ends).min_by_key(|(at, _)| *at);
        if let Some((at, limit)) = next
            && at <= now
        {
            return Poll::Ready(limit);
        }
        let look = waiting.look.then(|| now + LOOK_TIME);
        match next.map(|(at, _)| at).into_iter().chain(look).min() {
            Some(at) => self.arm(at, now, cx),
            None => self.deadline.clear(),
        }
        Poll::Pending
    }

    fn arm(&self, at: Instant, now: Instant, cx: &mut Context<'_>) {
        if self.deadline.at().is_none_or(|armed| armed > at || armed <= now) {
            self.deadline.set(at);
        }
        if self.deadline.poll_expired(cx).is_ready() {
            // It stood for something that is over.
            self.deadline.set(at);
            let _ = self.deadline.poll_expired(cx);
        }
    }
}

fn since(slot: &mut Option<Instant>, waits: bool, now: Instant) {
    if waits {
        slot.get_or_insert(now);
    } else {
        *slot = None;
    }
}
