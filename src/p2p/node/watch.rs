//! When a connection is asked who it is, closed or given up: a plain state machine over the time that is passed in.

use std::time::{Duration, Instant};

use super::{CLOSE_TIME, Life};

/// A connection that lives this long is asked who its peer is. Most connections of a peer that comes for one call are
/// over by then, and the answer would serve nobody.
const IDENTIFY_AFTER: Duration = Duration::from_secs(1);
/// Once the node drains, streams are taken for this long: what the peer sent before it could know.
pub(super) const LAST_STREAMS_TIME: Duration = Duration::from_millis(250);

/// The times that are configured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// How long it may be without a stream.
    pub(super) idle: Duration,
    /// How long it may take nothing of what waits to be sent.
    pub(super) write: Duration,
}

/// What a connection looks like now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Open streams of both sides.
    pub(super) streams: usize,
    /// Whether this node dialled it.
    pub(super) dialled: bool,
    /// Where something waits to be sent: a number that changes when some of it goes out.
    pub(super) stalled: Option<u64>,
    /// Whether it was told to close, which it does once it has no streams.
    pub(super) ending: bool,
    pub(super) life: Life,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Look again when the time that [`Watch::next`] names has come, or when something has changed.
    Wait,
    /// Ask who the peer is.
    Identify,
    /// Close it in order: it was without streams for too long.
    CloseIdle,
    /// Close it in order: the node ends.
    Close,
    /// End it at once: the peer does not read.
    AbortSlow,
    /// End it at once: it was to close and did not.
    Abort,
}

/// The memory of the watch over one connection.
#[derive(Debug)]
pub(super) struct Watch {
    times: Times,
    busy_at: Instant,
    identify_at: Option<Instant>,
    stall: Option<(u64, Instant)>,
    /// Since when it is closing and has nothing left to wait for but the peer.
    closing_since: Option<Instant>,
}

impl Watch {
    pub(super) fn new(times: Times, now: Instant) -> Watch {
        let identify_at = Some(now + IDENTIFY_AFTER);
        Watch { times, busy_at: now, identify_at, stall: None, closing_since: None }
    }

    /// Decides. After everything but [`Act::Wait`] it wants to look again.
    pub(super) fn look(&mut self, now: Instant, seen: &Seen) -> Act {
        self.stall = seen.stalled.map(|progress| match self.stall {
            Some((before, since)) if before == progress => (progress, since),
            _ => (progress, now),
        });
        if self.stall.is_some_and(|(_, since)| now >= since + self.times.write) {
            return Act::AbortSlow;
        }
        if seen.ending {
            return self.look_at_end(now, seen);
        }
        if seen.streams > 0 {
            self.busy_at = now;
        }
        match seen.life {
            Life::Closing => Act::Close,
            // What is in progress elsewhere may need the connections that this node dialled to come to its end.
            Life::Draining(since) if !seen.dialled && now >= since + LAST_STREAMS_TIME => Act::Close,
            Life::Serving if self.identify_at.is_some_and(|at| now >= at) => {
                self.identify_at = None;
                Act::Identify
            }
            Life::Serving if now >= self.busy_at + self.times.idle => Act::CloseIdle,
            _ => Act::Wait,
        }
    }

    fn look_at_end(&mut self, now: Instant, seen: &Seen) -> Act {
        let hurried = seen.life == Life::Closing;
        let waits = !hurried && (seen.streams > 0 || seen.stalled.is_some());
        if waits {
            self.closing_since = None;
            return Act::Wait;
        }
        let since = *self.closing_since.get_or_insert(now);
        if now >= since + CLOSE_TIME / 2 { Act::Abort } else { Act::Wait }
    }

    /// The next time at which a look may decide something, as far as the time alone brings it about.
    pub(super) fn next(&self, seen: &Seen) -> Option<Instant> {
        let stall = self.stall.map(|(_, since)| since + self.times.write);
        let due = match seen.life {
            _ if seen.ending => self.closing_since.map(|since| since + CLOSE_TIME / 2),
            Life::Serving => {
                let idle = (seen.streams == 0).then_some(self.busy_at + self.times.idle);
                self.identify_at.into_iter().chain(idle).min()
            }
            Life::Draining(since) => (!seen.dialled).then_some(since + LAST_STREAMS_TIME),
            Life::Closing => None,
        };
        stall.into_iter().chain(due).min()
    }
}

