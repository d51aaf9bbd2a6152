//! Whom to send a heartbeat and when: a plain state machine over the time that is passed in.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::p2p::PeerId;

/// A peer that does not answer is asked after this many rounds at the latest.
const MAX_ROUNDS: u32 = 16;
/// Peers that are remembered; others are taken for new.
const MAX_PEERS: usize = 1_024;

/// What is known of one peer's answers.
#[derive(Debug)]
struct Peer {
    failures: u32,
    due: Instant,
    /// Whether it answered when it was last asked.
    answers: bool,
}

/// The rounds of heartbeats.
#[derive(Debug)]
pub(super) struct Beats {
    interval: Duration,
    peers: HashMap<PeerId, Peer>,
}

impl Beats {
    pub(super) fn new(interval: Duration) -> Beats {
        Beats { interval, peers: HashMap::new() }
    }

    /// Whether the peer is to be asked in this round.
    pub(super) fn is_due(&self, peer: &PeerId, now: Instant) -> bool {
        // A round begins when the one before has ended, so a peer may come up a little early.
        self.peers.get(peer).is_none_or(|peer| now + self.interval / 2 >= peer.due)
    }

    /// Notes an answer. True when that is news.
    pub(super) fn answered(&mut self, peer: PeerId, now: Instant) -> bool {
        let before = self.note(peer, Peer { failures: 0, due: now + self.interval, answers: true });
        before != Some(true)
    }

    /// Notes that none came; the peer is asked less and less often. True when that is news.
    pub(super) fn failed(&mut self, peer: PeerId, now: Instant) -> bool {
        let failures = self.peers.get(&peer).map_or(0, |known| known.failures).saturating_add(1);
        let rounds = 1_u32.checked_shl(failures - 1).map_or(MAX_ROUNDS, |rounds| rounds.clamp(1, MAX_ROUNDS));
        let before = self.note(peer, Peer { failures, due: now + self.interval * rounds, answers: false });
        before != Some(false)
    }

    fn note(&mut self, peer: PeerId, state: Peer) -> Option<bool> {
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(&peer) {
            let oldest = self.peers.iter().min_by_key(|(_, peer)| peer.due).map(|(peer, _)| *peer);
            oldest.and_then(|oldest| self.peers.remove(&oldest));
        }
        self.peers.insert(peer, state).map(|before| before.answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: Duration = Duration::from_secs(10);

    #[test]
    fn news_are_told_once_and_silence_is_asked_less_often() {
        let (mut beats, peer, mut now) = (Beats::new(ROUND), PeerId::random(), Instant::now());
        assert!(beats.is_due(&peer, now));
        assert!(beats.answered(peer, now));
        assert!(!beats.is_due(&peer, now));
        now += ROUND;
        assert!(beats.is_due(&peer, now) && !beats.answered(peer, now));
        let mut waits = Vec::new();
        for round in 0..7 {
            assert_eq!(beats.failed(peer, now), round == 0, "round {round}");
            let rounds = (1..100).find(|rounds| beats.is_due(&peer, now + ROUND * *rounds)).unwrap();
            waits.push(rounds);
            now += ROUND * rounds;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 16, 16]);
        assert!(beats.answered(peer, now) && beats.failed(peer, now));
        assert!(beats.is_due(&peer, now + ROUND), "what answered begins anew");
    }

    #[test]
    fn the_memory_is_bounded() {
        let (mut beats, now) = (Beats::new(ROUND), Instant::now());
        for _ in 0..2 * MAX_PEERS {
            beats.failed(PeerId::random(), now);
        }
        assert_eq!(beats.peers.len(), MAX_PEERS);
    }
}
