//! Which peers this process exchanges workflow tasks with, and when it may again: a plain state machine over the time that
//! is passed in. One for all cores.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::p2p::PeerId;

/// Between the end of an exchange and the next with the same peer; what happens meanwhile is told by one.
const PAUSE: Duration = Duration::from_millis(50);
/// After the first failure a peer is left alone for so long, and after each further one twice as long, up to the second.
const BACKOFF: Duration = Duration::from_secs(2);
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// Peers that are remembered; others are taken for new.
const MAX_PEERS: usize = 1_024;

#[derive(Debug)]
struct Peer {
    running: bool,
    /// Something happened while it ran.
    again: bool,
    failures: u32,
    not_before: Instant,
}

/// Whether an exchange may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Now; it must be ended.
    Now,
    /// At this time.
    At(Instant),
    /// Another one goes on, and is told to look again when it ends.
    Taken,
    /// Not at all: the peer failed lately, and its next heartbeat is soon enough.
    No,
}

/// What follows from the end of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nothing.
    Well,
    /// Another one: something happened meanwhile.
    Again,
    /// It failed; the next one begins at this time at the earliest.
    Badly(Instant),
}

/// The exchanges of a process.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    peers: HashMap<PeerId, Peer>,
}

impl Exchanges {
    /// Asks for a turn with the peer.
    pub(super) fn begin(&mut self, peer: PeerId, now: Instant) -> Turn {
        if !self.peers.contains_key(&peer) && self.peers.len() >= MAX_PEERS && !self.forget_one() {
            return Turn::No;
        }
        let new = Peer { running: false, again: false, failures: 0, not_before: now };
        let peer = self.peers.entry(peer).or_insert(new);
        if peer.running {
            peer.again = true;
            return Turn::Taken;
        }
        match (peer.not_before > now, peer.failures) {
            (true, 0) => Turn::At(peer.not_before),
            (true, _) => Turn::No,
            (false, _) => {
                (peer.running, peer.again) = (true, false);
                Turn::Now
            }
        }
    }

    /// Ends a turn.
    pub(super) fn end(&mut self, peer: &PeerId, worked: bool, now: Instant) -> Ended {
        let Some(peer) = self.peers.get_mut(peer) else { return Ended::Well };
        peer.running = false;
        peer.failures = if worked { 0 } else { peer.failures.saturating_add(1) };
        let pause = match peer.failures {
            0 => PAUSE,
            count => BACKOFF.saturating_mul(1 << (count - 1).min(16)).min(MAX_BACKOFF),
        };
        peer.not_before = now + pause;
        match (worked, std::mem::take(&mut peer.again)) {
            (true, false) => Ended::Well,
            (true, true) => Ended::Again,
            (false, _) => Ended::Badly(peer.not_before),
        }
    }

    /// Forgets the peer that may be exchanged with first; false where all are busy.
    fn forget_one(&mut self) -> bool {
        let idle = self.peers.iter().filter(|(_, peer)| !peer.running);
        let first = idle.min_by_key(|(_, peer)| peer.not_before).map(|(id, _)| *id);
        first.is_some_and(|id| self.peers.remove(&id).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_exchange_at_a_time_and_another_where_something_happened() {
        let (mut exchanges, peer, now) = (Exchanges::default(), PeerId::random(), Instant::now());
        assert_eq!(exchanges.begin(peer, now), Turn::Now);
        assert_eq!(exchanges.begin(peer, now), Turn::Taken);
        assert_eq!(exchanges.begin(PeerId::random(), now), Turn::Now, "of another peer");
        assert_eq!(exchanges.end(&peer, true, now), Ended::Again);
        assert_eq!(exchanges.begin(peer, now), Turn::At(now + PAUSE));
        assert_eq!(exchanges.begin(peer, now + PAUSE), Turn::Now);
        assert_eq!(exchanges.end(&peer, true, now + PAUSE), Ended::Well);
    }

    #[test]
    fn who_fails_is_left_alone_longer_and_longer() {
        let (mut exchanges, peer, mut now) = (Exchanges::default(), PeerId::random(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..7 {
            assert_eq!(exchanges.begin(peer, now), Turn::Now);
            exchanges.begin(peer, now);
            let Ended::Badly(next) = exchanges.end(&peer, false, now) else { panic!("nobody tries at once") };
            assert_eq!(exchanges.begin(peer, now + Duration::from_secs(1)), Turn::No);
            waits.push((next - now).as_secs());
            now += MAX_BACKOFF;
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(exchanges.begin(peer, now), Turn::Now);
        exchanges.end(&peer, true, now);
        assert_eq!(exchanges.begin(peer, now), Turn::At(now + PAUSE), "what worked begins anew");
    }

    #[test]
    fn the_memory_is_bounded() {
        let (mut exchanges, now) = (Exchanges::default(), Instant::now());
        for _ in 0..MAX_PEERS {
            assert_eq!(exchanges.begin(PeerId::random(), now), Turn::Now);
        }
        assert_eq!(exchanges.begin(PeerId::random(), now), Turn::No);
        let peer = *exchanges.peers.keys().next().unwrap_or(&PeerId::random());
        exchanges.end(&peer, true, now);
        assert_eq!(exchanges.begin(PeerId::random(), now), Turn::Now);
        assert_eq!(exchanges.peers.len(), MAX_PEERS);
    }
}
