//! Reaching a peer: the connection that is there, or a new one; one dial at a time for each address.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use event_listener::{Event, EventListener};

use super::connection::{Connection, Member};
use super::time::within;
use super::{DialError, Life, Node};
use crate::limits::{Limit, Place};
use crate::observe::metrics::DialFailure;
use crate::p2p::address::PeerAddress;
use crate::p2p::outbound::DialTarget;
use crate::p2p::stack::{Driver, Handle, HandshakeError, OpenError, PeerStream, Role, upgrade_with};
use crate::p2p::{PeerId, Remote, Via};
use crate::runtime::{self, AsyncStream};

/// The dials in progress.
#[derive(Default)]
pub(super) struct Dials {
    running: RefCell<HashMap<DialTarget, Rc<Event>>>,
}

/// Whose turn it is to dial. Another address of the same peer is dialled by itself: who names a wrong one must not hold
/// those up who know the right one.
enum Turn<'a> {
    Mine(Mine<'a>),
    /// Somebody else's; it is heard of when that has ended.
    Others(EventListener),
}

/// The turn to dial; those who wait are told when it is dropped.
struct Mine<'a> {
    dials: &'a Dials,
    target: DialTarget,
}

impl Dials {
    fn turn(&self, target: &DialTarget) -> Turn<'_> {
        let mut running = self.running.borrow_mut();
        if let Some(other) = running.get(target) {
            return Turn::Others(other.listen());
        }
        running.insert(target.clone(), Rc::new(Event::new()));
        Turn::Mine(Mine { dials: self, target: target.clone() })
    }
}

impl Drop for Mine<'_> {
    fn drop(&mut self) {
        let ended = self.dials.running.borrow_mut().remove(&self.target);
        if let Some(ended) = ended {
            ended.notify(usize::MAX);
        }
    }
}

/// What is left until `until`.
fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

