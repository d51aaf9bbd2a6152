//! Every session of the process: bounded, sharded, usable from any core.
//!
//! A session is in one of two lists of its shard, oldest use first: those that wait for `notifications/initialized`,
//! and the rest. Both ends of its life are then one step: the sweeper and the evictor look at the fronts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::limits::{Limit, Limits};
use crate::mcp::message::capability::ClientCapabilities;
use crate::mcp::message::era::Revision;
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::session::entry::{Session, SessionId};
use crate::mcp::session::shard::{List, Seen, Shard};

const SHARDS: usize = 16;

/// How many sessions in use the evictor passes over in one shard before it looks elsewhere.
const MOST_PASSED_OVER: usize = 64;

/// How many sessions the sweeper ends in one shard before it lets others have the lock.
const SWEEP_STEP: usize = 64;

/// What became of the sessions so far, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTotals {
    /// Opened by `initialize`.
    pub opened: u64,
    /// Ended by the client.
    pub deleted: u64,
    /// Ended because they were not initialized in `session_init_timeout_ms`.
    pub never_initialized: u64,
    /// Ended because they were unused for `session_idle_timeout_ms`.
    pub idle: u64,
    /// Ended to make room under `max_sessions`.
    pub evicted: u64,
}

#[derive(Default)]
struct Totals {
    opened: AtomicU64,
    deleted: AtomicU64,
    never_initialized: AtomicU64,
    idle: AtomicU64,
    evicted: AtomicU64,
}

impl Totals {
    fn expired(&self, list: List) -> &AtomicU64 {
        match list {
            List::Fresh => &self.never_initialized,
            List::Used => &self.idle,
        }
    }
}

pub(crate) struct SessionTable {
    shards: [Mutex<Shard>; SHARDS],
    /// Sessions in the table and about to enter it.
    count: AtomicUsize,
    principals: Mutex<HashMap<Arc<str>, usize>>,
    totals: Totals,
    max_sessions: usize,
    max_per_principal: usize,
    idle_time: Duration,
    init_time: Duration,
}

impl SessionTable {
    pub(crate) fn new(limits: &Limits) -> SessionTable {
        let count = |limit: Limit| usize::try_from(limits.value(limit)).unwrap_or(usize::MAX);
        SessionTable {
            shards: Default::default(),
            count: AtomicUsize::new(0),
            principals: Mutex::default(),
            totals: Totals::default(),
            max_sessions: count(Limit::Sessions),
            max_per_principal: count(Limit::SessionsPerPrincipal),
            idle_time: limits.duration(Limit::SessionIdleTime),
            init_time: limits.duration(Limit::SessionInitTime),
        }
    }

