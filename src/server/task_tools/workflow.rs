//! What the tools of the workflow scheduler run on: the core that took their call.

use std::rc::Rc;

use super::Nodes;
use crate::limits::Limit;
use crate::p2p::address::peer_id;
use crate::server::core::CoreState;
use crate::store::{LocalStore, Workflows};
use crate::tools::task_queue::{Refused, TaskQueueNode};
use crate::tools::workflow::{WorkflowNode, WorkflowNodes};

impl WorkflowNodes for Nodes {
    fn on_core(&self, index: usize) -> Option<Rc<dyn WorkflowNode>> {
        let core = self.find(index)?;
        Some(core)
    }
}

impl WorkflowNode for CoreState {
    fn workflows(&self) -> Option<Workflows> {
        self.store.as_ref().map(LocalStore::workflows)
    }

    fn admit(&self, full_access: bool) -> Result<(), Refused> {
        self.may_read(full_access)
    }

    fn tell(&self, peer: &str) {
        let myself = self.shared.p2p.as_ref().map(|p2p| p2p.task_queue.peer_id());
        if let Some(peer) = peer_id(peer).ok().filter(|_| myself != Some(peer)) {
            self.errands.tell(peer);
        }
    }

    fn hit(&self, limit: Limit) {
        self.metrics().hit(limit);
    }
}
