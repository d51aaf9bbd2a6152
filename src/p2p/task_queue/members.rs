//! Who was heard of: the peers and workers among which tasks are shared out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Now;

/// What is told of a peer; a new report of it replaces what it carries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Member {
    pub(super) peer_id: Box<str>,
    /// Seconds since the epoch.
    pub(super) last_seen: f64,
    /// Empty for a peer that never claimed anything.
    pub(super) worker_id: Box<str>,
    pub(super) supported_task_types: Box<[Box<str>]>,
    /// The id that the transport proved.
    pub(super) transport_peer_id: Box<str>,
    /// The id that the peer called itself.
    pub(super) peer_hint: Box<str>,
}

/// A report of a peer.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) peer_id: &'a str,
    pub(super) transport_peer_id: &'a str,
    pub(super) peer_hint: &'a str,
    /// The worker that claims in its name, and what it can do.
    pub(super) worker: Option<(&'a str, Vec<Box<str>>)>,
}

impl Report<'_> {
    /// Whether it says what is known.
    fn repeats(&self, member: &Member) -> bool {
        let is_known = |worker_id: &str, types: &[Box<str>]| {
            *worker_id == *member.worker_id && *types == *member.supported_task_types
        };
        *self.transport_peer_id == *member.transport_peer_id
            && *self.peer_hint == *member.peer_hint
            && self.worker.as_ref().is_none_or(|(worker_id, types)| is_known(worker_id, types))
    }
}

struct Entry {
    member: Arc<Member>,
    heard_at: Instant,
    turn: u64,
}

/// The peers heard of, at most so many; for one more, the one not heard of for longest is forgotten.
pub(super) struct Members {
    max: usize,
    next_turn: u64,
    by_id: HashMap<Arc<str>, Entry>,
    by_turn: BTreeMap<u64, Arc<str>>,
}

impl Members {
    pub(super) fn new(max: usize) -> Members {
        Members { max: max.max(1), next_turn: 0, by_id: HashMap::new(), by_turn: BTreeMap::new() }
    }

    /// Takes note of a peer; true when another one was forgotten for it.
    pub(super) fn hear(&mut self, report: Report<'_>, now: Now) -> bool {
        if self.hear_again(&report, now) {
            return false;
        }
        let known = self.by_id.remove(report.peer_id);
        if let Some(entry) = &known {
            self.by_turn.remove(&entry.turn);
        }
        let forgets = self.by_id.len() >= self.max && self.forget_oldest();
        let before = known.map(|entry| entry.member);
        let peer_id: Arc<str> = report.peer_id.into();
        let (worker_id, supported_task_types) = match (report.worker, before) {
            (Some((worker_id, types)), _) => (worker_id.into(), types.into()),
            (None, Some(before)) => (before.worker_id.clone(), before.supported_task_types.clone()),
            (None, None) => Default::default(),
        };
        let member = Arc::new(Member {
            peer_id: report.peer_id.into(),
            last_seen: now.unix_s,
            worker_id,
            supported_task_types,
            transport_peer_id: report.transport_peer_id.into(),
            peer_hint: report.peer_hint.into(),
        });
        let turn = self.next_turn;
        self.next_turn += 1;
        self.by_turn.insert(turn, peer_id.clone());
        self.by_id.insert(peer_id, Entry { member, heard_at: now.instant, turn });
        forgets
    }

    /// Takes note of a report that says nothing new, which most do; whether it is one.
    fn hear_again(&mut self, report: &Report<'_>, now: Now) -> bool {
        let Some(entry) = self.by_id.get_mut(report.peer_id) else { return false };
        // Somebody may be reading it at this moment; then it is replaced.
        let Some(member) = Arc::get_mut(&mut entry.member).filter(|member| report.repeats(member)) else {
            return false;
        };
        member.last_seen = now.unix_s;
        entry.heard_at = now.instant;
        if let Some(peer_id) = self.by_turn.remove(&entry.turn) {
            entry.turn = self.next_turn;
            self.by_turn.insert(self.next_turn, peer_id);
            self.next_turn += 1;
        }
        true
    }

    fn forget_oldest(&mut self) -> bool {
        match self.by_turn.pop_first() {
            Some((_, peer_id)) => self.by_id.remove(&peer_id).is_some(),
            None => false,
        }
    }

    /// Those heard of within `timeout`, the last one first. A wall clock that is stepped changes nothing.
    pub(super) fn alive(&self, now: Instant, timeout: Duration) -> impl Iterator<Item = &Arc<Member>> {
        let entries = self.by_turn.values().rev().filter_map(|peer_id| self.by_id.get(peer_id));
        entries
            .take_while(move |entry| now.saturating_duration_since(entry.heard_at) <= timeout)
            .map(|entry| &entry.member)
    }

    /// Those that tasks are shared out to, with whether they were heard of within `hold`. Only a connection makes a peer:
    /// whoever calls this node's own tools works for this node, under a name that may be gone the next moment.
    pub(super) fn owners(
        &self,
        now: Instant,
        timeout: Duration,
        hold: Duration,
    ) -> impl Iterator<Item = (&Arc<Member>, bool)> {
        let alive = self.alive(now, timeout).filter(|member| !member.transport_peer_id.is_empty());
        alive.map(move |member| {
            let heard_at = self.by_id.get(&*member.peer_id).map_or(now, |entry| entry.heard_at);
            (member, now.saturating_duration_since(heard_at) <= hold)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(peer_id: &str) -> Report<'_> {
        Report { peer_id, transport_peer_id: "t", peer_hint: peer_id, worker: None }
    }

    fn alive(members: &Members, now: Instant) -> String {
        let ids: Vec<_> =
            members.alive(now, Duration::from_secs(300)).map(|member| &*member.peer_id).collect();
        ids.join(",")
    }

    #[test]
    fn a_peer_is_alive_for_as_long_as_it_is_heard_of() {
        let start = Instant::now();
        let at = |seconds| Now { instant: start + Duration::from_secs(seconds), unix_s: 0.0 };
        let mut members = Members::new(8);
        members.hear(report("a"), at(0));
        members.hear(report("b"), at(100));
        assert_eq!(alive(&members, at(300).instant), "b,a");
        assert_eq!(alive(&members, at(301).instant), "b");
        members.hear(report("a"), at(302));
        assert_eq!(alive(&members, at(400).instant), "a,b");
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_was_silent_longest() {
        let now = Now { instant: Instant::now(), unix_s: 0.0 };
        let mut members = Members::new(2);
        assert!(!members.hear(report("a"), now));
        assert!(!members.hear(report("b"), now));
        assert!(!members.hear(report("a"), now), "it was there");
        assert!(members.hear(report("c"), now));
        assert_eq!(alive(&members, now.instant), "c,a");
        assert_eq!((members.by_id.len(), members.by_turn.len()), (2, 2));
    }

    #[test]
    fn a_heartbeat_leaves_what_a_claim_said() {
        let now = Now { instant: Instant::now(), unix_s: 7.5 };
        let mut members = Members::new(2);
        members.hear(Report { worker: Some(("w", vec!["t".into()])), ..report("a") }, now);
        members.hear(report("a"), now);
        let member = members.alive(now.instant, Duration::ZERO).next().cloned();
        let member = member.expect("it was just heard of");
        assert_eq!((&*member.worker_id, &*member.supported_task_types), ("w", &["t".into()][..]));
    }
}
