//! `claim` and `claim_many`: who claims, and which tasks it owns.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Caller;
use super::fields::{Field, Fields};
use super::queue::TaskQueue;
use super::refusal::Refusal;
use crate::limits::Limit;
use crate::mcp::lock;
use crate::queue::{Candidate, Claim, Settings};
use crate::scheduler::{Owners, task_hash};

/// A claim that waits looks again so often at who is alive, when it looks at tasks.
const STALE_TIME: Duration = Duration::from_millis(250);

/// A claim, and how long it waits.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) claim: Claim,
    pub(super) wait: Duration,
}

/// Reads a claim of at most `max_tasks` tasks; with more than one allowed, the request may say how many.
pub(super) fn read(
    fields: &Fields<'_>,
    caller: &Caller<'_>,
    several: bool,
    max_wait: Duration,
) -> Result<Asked, Refusal> {
    let bounds = Settings::default();
    let worker: Arc<str> = fields.text(&[Field::WorkerId]).unwrap_or_default().into();
    let peer = fields.text(&[Field::Peer, Field::PeerId]);
    let peer: Arc<str> = match (peer, caller.transport()) {
        (Some(peer), _) => peer.into(),
        (None, "") => worker.clone(),
        (None, transport) => transport.into(),
    };
    // One more than is allowed, so that the queue can refuse it.
    let types = [Field::SupportedTaskTypes, Field::TaskTypes];
    let types = fields.list(&types, bounds.max_claim_types + 1, 1 << 20);
    let wish = fields.number_if_any(Field::MaxTasks).or(fields.number_if_any(Field::Limit));
    let max_tasks = wish.map_or(1, |wish| wish.clamp(1.0, 1e6) as usize);
    let session = fields.text(&[Field::SessionId, Field::Session, Field::P2pSession]);
    let same_type =
        [Field::SameTaskType, Field::SameType].into_iter().find(|name| fields.raw(*name).is_some());
    let lease = fields.number(Field::LeaseS)?;
    let wait = fields.number(Field::WaitS)?.unwrap_or(0.0).max(0.0);
    Ok(Asked {
        claim: Claim {
            worker,
            peer,
            // One that is named twice takes one place among those who wait.
            types: types.into_iter().map(Arc::from).collect::<BTreeSet<Arc<str>>>().into_iter().collect(),
            session: session.map(Arc::from),
            lease_ms: lease.map(|lease| (lease * 1e3).max(0.0) as u64),
            max_tasks: if several || wish.is_some() { max_tasks } else { 1 },
            same_type: same_type.is_none_or(|name| fields.flag(name)),
        },
        wait: Duration::try_from_secs_f64(wait).unwrap_or(max_wait).min(max_wait),
    })
}

/// Who owns what for one claim, found anew now and then while it waits.
pub(super) struct Ownership<'a> {
    queue: &'a TaskQueue,
    peer: Arc<str>,
    seen: RefCell<Option<Seen>>,
}

struct Seen {
    at: Instant,
    owners: Owners,
    /// Those that no task is kept for: they were not heard of for as long as one would be.
    silent: HashSet<Box<str>>,
}

impl<'a> Ownership<'a> {
    pub(super) fn new(queue: &'a TaskQueue, peer: Arc<str>) -> Ownership<'a> {
        Ownership { queue, peer, seen: RefCell::default() }
    }

    /// Whether the claim's peer owns the task, or somebody who would not come for it.
    pub(super) fn owns(&self, candidate: &Candidate) -> bool {
        let mut seen = self.seen.borrow_mut();
        let seen = match &mut *seen {
            Some(seen) if seen.at.elapsed() < STALE_TIME => seen,
            other => other.insert(self.look()),
        };
        // Alone, it owns everything.
        if seen.owners.len() <= 1 {
            return true;
        }
        let hash = task_hash(&candidate.id.to_string(), &candidate.task_type, &candidate.model_name);
        let owner = seen.owners.owner(&hash);
        owner == Some(&*self.peer) || owner.is_some_and(|owner| seen.silent.contains(owner))
    }

    fn look(&self) -> Seen {
        let at = Instant::now();
        let state = lock(&self.queue.state);
        let options = &self.queue.options;
        let hold = options.limits.duration(Limit::OwnershipHoldTime);
        let (mut peers, mut silent) = (Vec::<Box<str>>::new(), HashSet::new());
        for (member, is_heard) in state.members.owners(at, options.peer_timeout, hold) {
            peers.push(member.peer_id.clone());
            if !is_heard {
                silent.insert(member.peer_id.clone());
            }
        }
        if !peers.iter().any(|peer| **peer == *self.peer) {
            peers.push((&*self.peer).into());
        }
        let is_alone = peers.len() == 1;
        let clock = if is_alone { String::new() } else { state.clock.root().to_owned() };
        drop(state);
        if is_alone {
            // It owns everything, whatever the digests are.
            return Seen { at, owners: Owners::new("", []), silent };
        }
        // The digests of many peers take a while, which nobody else should wait for.
        Seen { at, owners: Owners::new(&clock, peers), silent }
    }
}
