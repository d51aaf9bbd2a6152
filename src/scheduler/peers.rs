//! The peers that were heard of, and how far each of them and this node know each other's tasks.

use std::collections::HashMap;
use std::sync::Arc;

use super::wire::News;
use crate::queue::Now;

/// What is known of one peer.
#[derive(Debug, Clone, Default)]
pub(super) struct Peer {
    /// Since when its silence counts, on the monotonic clock: it said then that it takes tasks, or was first named.
    pub(super) since_ms: i64,
    /// The same by the wall clock; 0 for one that was never heard of.
    pub(super) last_seen_ms: u64,
    /// Whether it announces `workflow.fetch` and `workflow.ack`.
    pub(super) announces: bool,
    /// How far this node has its feed.
    pub(super) cursor: News,
    /// There was no room for something of its feed, so it is read once more from the start.
    pub(super) missed: bool,
    /// How far it has this node's feed.
    pub(super) acknowledged: u64,
    /// When that it was heard of was recorded last, on the monotonic clock.
    pub(super) recorded_ms: Option<i64>,
    /// The sequence of its last record.
    pub(super) sequence: u64,
}

/// The peers, at most so many.
#[derive(Debug)]
pub(super) struct Peers {
    by_id: HashMap<Arc<str>, Peer>,
    max: usize,
    timeout_ms: i64,
    started_ms: Option<i64>,
}

impl Peers {
    pub(super) fn new(max: usize, timeout_ms: u64) -> Peers {
        let timeout_ms = i64::try_from(timeout_ms).unwrap_or(i64::MAX);
        Peers { by_id: HashMap::new(), max: max.max(1), timeout_ms, started_ms: None }
    }

    pub(super) fn get(&self, peer_id: &str) -> Option<&Peer> {
        self.by_id.get(peer_id)
    }

    pub(super) fn get_mut(&mut self, peer_id: &str) -> Option<&mut Peer> {
        self.by_id.get_mut(peer_id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Peer)> {
        self.by_id.iter()
    }

    /// How many were ever heard of and are remembered.
    pub(super) fn heard(&self) -> usize {
        self.by_id.values().filter(|peer| peer.last_seen_ms > 0).count()
    }

    /// The peer, remembered from now on; true when another one was forgotten for it. Its silence begins now.
    pub(super) fn note(&mut self, peer_id: &str, now: Now) -> (&mut Peer, bool) {
        self.started_ms.get_or_insert(now.mono_ms);
        let mut forgot = false;
        if !self.by_id.contains_key(peer_id) && self.by_id.len() >= self.max {
            let oldest = self.by_id.iter().min_by_key(|(id, peer)| (peer.since_ms, *id));
            let oldest = oldest.map(|(id, _)| id.clone());
            forgot = oldest.is_some_and(|id| self.by_id.remove(&id).is_some());
        }
        let new = || Peer { since_ms: now.mono_ms, ..Peer::default() };
        (self.by_id.entry(peer_id.into()).or_insert_with(new), forgot)
    }

    /// Whether it was heard of lately and may own tasks.
    pub(super) fn is_member(&self, peer_id: &str, now: Now) -> bool {
        self.by_id.get(peer_id).is_some_and(|peer| self.counts(peer, now))
    }

    fn counts(&self, peer: &Peer, now: Now) -> bool {
        peer.announces && peer.last_seen_ms > 0 && !self.is_past(peer.since_ms, now)
    }

    fn is_past(&self, since_ms: i64, now: Now) -> bool {
        now.mono_ms.saturating_sub(since_ms) > self.timeout_ms
    }

    /// Whether it was silent for so long that what it held is taken over.
    pub(super) fn is_gone(&self, peer_id: &str, now: Now) -> bool {
        match self.by_id.get(peer_id) {
            Some(peer) => self.is_past(peer.since_ms, now),
            // It was forgotten for others; silence counts from the start of this node at the latest.
            None => self.started_ms.is_some_and(|since_ms| self.is_past(since_ms, now)),
        }
    }

    /// Those that may own tasks.
    pub(super) fn members(&self, now: Now) -> impl Iterator<Item = &str> {
        self.by_id.iter().filter(move |(_, peer)| self.counts(peer, now)).map(|(id, _)| &**id)
    }
}
