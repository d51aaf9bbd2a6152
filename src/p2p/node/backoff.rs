//! Peers that could not be reached a moment ago: they are not dialled again at once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::observe::metrics::DialFailure;
use crate::p2p::outbound::DialTarget;

/// A peer that could not be reached is left alone for this long.
const PAUSE: Duration = Duration::from_secs(1);
/// Failures that are remembered; for one more, the oldest is forgotten.
const MAX_FAILURES: usize = 256;

/// A dial that failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    until: Instant,
    pub(super) why: DialFailure,
    pub(super) message: Box<str>,
}

/// The failures of the last second.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: HashMap<DialTarget, Failure>,
}

impl Backoff {
    /// Notes that the peer was not reached.
    pub(super) fn failed(&mut self, target: &DialTarget, why: DialFailure, message: String, now: Instant) {
        if self.failures.len() >= MAX_FAILURES {
            self.failures.retain(|_, failure| failure.until > now);
        }
        if self.failures.len() >= MAX_FAILURES {
            let oldest = self.failures.iter().min_by_key(|(_, failure)| failure.until);
            if let Some(oldest) = oldest.map(|(target, _)| target.clone()) {
                self.failures.remove(&oldest);
            }
        }
        let failure = Failure { until: now + PAUSE, why, message: message.into() };
        self.failures.insert(target.clone(), failure);
    }

    /// Notes that the peer was reached.
    pub(super) fn reached(&mut self, target: &DialTarget) {
        self.failures.remove(target);
    }

    /// The failure for which the peer is not dialled now, and for how much longer.
    pub(super) fn find(&self, target: &DialTarget, now: Instant) -> Option<(&Failure, Duration)> {
        let failure = self.failures.get(target)?;
        let left = failure.until.checked_duration_since(now)?;
        (!left.is_zero()).then_some((failure, left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::p2p::PeerId;

    fn target(port: u16) -> DialTarget {
        let address = format!("/ip4/192.0.2.1/tcp/{port}/p2p/{}", PeerId::random());
        DialTarget::written(address.parse().unwrap())
    }

    #[test]
    fn a_failure_holds_for_a_second_and_until_the_peer_is_reached() {
        let (mut backoff, now, peer) = (Backoff::default(), Instant::now(), target(1));
        assert!(backoff.find(&peer, now).is_none());
        backoff.failed(&peer, DialFailure::Connect, "refused".to_owned(), now);
        let (failure, left) = backoff.find(&peer, now + Duration::from_millis(400)).unwrap();
        assert_eq!((&*failure.message, left), ("refused", Duration::from_millis(600)));
        assert!(backoff.find(&target(1), now).is_none(), "somebody else");
        assert!(backoff.find(&peer, now + PAUSE).is_none());
        backoff.reached(&peer);
        assert!(backoff.find(&peer, now).is_none());
    }

    #[test]
    fn the_table_is_bounded() {
        let (mut backoff, now, first) = (Backoff::default(), Instant::now(), target(1));
        backoff.failed(&first, DialFailure::Connect, String::new(), now);
        for port in 1..=2 * MAX_FAILURES as u16 {
            let later = now + Duration::from_millis(1);
            backoff.failed(&target(port), DialFailure::Connect, String::new(), later);
        }
        assert_eq!(backoff.failures.len(), MAX_FAILURES);
        assert!(backoff.find(&first, now).is_none(), "the oldest is forgotten first");
    }
}
