//! The node of one core: its connections, whether accepted or dialled, and their limits.
//!
//! The main path of an accepted connection: [`Node::accept`] (limits) → `accept` (handshake, who it is) → `connection`
//! (its one task, watched by `watch`) → `streams` (each stream to its protocol). The main path of a call to another
//! peer: [`Node::open`] → `registry` (a connection that is there) or `dial` (a new one).

#![allow(
    clippy::result_large_err,
    reason = "an error of a dial names both peers, and a dial that failed has taken milliseconds"
)]

mod accept;
mod backoff;
mod connection;
mod dial;
mod error;
mod identifying;
mod lists;
mod options;
mod registry;
mod shared;
mod streams;
mod time;
mod watch;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event_listener::Event;

use super::identity::Identity;
use super::{PeerId, Service};
use crate::observe::{CoreMetrics, Metrics};
use crate::runtime::{self, Scope};
use backoff::Backoff;
use connection::Connection;
use dial::Dials;
use registry::Registry;

pub(crate) use accept::Handshake;
pub use error::DialError;
pub use options::NodeOptions;
pub use shared::NodeShared;

/// How long a closing connection has to say good-bye.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// How far the end of a node has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Serving,
    /// It takes no connections, and soon no streams; those that are there go on.
    Draining(Instant),
    /// Its connections close now.
    Closing,
}

/// libp2p on one core. It never leaves its thread; its tasks live in the scope that it was given.
pub struct Node {
    shared: Arc<NodeShared>,
    service: Option<Rc<dyn Service>>,
    /// What streams may ask for: the protocols of every node, then those of the service.
    protocols: Box<[&'static str]>,
    scope: Scope,
    metrics: Arc<Metrics>,
    core: usize,
    handshakes: Cell<u64>,
    life: Cell<Life>,
    connections: RefCell<Registry<Rc<Connection>>>,
    dials: Dials,
    backoff: RefCell<Backoff>,
    /// A connection has ended.
    ended: Event,
}

impl Node {
    /// A node on this core. `metrics` counts it in the block with the index `core`. Its tasks run in the queue of `scope`,
    /// which is to be one that hears of other threads at once.
    pub fn new(
        shared: Arc<NodeShared>,
        service: Option<Rc<dyn Service>>,
        scope: Scope,
        metrics: Arc<Metrics>,
        core: usize,
    ) -> Rc<Node> {
        let served = service.as_ref().map_or(&[][..], |service| service.protocols());
        let protocols = shared::INHERENT.iter().chain(served).copied().collect();
        Rc::new(Node {
            shared,
            service,
            protocols,
            scope,
            metrics,
            core,
            handshakes: Cell::new(0),
            life: Cell::new(Life::Serving),
            connections: RefCell::default(),
            dials: Dials::default(),
            backoff: RefCell::default(),
            ended: Event::new(),
        })
    }

    /// A node that only dials: it serves nothing but what every node does, and only to those it dialled.
    pub fn client(scope: Scope, identity: Identity, options: NodeOptions) -> Rc<Node> {
        let shared = NodeShared::new(identity, options, Vec::new(), &[]);
        let metrics = Metrics::new(&[0], NodeShared::names(&[]));
        Self::new(shared, None, scope, metrics, 0)
    }

    /// What it shares with the other cores.
    pub fn shared(&self) -> &Arc<NodeShared> {
        &self.shared
    }

    /// Its peer id, the same on every core.
    pub fn peer_id(&self) -> PeerId {
        self.shared.identity().peer_id()
    }

    /// What this core counts.
    pub fn metrics(&self) -> &CoreMetrics {
        self.metrics.core(self.core)
    }

    /// Its open connections.
    pub fn connections(&self) -> usize {
        self.connections.borrow().len()
    }

    /// Whether this core has a connection to the peer that can be used.
    pub fn is_connected(&self, peer: &PeerId) -> bool {
        self.connections.borrow_mut().find(*peer).is_some()
    }

    /// Accepted connections, those in their handshake included: what a drain waits for.
    pub fn accepted(&self) -> usize {
        let connections = self.connections.borrow();
        connections.len() - connections.dialled() + usize::try_from(self.handshakes.get()).unwrap_or(0)
    }

    /// Begins the end: no connection is accepted any more. Streams that peers open are taken for a quarter of a second,
    /// for what was on its way; then each accepted connection closes, in order, when its last stream has ended. Peers can
    /// still be dialled, for the sake of what is in progress.
    pub fn drain(&self) {
        if self.life.get() == Life::Serving {
            self.life.set(Life::Draining(runtime::coarse_now()));
            self.wake_connections();
        }
    }

    /// Closes every connection, in order, whatever is in progress on it; resolves once they are gone, after a second at
    /// the latest. Nothing is accepted or dialled any more.
    pub async fn close(&self) {
        self.shut();
        let gone = async {
            while self.connections() > 0 {
                let ended = self.ended.listen();
                if self.connections() > 0 {
                    ended.await;
                }
            }
        };
        if time::within(CLOSE_TIME, gone).await.is_none() {
            let left = self.connections.borrow().all();
            left.iter().for_each(|connection| connection.handle.abort());
        }
    }

    /// As [`Node::close`], without waiting for the end.
    pub fn shut(&self) {
        self.life.set(Life::Closing);
        self.wake_connections();
    }

    fn wake_connections(&self) {
        // They are taken out first: waking may run code that opens or ends a connection.
        let connections = self.connections.borrow().all();
        connections.iter().for_each(|connection| connection.wake());
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("peer_id", &self.shared.identity().base58())
            .field("connections", &self.connections())
            .field("life", &self.life.get())
            .finish_non_exhaustive()
    }
}
