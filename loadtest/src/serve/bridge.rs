//! The bridge: a bounded channel to the executor behind it, and an answer for each request.

use std::sync::mpsc as std_mpsc;

use ringmesh::http::RequestReader;
use tokio::sync::{mpsc, oneshot};

use super::behind::{self, Behind};
use super::{START_WITHIN, ServeArgs, Variant, announce, front};

/// Requests that may be on their way over the bridge at once; more wait in front of it.
const CAPACITY: usize = 4096;

/// A request on its way over the bridge: the reader that holds it, and where its answer goes.
#[derive(Debug)]
pub(super) struct Crossing {
    pub(super) reader: RequestReader,
    pub(super) answer: oneshot::Sender<Answered>,
}

/// A request on its way back.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) reader: RequestReader,
    pub(super) bytes: Vec<u8>,
    /// Whether the connection may serve on.
    pub(super) keep: bool,
}

/// The front's end of the bridge.
#[derive(Debug, Clone)]
pub(super) struct Bridge(mpsc::Sender<Crossing>);

impl Bridge {
    /// Has the request that `reader` holds answered behind the bridge; `None` once nobody is there.
    pub(super) async fn answer(&self, reader: RequestReader) -> Option<Answered> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Crossing { reader, answer }).await.ok()?;
        answered.await.ok()
    }
}

/// Runs both sides until a signal ends the one behind the bridge.
pub(super) fn run(args: &ServeArgs) -> Result<(), String> {
    let (send, receive) = mpsc::channel(CAPACITY);
    let (ready, is_ready) = std_mpsc::channel();
    let config = args.config();
    let behind = Behind { config: config.clone(), dials_anew: args.variant == Variant::BridgeDial, ready };
    let executor = behind::start(behind, receive)?;
    let health = match is_ready.recv_timeout(START_WITHIN) {
        Ok(health) => health,
        // It has ended, and tells why.
        Err(_) => return executor.join().map_err(|error| error.to_string())?,
    };
    let front = front::start(args.listen, args.cpus.0.len(), Bridge(send), config)?;
    announce(front.address, &health)?;
    let ended = executor.join().map_err(|error| error.to_string())?;
    front.stop();
    ended
}
