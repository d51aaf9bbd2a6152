//! The states that may be used once and were: bounded, one for the process. A restart forgets them.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::mcp::ask::seal::Nonce;

/// How many expired entries one use clears away, so that the lock is short.
const CLEARED_AT_ONCE: usize = 64;

pub(crate) struct UsedStates {
    /// By expiry in milliseconds since 1970, then by nonce.
    used: Mutex<BTreeSet<(u64, Nonce)>>,
    max: usize,
}

/// Why a state cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UseError {
    /// It was used before.
    Used,
    /// No room to remember it.
    Full,
}

impl UsedStates {
    pub(crate) fn new(max: usize) -> UsedStates {
        UsedStates { used: Mutex::default(), max }
    }

    /// Notes the use of a state that expires at `expires_ms`; the first one wins, whatever thread it is on.
    pub(crate) fn take(&self, nonce: Nonce, expires_ms: u64, now_ms: u64) -> Result<(), UseError> {
        let mut used = crate::mcp::lock(&self.used);
        for _ in 0..CLEARED_AT_ONCE {
            // A state that has expired is refused for that; nobody needs to know any more that it was used.
            match used.first() {
                Some((expires, _)) if *expires <= now_ms => used.pop_first(),
                _ => break,
            };
        }
        if used.contains(&(expires_ms, nonce)) {
            return Err(UseError::Used);
        }
        if used.len() >= self.max {
            return Err(UseError::Full);
        }
        used.insert((expires_ms, nonce));
        Ok(())
    }

    /// Takes a use back, because the handler could not be started.
    pub(crate) fn give_back(&self, nonce: Nonce, expires_ms: u64) {
        crate::mcp::lock(&self.used).remove(&(expires_ms, nonce));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Barrier;

    use super::*;

    fn nonce(number: u8) -> Nonce {
        [number; 24]
    }

    #[test]
    fn a_state_is_used_once_until_it_is_given_back() {
        let used = UsedStates::new(16);
        assert_eq!(used.take(nonce(1), 100, 0), Ok(()));
        assert_eq!(used.take(nonce(1), 100, 99), Err(UseError::Used));
        assert_eq!(used.take(nonce(2), 100, 99), Ok(()));
        used.give_back(nonce(1), 100);
        assert_eq!(used.take(nonce(1), 100, 99), Ok(()));
    }

    #[test]
    fn it_is_bounded_and_expired_ones_make_room() {
        let used = UsedStates::new(2);
        assert_eq!(used.take(nonce(1), 100, 0), Ok(()));
        assert_eq!(used.take(nonce(2), 200, 0), Ok(()));
        assert_eq!(used.take(nonce(3), 300, 99), Err(UseError::Full));
        assert_eq!(used.take(nonce(3), 300, 100), Ok(()));
        assert_eq!(used.take(nonce(2), 200, 150), Err(UseError::Used));
    }

    #[test]
    fn of_many_threads_one_wins() {
        let used = Arc::new(UsedStates::new(1_000));
        let barrier = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (used, barrier) = (used.clone(), barrier.clone());
                std::thread::spawn(move || {
                    barrier.wait();
                    (0..100).filter(|number| used.take(nonce(*number), 1, 0).is_ok()).count()
                })
            })
            .collect();
        let wins: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(wins, 100);
    }
}
