//! What one core has to do for workflow tasks among peers: note it at once, do it soon.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use event_listener::{Event, EventListener};

use crate::p2p::task_queue::FetchFrom;
use crate::p2p::{PeerId, Remote};

/// Peers that wait for an errand; of further ones nothing is noted, and their heartbeats bring it up again.
const MAX_WAITING: usize = 256;

/// What to do for one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errand {
    /// Send it a heartbeat first; what it answers says whether there is anything to fetch.
    pub(super) tell: bool,
    /// Where it is connected from, for one that does not say where it listens.
    pub(super) address: Option<SocketAddr>,
    /// Not before.
    pub(super) due: Instant,
    /// How often it failed.
    pub(super) failures: u8,
}

/// The errands of one core. Any number for a peer are one.
#[derive(Debug, Default)]
pub(crate) struct Errands {
    waiting: RefCell<HashMap<PeerId, Errand>>,
    changed: Event,
}

impl Errands {
    /// Has a heartbeat sent to the peer: it holds something that changed here.
    pub(crate) fn tell(&self, peer: PeerId) {
        self.add(peer, Errand { tell: true, address: None, due: Instant::now(), failures: 0 });
    }

    /// Has what the peer told fetched.
    pub(crate) fn fetch(&self, peer: PeerId) {
        self.add(peer, Errand { tell: false, address: None, due: Instant::now(), failures: 0 });
    }

    /// Notes an errand; one for the same peer is joined with it.
    pub(super) fn add(&self, peer: PeerId, errand: Errand) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= MAX_WAITING && !waiting.contains_key(&peer) {
            return;
        }
        let joined = waiting.entry(peer).or_insert(errand);
        joined.tell |= errand.tell;
        joined.address = errand.address.or(joined.address);
        drop(waiting);
        self.changed.notify(1);
    }

    /// Puts an errand off.
    pub(super) fn put_off(&self, peer: PeerId, errand: Errand) {
        self.waiting.borrow_mut().entry(peer).or_insert(errand);
    }

    /// Resolves at the next change from now on.
    pub(super) fn changed(&self) -> EventListener {
        self.changed.listen()
    }

    /// Wakes the one who runs errands.
    pub(super) fn wake(&self) {
        self.changed.notify(1);
    }

    /// Takes an errand that is due.
    pub(super) fn take(&self, now: Instant) -> Option<(PeerId, Errand)> {
        let mut waiting = self.waiting.borrow_mut();
        let (peer, _) =
            waiting.iter().filter(|(_, errand)| errand.due <= now).min_by_key(|(_, it)| it.due)?;
        let peer = *peer;
        waiting.remove_entry(&peer)
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.borrow().values().map(|errand| errand.due).min()
    }
}

impl FetchFrom for Errands {
    fn fetch_from(&self, peer: &Remote) {
        self.add(
            peer.peer_id,
            Errand { tell: false, address: Some(peer.address), due: Instant::now(), failures: 0 },
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn many_errands_for_a_peer_are_one() {
        let (errands, peer, now) = (Errands::default(), PeerId::random(), Instant::now());
        let address = "192.0.2.1:1".parse().ok();
        errands.add(peer, Errand { tell: false, address, due: now, failures: 0 });
        errands.add(peer, Errand { tell: true, address: None, due: now, failures: 0 });
        let taken = errands.take(now);
        assert_eq!(taken, Some((peer, Errand { tell: true, address, due: now, failures: 0 })));
        assert_eq!(errands.take(now), None);
    }

    #[test]
    fn an_errand_waits_for_its_time() {
        let (errands, peer, now) = (Errands::default(), PeerId::random(), Instant::now());
        let due = now + Duration::from_secs(1);
        errands.put_off(peer, Errand { tell: true, address: None, due, failures: 0 });
        assert_eq!((errands.take(now), errands.next_due()), (None, Some(due)));
        assert!(errands.take(due).is_some() && errands.next_due().is_none());
    }

    #[test]
    fn the_memory_is_bounded() {
        let errands = Errands::default();
        for _ in 0..2 * MAX_WAITING {
            errands.tell(PeerId::random());
        }
        assert_eq!(errands.waiting.borrow().len(), MAX_WAITING);
    }
}
