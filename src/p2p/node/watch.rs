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
    /// Those of them that a drain does not wait for.
    pub(super) unimportant: usize,
    /// Those that have no protocol yet.
    pub(super) negotiating: usize,
    /// Where something waits to be sent: a number that changes when some of it goes out.
    pub(super) stalled: Option<u64>,
    /// Whether the connection was told to close.
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
    ending_since: Option<Instant>,
}

impl Watch {
    pub(super) fn new(times: Times, now: Instant) -> Watch {
        let identify_at = Some(now + IDENTIFY_AFTER);
        Watch { times, busy_at: now, identify_at, stall: None, ending_since: None }
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
            let since = *self.ending_since.get_or_insert(now);
            return if now >= since + self.closing_time(seen.life) { Act::Abort } else { Act::Wait };
        }
        if seen.streams > 0 {
            self.busy_at = now;
        }
        match seen.life {
            Life::Closing => Act::Close,
            Life::Draining(since) if now >= since + LAST_STREAMS_TIME && awaited(now, since, seen) == 0 => {
                Act::Close
            }
            Life::Draining(_) => Act::Wait,
            Life::Serving if self.identify_at.is_some_and(|at| now >= at) => {
                self.identify_at = None;
                Act::Identify
            }
            Life::Serving if now >= self.busy_at + self.times.idle => Act::CloseIdle,
            Life::Serving => Act::Wait,
        }
    }

    /// The next time at which a look may decide something, as far as the time alone brings it about.
    pub(super) fn next(&self, seen: &Seen) -> Option<Instant> {
        let stall = self.stall.map(|(_, since)| since + self.times.write);
        let ending = self.ending_since.map(|since| since + self.closing_time(seen.life));
        if seen.ending {
            return stall.into_iter().chain(ending).min();
        }
        let due = match seen.life {
            Life::Serving => {
                let idle = (seen.streams == 0).then_some(self.busy_at + self.times.idle);
                self.identify_at.into_iter().chain(idle).min()
            }
            Life::Draining(since) => {
                let end = since + LAST_STREAMS_TIME;
                Some(if self.busy_at < end { end } else { end + LAST_STREAMS_TIME })
            }
            Life::Closing => None,
        };
        stall.into_iter().chain(due).min()
    }

    fn closing_time(&self, life: Life) -> Duration {
        match life {
            Life::Closing => CLOSE_TIME / 2,
            _ => CLOSE_TIME + self.times.write,
        }
    }
}

/// The streams that a draining connection waits for. One that came with the last has its time to name its protocol.
fn awaited(now: Instant, since: Instant, seen: &Seen) -> usize {
    let late = now >= since + 2 * LAST_STREAMS_TIME;
    let left_out = seen.unimportant + if late { seen.negotiating } else { 0 };
    seen.streams.saturating_sub(left_out)
}

/// Whether a draining node still takes a stream.
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

    const QUIET: Seen = Seen {
        streams: 0,
        unimportant: 0,
        negotiating: 0,
        stalled: None,
        ending: false,
        life: Life::Serving,
    };

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
    fn a_drain_waits_for_what_was_on_its_way_and_then_for_streams() {
        let (mut watch, start) = watch();
        let drained = start + ms(100);
        let draining = Seen { life: Life::Draining(drained), ..QUIET };
        assert_eq!(watch.look(drained, &draining), Act::Wait);
        assert_eq!(watch.next(&draining), Some(drained + LAST_STREAMS_TIME));
        assert!(takes_streams(draining.life, drained + ms(249)));
        assert!(!takes_streams(draining.life, drained + ms(250)));
        let serving = Seen { streams: 3, unimportant: 1, negotiating: 1, ..draining };
        assert_eq!(watch.look(drained + ms(250), &serving), Act::Wait);
        assert_eq!(watch.next(&serving), Some(drained + 2 * LAST_STREAMS_TIME));
        let mute = Seen { streams: 2, unimportant: 1, negotiating: 1, ..draining };
        assert_eq!(watch.look(drained + ms(499), &mute), Act::Wait, "it may name its protocol yet");
        assert_eq!(watch.look(drained + ms(500), &serving), Act::Wait, "one is served");
        assert_eq!(watch.look(drained + ms(500), &mute), Act::Close);
        let ping = Seen { streams: 1, unimportant: 1, ..draining };
        assert_eq!(watch.look(drained + ms(250), &ping), Act::Close);
    }

    #[test]
    fn one_that_is_to_close_and_does_not_is_ended() {
        let (mut watch, start) = watch();
        let closing = Seen { streams: 1, life: Life::Closing, ..QUIET };
        assert_eq!(watch.look(start, &closing), Act::Close);
        let ending = Seen { ending: true, ..closing };
        assert_eq!(watch.look(start, &ending), Act::Wait);
        assert_eq!(watch.next(&ending), Some(start + ms(500)));
        assert_eq!(watch.look(start + ms(500), &ending), Act::Abort);
        let idle = Seen { ending: true, ..QUIET };
        assert_eq!(watch.look(start + ms(2_999), &idle), Act::Wait);
        assert_eq!(watch.look(start + ms(3_000), &idle), Act::Abort);
    }
}
