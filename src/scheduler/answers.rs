//! The answers of the workflow tools, but for the `tool` and `timestamp` that each of them gets.

use serde::Serialize;

use super::MerkleClock;
use super::machine::Scheduler;
use super::request::{NextTask, Refusal, Submitted};
use crate::queue::Now;

/// A peer that was heard of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnownPeer {
    /// Its id.
    pub peer_id: Box<str>,
    /// When it was heard of last, in milliseconds since the epoch.
    pub last_seen_ms: u64,
    /// Whether it may own tasks that are submitted now.
    pub is_member: bool,
}

/// The answer of `p2p_scheduler_status`.
#[derive(Debug, Clone, Serialize)]
pub struct StatusAnswer {
    /// Always true.
    pub success: bool,
    /// This node.
    pub peer_id: Box<str>,
    /// Its clock.
    pub merkle_clock: MerkleClock,
    /// Tasks that nobody has, whoever holds them.
    pub pending_tasks: usize,
    /// Tasks that somebody has.
    pub assigned_tasks: usize,
    /// Tasks that are done and still kept.
    pub completed_tasks: usize,
    /// Pending tasks that this node would give out.
    pub queue_size: usize,
    /// How many peers were heard of.
    pub known_peers: usize,
}

/// The answer of `p2p_submit_task`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubmitAnswer {
    /// Always true; a refusal is a [`FailedAnswer`].
    pub success: bool,
    /// The task.
    #[serde(flatten)]
    pub submitted: Submitted,
}

/// The answer of `p2p_get_next_task`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NextAnswer {
    /// Always true.
    pub success: bool,
    /// The task; null where this node has none to give.
    pub task: Option<NextTask>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'static str>,
}

/// The answer of `p2p_mark_task_complete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CompleteAnswer {
    /// Always true; a refusal is a [`FailedAnswer`].
    pub success: bool,
    /// The task.
    pub task_id: Box<str>,
    /// Whether it was done before.
    pub already_completed: bool,
}

/// The answer of `p2p_update_peer_state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeerStateAnswer {
    /// Always true.
    pub success: bool,
    /// The peer.
    pub peer_id: Box<str>,
}

/// The answer of a tool that refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedAnswer {
    /// Always false.
    pub success: bool,
    /// A stable code.
    pub error: &'static str,
    /// A sentence that says what to do.
    pub message: String,
}

impl From<Submitted> for SubmitAnswer {
    fn from(submitted: Submitted) -> SubmitAnswer {
        SubmitAnswer { success: true, submitted }
    }
}

impl From<Option<NextTask>> for NextAnswer {
    fn from(task: Option<NextTask>) -> NextAnswer {
        let message = task.is_none().then_some("this node has no task to give out now");
        NextAnswer { success: true, task, message }
    }
}

impl CompleteAnswer {
    /// Of this task, which was done before or is so now.
    pub fn new(task_id: impl Into<Box<str>>, already_completed: bool) -> CompleteAnswer {
        CompleteAnswer { success: true, task_id: task_id.into(), already_completed }
    }
}

impl From<&Refusal> for FailedAnswer {
    fn from(refusal: &Refusal) -> FailedAnswer {
        FailedAnswer { success: false, error: refusal.code(), message: refusal.to_string() }
    }
}

impl Scheduler {
    /// The answer of `p2p_scheduler_status`.
    pub fn status(&self) -> StatusAnswer {
        let counts = self.counts();
        StatusAnswer {
            success: true,
            peer_id: (&*self.me).into(),
            merkle_clock: self.clock.clone(),
            pending_tasks: counts.pending,
            assigned_tasks: counts.assigned,
            completed_tasks: counts.completed,
            queue_size: counts.ready,
            known_peers: self.known_peer_count(),
        }
    }

    /// The peers that were heard of, by id.
    pub fn known_peers(&self, now: Now) -> Vec<KnownPeer> {
        let heard = self.peers.iter().filter(|(_, peer)| peer.last_seen_ms > 0);
        let mut known: Vec<_> = heard
            .map(|(id, peer)| KnownPeer {
                peer_id: (&**id).into(),
                last_seen_ms: peer.last_seen_ms,
                is_member: self.peers.is_member(id, now),
            })
            .collect();
        known.sort_unstable_by(|a, b| a.peer_id.cmp(&b.peer_id));
        known
    }
}
