//! Which node reaches a peer for the tools: the core's own or, for comparison, a new one for each call.

use std::ops::Deref;
use std::rc::Rc;

use crate::p2p::identity::Identity;
use crate::p2p::node::{Node, NodeOptions};
use crate::runtime::Scope;
use crate::server::core::CoreState;

/// A node for one call to a peer; one that was made for it ends with it.
pub(super) struct Dialler {
    node: Rc<Node>,
    made: bool,
}

impl Dialler {
    /// The node that `core` uses for a call; `None` while it reaches nobody.
    pub(super) fn of(core: &CoreState) -> Option<Self> {
        let node = core.node()?;
        Some(match core.dials_anew.get() {
            None => Self { node, made: false },
            Some(scope) => {
                let (identity, options) = (Identity::ephemeral(), NodeOptions::default());
                Self { node: Node::client(scope.clone(), identity, options), made: true }
            }
        })
    }
}

impl CoreState {
    /// From now on each call to a peer makes a node of its own, in `scope`.
    pub(in crate::server) fn dial_anew(&self, scope: Scope) {
        // Whoever says it twice means the same.
        let _ = self.dials_anew.set(scope);
    }
}

impl Deref for Dialler {
    type Target = Rc<Node>;

    fn deref(&self) -> &Rc<Node> {
        &self.node
    }
}

impl Drop for Dialler {
    fn drop(&mut self) {
        if self.made {
            self.node.shut();
        }
    }
}