    /// How many sessions there are.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn totals(&self) -> SessionTotals {
        let read = |total: &AtomicU64| total.load(Ordering::Relaxed);
        SessionTotals {
            opened: read(&self.totals.opened),
            deleted: read(&self.totals.deleted),
            never_initialized: read(&self.totals.never_initialized),
            idle: read(&self.totals.idle),
            evicted: read(&self.totals.evicted),
        }
    }

    fn shard(&self, bits: u128) -> MutexGuard<'_, Shard> {
        crate::mcp::lock(&self.shards[bits as usize % SHARDS])
    }

    /// Opens a session, evicting one that is not in use where the table is full.
    pub(crate) fn open(
        &self,
        principal: &str,
        revision: Revision,
        capabilities: ClientCapabilities,
        now: Instant,
    ) -> Result<Arc<Session>, ErrorKind> {
        self.reserve(now)?;
        let principal = self.admit(principal).inspect_err(|_| self.release())?;
        let Ok(id) = SessionId::random() else {
            tracing::error!("the system's random source failed");
            self.dismiss(&principal);
            self.release();
            return Err(ErrorKind::Internal);
        };
        let session = Arc::new(Session::new(id, principal, revision, capabilities));
        self.shard(id.bits()).insert(session.clone(), now);
        self.totals.opened.fetch_add(1, Ordering::Relaxed);
        Ok(session)
    }

    /// The session of that id, if it lives and belongs to the principal; a use of it. The caller enters it before
    /// anything can evict it, and leaves it at the end of the request.
    pub(crate) fn enter(&self, id: SessionId, principal: &str, now: Instant) -> Option<Arc<Session>> {
        let mut shard = self.shard(id.bits());
        let seen = shard.peek(id)?;
        if seen.principal != principal {
            return None;
        }
        if self.is_over(&seen, now) {
            let list = seen.list;
            let over = shard.remove(id);
            drop(shard);
            over.iter().for_each(|session| self.forget(session, self.totals.expired(list)));
            return None;
        }
        let session = shard.touch(id, now)?;
        session.enter();
        Some(session)
    }

    /// Moves a session from those that wait to be initialized to the rest.
    pub(crate) fn initialized(&self, session: &Session, now: Instant) {
        if session.set_initialized() {
            self.shard(session.id.bits()).promote(session.id, now);
        }
    }

    /// Ends the session because its client said so; its waiting calls are cancelled.
    pub(crate) fn delete(&self, id: SessionId) {
        let removed = self.shard(id.bits()).remove(id);
        removed.iter().for_each(|session| self.forget(session, &self.totals.deleted));
    }

    /// Ends the sessions whose time is over, those in use excepted; returns how many.
    pub(crate) fn sweep(&self, now: Instant) -> usize {
        let lists = [(List::Fresh, self.init_time), (List::Used, self.idle_time)];
        let mut ended = 0;
        for (index, (list, time)) in (0..SHARDS).flat_map(|index| lists.map(|list| (index, list))) {
            loop {
                let step = crate::mcp::lock(&self.shards[index]).expire(list, time, now, SWEEP_STEP);
                step.removed.iter().for_each(|session| self.forget(session, self.totals.expired(list)));
                ended += step.removed.len();
                if step.done {
                    break;
                }
            }
        }
        ended
    }

    fn is_over(&self, seen: &Seen<'_>, now: Instant) -> bool {
        let time = if seen.list == List::Fresh { self.init_time } else { self.idle_time };
        !seen.busy && now.saturating_duration_since(seen.last_used) >= time
    }

    /// Takes a place in the table.
    fn reserve(&self, now: Instant) -> Result<(), ErrorKind> {
        // Another core may take the place that an eviction freed; a few rounds settle it.
        for _ in 0..4 {
            let below = |count| (count < self.max_sessions).then_some(count + 1);
            if self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, below).is_ok() {
                return Ok(());
            }
            if !self.evict(List::Fresh, now) && !self.evict(List::Used, now) {
                return Err(ErrorKind::SessionsFull);
            }
        }
        Err(ErrorKind::SessionsFull)
    }

    /// Ends the session of one list that was unused for longest; false when all are in use.
    fn evict(&self, list: List, now: Instant) -> bool {
        let oldest = self
            .shards
            .iter()
            .filter_map(|shard| crate::mcp::lock(shard).oldest_idle(list, now, MOST_PASSED_OVER))
            .min_by_key(|(_, last_used)| *last_used);
        let Some((id, _)) = oldest else { return false };
        let removed = self.shard(id.bits()).remove_idle(id);
        // One that was used meanwhile stays, and the next round finds another.
        removed.iter().for_each(|session| self.forget(session, &self.totals.evicted));
        true
    }

    fn admit(&self, principal: &str) -> Result<Arc<str>, ErrorKind> {
        let mut principals = crate::mcp::lock(&self.principals);
        let Some((name, _)) = principals.get_key_value(principal) else {
            let name: Arc<str> = principal.into();
            principals.insert(name.clone(), 1);
            return Ok(name);
        };
        let name = name.clone();
        let held = principals.get_mut(principal).expect("invariant: found one line above");
        if *held >= self.max_per_principal {
            return Err(ErrorKind::PrincipalSessionsFull);
        }
        *held += 1;
        Ok(name)
    }

    fn dismiss(&self, principal: &Arc<str>) {
        let mut principals = crate::mcp::lock(&self.principals);
        let Some(held) = principals.get_mut(principal) else { return };
        *held -= 1;
        if *held == 0 {
            principals.remove(principal);
        }
    }

    fn release(&self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
    }

    /// Undoes what opening did, after the session left its shard.
    fn forget(&self, session: &Session, total: &AtomicU64) {
        total.fetch_add(1, Ordering::Relaxed);
        session.end();
        self.dismiss(&session.principal);
        self.release();
    }
}