/// Whether a node takes a stream that a peer opens.
pub(super) fn takes_streams(life: Life, now: Instant) -> bool {
    match life {
        Life::Serving => true,
        Life::Draining(since) => now < since + LAST_STREAMS_TIME,
        Life::Closing => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Seen =
        Seen { streams: 0, dialled: false, stalled: None, ending: false, life: Life::Serving };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn watch() -> (Watch, Instant) {
        let start = Instant::now();
        (Watch::new(Times { idle: ms(5_000), write: ms(2_000) }, start), start)
    }

    #[test]
    fn it_is_asked_once_who_it_is_and_closed_when_idle() {
        let (mut watch, start) = watch();
        assert_eq!(watch.look(start, &QUIET), Act::Wait);
        assert_eq!(watch.next(&QUIET), Some(start + ms(1_000)));
        assert_eq!(watch.look(start + ms(1_000), &QUIET), Act::Identify);
        assert_eq!(watch.look(start + ms(1_000), &Seen { streams: 1, ..QUIET }), Act::Wait);
        assert_eq!(watch.next(&Seen { streams: 1, ..QUIET }), None, "a stream keeps it");
        assert_eq!(watch.look(start + ms(5_999), &QUIET), Act::Wait);
        assert_eq!(watch.next(&QUIET), Some(start + ms(6_000)));
        assert_eq!(watch.look(start + ms(6_000), &QUIET), Act::CloseIdle);
    }

    #[test]
    fn a_connection_that_is_always_busy_is_never_idle() {
        let (mut watch, start) = watch();
        watch.look(start + ms(1_000), &QUIET);
        for second in 1..100 {
            assert_eq!(watch.look(start + ms(1_000 * second), &Seen { streams: 2, ..QUIET }), Act::Wait);
        }
    }

    #[test]
    fn whoever_reads_however_slowly_is_not_given_up() {
        let (mut watch, start) = watch();
        let stalled = |progress| Seen { streams: 1, stalled: Some(progress), ..QUIET };
        for round in 0..10 {
            let at = start + ms(1_900 * round);
            assert_ne!(watch.look(at, &stalled(round)), Act::AbortSlow);
        }
        let last = start + ms(1_900 * 9);
        assert!(watch.next(&stalled(9)) <= Some(last + ms(2_000)));
        assert_ne!(watch.look(last + ms(1_999), &stalled(9)), Act::AbortSlow);
        assert_eq!(watch.look(last + ms(2_000), &stalled(9)), Act::AbortSlow);
        // What has gone out is forgotten.
        assert_ne!(watch.look(last + ms(2_000), &QUIET), Act::AbortSlow);
    }

    #[test]
    fn a_drain_takes_what_was_on_its_way_and_then_closes_what_was_accepted() {
        let (mut watch, start) = watch();
        let drained = start + ms(100);
        let draining = Seen { streams: 1, life: Life::Draining(drained), ..QUIET };
        assert_eq!(watch.look(drained, &draining), Act::Wait);
        assert_eq!(watch.next(&draining), Some(drained + LAST_STREAMS_TIME));
        assert!(takes_streams(draining.life, drained + ms(249)));
        assert!(!takes_streams(draining.life, drained + ms(250)));
        let dialled = Seen { dialled: true, ..draining };
        assert_eq!(watch.look(drained + ms(9_000), &dialled), Act::Wait, "a call may still need it");
        assert_eq!(watch.next(&dialled), None);
        assert_eq!(watch.look(drained + ms(250), &draining), Act::Close);
        // From here on the connection waits for its streams, however long they take.
        let ending = Seen { ending: true, ..draining };
        assert_eq!(watch.look(drained + ms(9_000), &ending), Act::Wait);
        assert_eq!(watch.next(&ending), None);
    }

    #[test]
    fn one_that_has_said_good_bye_and_is_not_let_go_is_ended() {
        let (mut watch, start) = watch();
        let ending = Seen { ending: true, ..QUIET };
        let sending = Seen { stalled: Some(1), ..ending };
        assert_eq!(watch.look(start, &sending), Act::Wait);
        assert_eq!(watch.look(start + ms(1_000), &sending), Act::Wait, "what was answered is on its way");
        assert_eq!(watch.look(start + ms(1_100), &ending), Act::Wait);
        assert_eq!(watch.next(&ending), Some(start + ms(1_600)));
        assert_eq!(watch.look(start + ms(1_599), &ending), Act::Wait);
        assert_eq!(watch.look(start + ms(1_600), &ending), Act::Abort);
    }

    #[test]
    fn at_the_end_of_the_node_streams_are_not_waited_for() {
        let (mut watch, start) = watch();
        let closing = Seen { streams: 1, dialled: true, life: Life::Closing, ..QUIET };
        assert_eq!(watch.look(start, &closing), Act::Close);
        let ending = Seen { ending: true, ..closing };
        assert_eq!(watch.look(start, &ending), Act::Wait);
        assert_eq!(watch.look(start + ms(500), &ending), Act::Abort);
        assert!(!takes_streams(Life::Closing, start));
    }
}
