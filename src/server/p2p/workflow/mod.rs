//! Workflow tasks among peers, on one core: heartbeats that cannot wait, and the fetching of what peers have.
//!
//! The main path: somebody notes an [`Errand`] → [`run`] starts it, where [`Exchanges`] gives it a turn → a heartbeat,
//! where there is something to tell → `fetch`, where the peer has something.

mod errands;
mod exchanges;
mod fetch;

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_lite::FutureExt as _;

use errands::Errand;
pub(crate) use errands::Errands;
pub(super) use exchanges::Exchanges;
use exchanges::{Ended, Turn};

use super::P2p;
use super::heartbeat;
use super::reach;
use crate::mcp::lock;
use crate::p2p::PeerId;
use crate::p2p::node::Node;
use crate::runtime::{self, Scope};
use crate::server::core::CoreState;

/// Errands of a core that run at once.
const AT_ONCE: usize = 8;
/// An errand that tells something is tried so often again; after that the next heartbeat has to do.
const MAX_RETRIES: u8 = 2;
/// The longest that one may take; what is not fetched then is so after the next heartbeat.
const LONGEST: Duration = Duration::from_secs(60);

/// Runs the errands of this core until its scope is cancelled or the server shuts down.
pub(super) async fn run(core: Rc<CoreState>, node: Rc<Node>, scope: Scope) {
    let Some(p2p) = &core.shared.p2p else { return };
    let running = Rc::new(Cell::new(0));
    let stopped = || scope.cancelled().or(async { core.shared.stop.stopped().await });
    let work = async {
        loop {
            let changed = core.errands.changed();
            while running.get() < AT_ONCE {
                let Some((peer, errand)) = core.errands.take(Instant::now()) else { break };
                start(&core, &node, p2p, &scope, &running, (peer, errand));
            }
            let due = core.errands.next_due().filter(|_| running.get() < AT_ONCE);
            let late = async {
                match due {
                    Some(due) => runtime::sleep(due.saturating_duration_since(Instant::now())).await,
                    None => pending().await,
                }
            };
            changed.or(late).await;
        }
    };
    work.or(stopped()).await;
}

/// Begins an errand where its peer's turn has come.
fn start(
    core: &Rc<CoreState>,
    node: &Rc<Node>,
    p2p: &P2p,
    scope: &Scope,
    running: &Rc<Cell<usize>>,
    (peer, errand): (PeerId, Errand),
) {
    match lock(&p2p.exchanges).begin(peer, Instant::now()) {
        Turn::Now => {}
        Turn::At(due) => return core.errands.put_off(peer, Errand { due, ..errand }),
        Turn::Taken | Turn::No => return,
    }
    running.set(running.get() + 1);
    let place = Place { core: core.clone(), running: running.clone(), peer, errand, worked: false };
    // Where the scope is closing, the place is dropped with the task.
    let _ = scope.spawn("workflow exchange", carry_out(place, node.clone(), scope.clone()));
}

async fn carry_out(mut place: Place, node: Rc<Node>, scope: Scope) {
    let peer = place.peer;
    let late = async {
        runtime::sleep(LONGEST).await;
        Err(format!("it took longer than {} s", LONGEST.as_secs()))
    };
    let stopped = async {
        scope.cancelled().or(async { place.core.shared.stop.stopped().await }).await;
        Ok(())
    };
    let done = one(&place.core, &node, peer, place.errand).or(late).or(stopped).await;
    place.worked = done.is_ok();
    if let Err(error) = done {
        tracing::debug!(%peer, "exchanging workflow tasks failed: {error}");
    }
}

/// A running errand; when it is dropped, its peer's turn ends.
struct Place {
    core: Rc<CoreState>,
    running: Rc<Cell<usize>>,
    peer: PeerId,
    errand: Errand,
    worked: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.running.set(self.running.get() - 1);
        let Some(p2p) = &self.core.shared.p2p else { return };
        let ended = lock(&p2p.exchanges).end(&self.peer, self.worked, Instant::now());
        let (errands, failures) = (&self.core.errands, self.errand.failures + 1);
        match ended {
            // What happened meanwhile may be for the peer, or from it.
            Ended::Again => errands.add(self.peer, Errand { tell: true, failures: 0, ..self.errand }),
            // A peer that has just connected may not have said yet where it listens.
            Ended::Badly(due) if self.errand.tell && failures <= MAX_RETRIES => {
                errands.put_off(self.peer, Errand { due, failures, ..self.errand });
            }
            Ended::Badly(_) | Ended::Well => {}
        }
        errands.wake();
    }
}

/// One errand: a heartbeat where there is something to tell, then what the peer has.
async fn one(core: &Rc<CoreState>, node: &Rc<Node>, peer: PeerId, errand: Errand) -> Result<(), String> {
    let Some(p2p) = &core.shared.p2p else { return Ok(()) };
    let target = reach::find(p2p, node, peer, errand.address);
    let target = target.ok_or("no address of it is known that may be dialled")?;
    if errand.tell && !heartbeat::send(core, node, p2p, &target).await? {
        return Ok(());
    }
    fetch::all(core, node, p2p, &target).await
}
