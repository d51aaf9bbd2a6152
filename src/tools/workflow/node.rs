//! What the tools ask of the server that runs them.

use std::rc::Rc;

use crate::limits::Limit;
use crate::store::Workflows;
use crate::tools::task_queue::Refused;

/// Finds the node on the core that runs a call; tools are shared by all cores, nodes are not.
pub(crate) trait WorkflowNodes: Send + Sync + 'static {
    /// The node of the core with this number, on whose thread this is called. `None` before it serves and after.
    fn on_core(&self, core: usize) -> Option<Rc<dyn WorkflowNode>>;
}

/// One node of the workflow scheduler, on one core.
pub(crate) trait WorkflowNode {
    /// Its tasks; `None` where it keeps none.
    fn workflows(&self) -> Option<Workflows>;

    /// Whether a caller may read at all.
    ///
    /// # Errors
    /// It shows no shared token, though there is one.
    fn admit(&self, full_access: bool) -> Result<(), Refused>;

    /// A peer has something to fetch here: it hears of it soon. What is no peer's id is let be.
    fn tell(&self, peer_id: &str);

    /// Counts that a limit was hit.
    fn hit(&self, limit: Limit);
}