impl Node {
    /// [`Node::open_to`] an address that the operator or the user wrote, wherever it leads. What callers and peers name
    /// is judged by a [`DialPolicy`](crate::p2p::outbound::DialPolicy) first.
    ///
    /// # Errors
    /// [`DialError`]; nothing was sent on a stream.
    pub async fn open(
        self: &Rc<Self>,
        target: &PeerAddress,
        protocols: &'static [&'static str],
    ) -> Result<(PeerStream, usize, Rc<Remote>), DialError> {
        self.open_to(&DialTarget::written(target.clone()), protocols).await
    }

    /// Opens a stream to a peer for one of the protocols, of which the second value is the index. A connection of this
    /// core to the peer is used, whoever dialled it; otherwise the peer is dialled, with the id checked, and only where
    /// the target may lead. It ends within `p2p_dial_timeout_ms`. Dropping the future gives up and leaves nothing behind.
    ///
    /// A single protocol is taken for granted until the first read, see [`Handle::open`].
    ///
    /// # Errors
    /// [`DialError`]; nothing was sent on a stream.
    pub async fn open_to(
        self: &Rc<Self>,
        target: &DialTarget,
        protocols: &'static [&'static str],
    ) -> Result<(PeerStream, usize, Rc<Remote>), DialError> {
        let address = target.address();
        if address.peer_id == self.peer_id() {
            return Err(DialError::Own);
        }
        if self.shared.lists.denies(&address.peer_id) {
            return Err(DialError::Denied(address.clone()));
        }
        let time = self.shared.limits().duration(Limit::P2pDialTime);
        let until = Instant::now() + time;
        loop {
            let (connection, fresh) = self.connection_to(target, until).await?;
            match within(left(until), connection.handle.open(protocols)).await {
                Some(Ok((stream, index))) => return Ok((stream, index, connection.remote.clone())),
                // It broke while nobody looked, and nothing was sent on it.
                Some(Err(OpenError::Closed)) if !fresh => {}
                Some(Err(error)) => return Err(DialError::Open(address.clone(), error)),
                None => return Err(DialError::Timeout(address.clone(), time)),
            }
        }
    }

    /// A connection to the peer, and whether it was dialled just now.
    async fn connection_to(
        self: &Rc<Self>,
        target: &DialTarget,
        until: Instant,
    ) -> Result<(Rc<Connection>, bool), DialError> {
        let address = target.address();
        loop {
            let found = self.connections.borrow_mut().find(address.peer_id);
            if let Some(connection) = found {
                return Ok((connection, false));
            }
            if self.life.get() == Life::Closing {
                return Err(DialError::Closing);
            }
            self.check_recent(target)?;
            match self.dials.turn(target) {
                Turn::Mine(_mine) => {
                    return self.dial(target, until).await.map(|connection| (connection, true));
                }
                Turn::Others(ended) => {
                    let time = self.shared.limits().duration(Limit::P2pDialTime);
                    let timeout = || DialError::Timeout(address.clone(), time);
                    within(left(until), ended).await.ok_or_else(timeout)?;
                }
            }
        }
    }

    fn check_recent(&self, target: &DialTarget) -> Result<(), DialError> {
        let backoff = self.backoff.borrow();
        let Some((failure, left)) = backoff.find(target, Instant::now()) else { return Ok(()) };
        let (why, message) = (failure.why, failure.message.clone());
        Err(DialError::Recent { target: target.address().clone(), left, why, message })
    }

    /// Dials within the time, counts it, and remembers a failure of the peer.
    async fn dial(self: &Rc<Self>, target: &DialTarget, until: Instant) -> Result<Rc<Connection>, DialError> {
        let begun_at = Instant::now();
        let time = self.shared.limits().duration(Limit::P2pDialTime);
        let dialled = within(left(until), Box::pin(self.dial_once(target))).await;
        let dialled = dialled.unwrap_or_else(|| Err(DialError::Timeout(target.address().clone(), time)));
        let failure = dialled.as_ref().err().and_then(DialError::failure);
        self.metrics().p2p().dialled(failure, begun_at.elapsed());
        match (&dialled, failure) {
            (Ok(_), _) => self.backoff.borrow_mut().reached(target),
            (Err(DialError::Limit(limit)), _) => self.metrics().hit(*limit),
            (Err(error), Some(why)) => {
                if why == DialFailure::Timeout {
                    self.metrics().hit(Limit::P2pDialTime);
                }
                self.backoff.borrow_mut().failed(target, why, error.to_string(), Instant::now());
            }
            _ => {}
        }
        dialled
    }

    async fn dial_once(self: &Rc<Self>, target: &DialTarget) -> Result<Rc<Connection>, DialError> {
        self.room()?;
        let total = self.shared.connections.try_enter().ok_or(DialError::Limit(Limit::P2pConnections))?;
        let time = self.shared.limits().duration(Limit::P2pDialTime);
        let found = target.addresses(time).await;
        let target = target.address();
        let found = found.map_err(|refusal| DialError::Refused(target.clone(), refusal))?;
        let stream = runtime::connect_any(&found, time).await;
        let stream = stream.map_err(|error| DialError::Connect(target.clone(), error))?;
        let address = stream.peer_addr();
        let stack = self.shared.stack();
        let role = Role::Dialer { expected: Some(target.peer_id) };
        let failed = |error| match error {
            HandshakeError::WrongPeer { .. } => DialError::WrongPeer(target.clone(), error),
            error => DialError::Handshake(target.clone(), error),
        };
        let key = self.shared.noise_key().map_err(failed)?;
        let upgraded = upgrade_with(AsyncStream::new(stream), role, key, &stack).await;
        let (handle, driver, peer_id) = upgraded.map_err(failed)?;
        if let Some(unused) = self.room()? {
            self.metrics().hit(Limit::P2pPoolConnections);
            unused.close();
        }
        self.adopt(handle, driver, peer_id, address, total)
    }

    /// Spawns the task of a connection that was dialled.
    fn adopt(
        self: &Rc<Self>,
        handle: Handle,
        driver: Driver<AsyncStream>,
        peer_id: PeerId,
        address: SocketAddr,
        total: Place,
    ) -> Result<Rc<Connection>, DialError> {
        let via = Via::Dialled;
        let place = self.shared.peers().connected(&peer_id, address, via, Instant::now());
        let place = place.map_err(DialError::Limit)?;
        let remote = Remote { peer_id, principal: peer_id.to_base58().into(), address, via };
        tracing::debug!(peer = %remote.principal, %address, "dialled");
        let connection = Connection::new(self, handle, remote, place, total);
        let member = Member::new(self, connection.clone());
        let spawned = self.scope.spawn("p2p connection", member.run(driver));
        spawned.map(|()| connection).map_err(|_closed| DialError::Closing)
    }

    /// Whether one more dialled connection may be kept, and which one makes room for it.
    fn room(&self) -> Result<Option<Rc<Connection>>, DialError> {
        let connections = self.connections.borrow();
        if (connections.kept() as u64) < self.shared.limits().max_p2p_pool_connections {
            return Ok(None);
        }
        connections.unused_for_longest().map(Some).ok_or(DialError::Limit(Limit::P2pPoolConnections))
    }
}
