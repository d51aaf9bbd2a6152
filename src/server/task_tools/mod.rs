//! What the tools of the task queue and of workflows run on: the core that took their call, its node, and its way to peers.
//!
//! The main path: a tool asks [`Nodes`] for the core on its thread → [`CoreState`] as a [`TaskQueueNode`] → the task
//! queue of this node, or `peer` (whom to dial, the token, the stream) → `exchange` (the protocol that the peer speaks).

mod dialler;
mod exchange;
mod known;
mod peer;
mod watch;
mod workflow;

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(super) use watch::tell_changes;

use super::core::CoreState;
use super::p2p::task_queue::answer_own;
use crate::config::ServerConfig;
use crate::limits::Limits;
use crate::mcp::{Registry, TOKEN_KEY};
use crate::p2p::LocalBoxFuture;
use crate::tools::task_queue::{Answer, KnownPeer, Myself, Refused, Target, TaskQueueNode, TaskQueueNodes};
use crate::tools::workflow::WorkflowNodes;

/// Tells the servers of a process apart: embedded ones may share a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerId(u64);

impl ServerId {
    /// One that no other server has.
    pub(super) fn new() -> ServerId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        ServerId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

thread_local! {
    /// The cores on this thread: one, unless somebody embeds several servers.
    static CORES: RefCell<Vec<Weak<CoreState>>> = const { RefCell::new(Vec::new()) };
}

/// Lets tools find the core on its thread, for as long as it lives.
pub(super) fn enter(core: &Rc<CoreState>) {
    CORES.with_borrow_mut(|cores| {
        cores.retain(|core| core.strong_count() > 0);
        cores.push(Rc::downgrade(core));
    });
}

/// A core on this thread, the last that came, whichever server it belongs to.
pub(super) fn any_here() -> Option<Rc<CoreState>> {
    CORES.with_borrow(|cores| cores.iter().rev().find_map(Weak::upgrade))
}

/// The cores of one server.
struct Nodes(ServerId);

impl Nodes {
    fn find(&self, index: usize) -> Option<Rc<CoreState>> {
        let is_it = |core: &Rc<CoreState>| core.index == index && core.shared.id == self.0;
        CORES.with_borrow(|cores| cores.iter().filter_map(Weak::upgrade).find(is_it))
    }
}

impl TaskQueueNodes for Nodes {
    fn on_core(&self, index: usize) -> Option<Rc<dyn TaskQueueNode>> {
        let core = self.find(index)?;
        Some(core)
    }
}

/// Adds the tools of the task queue with its resources, and those of the workflow scheduler, where they are switched on.
pub(super) fn register(registry: Registry, config: &ServerConfig, limits: &Limits, id: ServerId) -> Registry {
    let mut registry = registry;
    if config.p2p && config.p2p_tools && config.taskqueue_tools {
        let nodes: Arc<dyn TaskQueueNodes> = Arc::new(Nodes(id));
        let has_token = config.p2p_token.is_some();
        registry = crate::tools::task_queue::register(registry, &nodes, limits, has_token);
    }
    if config.p2p && config.p2p_tools && config.workflow_tools {
        let nodes: Arc<dyn WorkflowNodes> = Arc::new(Nodes(id));
        registry = crate::tools::workflow::register(registry, &nodes);
    }
    registry
}

impl TaskQueueNode for CoreState {
    fn here(self: Rc<Self>, request: String, full_access: bool) -> LocalBoxFuture<'static, Answer> {
        Box::pin(async move { here(&self, &request, full_access).await })
    }

    fn peer(
        self: Rc<Self>,
        target: Target,
        request: String,
        patience: Duration,
    ) -> LocalBoxFuture<'static, Result<String, Refused>> {
        Box::pin(async move { peer::ask(&self, &target, request, patience).await })
    }

    fn may_read(&self, full_access: bool) -> Result<(), Refused> {
        match &self.shared.p2p {
            Some(p2p) if !full_access && p2p.policy.has_token() => {
                let message = format!(
                    "this node has a shared token, and whoever does not show it learns nothing of its tasks and peers: \
                     send it in params._meta[\"{TOKEN_KEY}\"]"
                );
                Err(Refused::new("unauthorized", message))
            }
            _ => Ok(()),
        }
    }

    fn max_json_depth(&self) -> usize {
        usize::try_from(self.shared.limits.max_json_depth).unwrap_or(usize::MAX)
    }

    fn myself(&self) -> Myself {
        known::myself(&self.shared)
    }

    fn peers(&self, limit: usize) -> Vec<KnownPeer> {
        self.shared.p2p.as_ref().map(|p2p| known::peers(p2p, limit)).unwrap_or_default()
    }
}

/// Has this node answer. Peers that may only read are told no more here than over the task queue RPC: nothing, where
/// there is a shared token.
async fn here(core: &Rc<CoreState>, request: &str, full_access: bool) -> Answer {
    let Some(p2p) = &core.shared.p2p else { return no_queue().into() };
    if let Err(refused) = core.may_read(full_access) {
        return refused.into();
    }
    let answered = answer_own(core, &p2p.task_queue, request.as_bytes()).await;
    let ok = answered.error.is_none();
    match String::from_utf8(answered.json) {
        Ok(json) => Answer { json, ok },
        Err(_) => Refused::new("internal_error", "the answer of this node is no text").into(),
    }
}

fn no_queue() -> Refused {
    Refused::new("queue_unavailable", "this node has no task queue: p2p is switched off")
}
