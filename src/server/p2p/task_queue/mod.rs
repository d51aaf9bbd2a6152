//! `/ipfs-datasets/task-queue/1.0.0` on one core: a line in, a line out, and the stream is over.
//!
//! The main path: [`serve_task_queue_stream`] → `stream` (the line, its deadlines, the answer) → [`TaskQueueHost`] →
//! [`TaskQueue::answer`] → `tools` (a tool of this server, through its dispatcher).

mod stream;
#[cfg(test)]
mod tests;
mod tools;

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures_lite::FutureExt;

#[allow(unused_imports, reason = "the node names it where it is wired in")]
pub(crate) use stream::serve_task_queue_stream;

use super::mcp::TaskQueueRpc;
use crate::config::ServerConfig;
use crate::observe::CoreMetrics;
use crate::p2p::access::Policy;
use crate::p2p::task_queue::{Answered, Caller, Now, Services, TaskQueue, TaskQueueOptions};
use crate::p2p::{LocalBoxFuture, PeerId, Remote};
use crate::server::core::CoreState;
use tools::Tools;

/// What every request of one core is answered with, whichever protocol brought it.
pub(crate) struct TaskQueueHost {
    core: Rc<CoreState>,
    queue: Arc<TaskQueue>,
}

/// The task queue of a process, as it is configured.
pub(crate) fn task_queue(config: &ServerConfig, peer_id: &str) -> Arc<TaskQueue> {
    Arc::new(TaskQueue::new(TaskQueueOptions {
        peer_id: peer_id.into(),
        policy: policy(config),
        call_tool: config.p2p_call_tool,
        cache: config.p2p_cache,
        session: config.p2p_session.as_deref().unwrap_or_default().into(),
        deterministic: config.p2p_deterministic,
        peer_timeout: std::time::Duration::from_millis(config.p2p_peer_timeout_ms),
        limits: config.limits.clone(),
    }))
}

/// Who may change state, as it is configured.
pub(crate) fn policy(config: &ServerConfig) -> Policy {
    let token = config.p2p_token.as_ref().map(|token| token.0.as_str());
    // The settings take nothing that is no peer id.
    let allowed = config.p2p_allow_peers.iter().filter_map(|peer| crate::p2p::address::peer_id(peer).ok());
    Policy::new(config.p2p_open, token, allowed.collect::<Vec<PeerId>>())
}

/// The time.
pub(crate) fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Now { instant: Instant::now(), unix_s: since.map_or(0.0, |since| since.as_secs_f64()) }
}

/// Answers a request of a client of this node's own tools, which are counted by themselves.
pub(crate) async fn answer_own(core: &Rc<CoreState>, queue: &TaskQueue, request: &[u8]) -> Answered {
    let tools = Tools { core };
    let caller = Caller { remote: None, now: now() };
    let answered = queue
        .answer(request, &caller, &Services { tools: &tools, store: core.store.as_ref(), fetches: None })
        .await;
    if let Some(limit) = answered.limit {
        core.metrics().hit(limit);
    }
    answered
}

impl TaskQueueHost {
    pub(crate) fn new(core: Rc<CoreState>, queue: Arc<TaskQueue>) -> Rc<TaskQueueHost> {
        Rc::new(TaskQueueHost { core, queue })
    }

    /// Answers one request. A panic costs its request and nothing else.
    async fn answer(&self, request: &[u8], remote: &Remote) -> Answered {
        let now = now();
        let _counted = InProgress::new(self.core.metrics());
        let tools = Tools { core: &self.core };
        let caller = Caller { remote: Some(remote), now };
        let services =
            Services { tools: &tools, store: self.core.store.as_ref(), fetches: Some(&self.core.errands) };
        let answering = AssertUnwindSafe(self.queue.answer(request, &caller, &services));
        let answered = answering.catch_unwind().await.unwrap_or_else(|_| {
            self.core.metrics().panicked();
            tracing::error!(core = self.core.index, "a request of the task queue RPC ended in a panic");
            self.queue.internal_error()
        });
        self.note(&answered, now.instant);
        answered
    }

    /// Counts an answer.
    fn note(&self, answered: &Answered, begun_at: Instant) {
        let metrics = self.core.metrics();
        // An index that is none is counted as `_other`.
        metrics.p2p_operation(answered.operation, answered.error.is_some(), begun_at.elapsed());
        if let Some(limit) = answered.limit {
            metrics.hit(limit);
        }
    }
}

impl TaskQueueRpc for TaskQueueHost {
    fn answer<'a>(&'a self, request: &'a str, remote: &'a Remote) -> LocalBoxFuture<'a, Vec<u8>> {
        Box::pin(async move { TaskQueueHost::answer(self, request.as_bytes(), remote).await.json })
    }
}

/// A request that is being answered, for the counters.
struct InProgress<'a>(&'a CoreMetrics);

impl<'a> InProgress<'a> {
    fn new(metrics: &'a CoreMetrics) -> Self {
        metrics.request_started();
        Self(metrics)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}
