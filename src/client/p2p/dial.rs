//! The one connection to a peer: dialled when a stream is wanted, kept while it lasts.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future;

use super::open::{MessageStream, OpenStreams};
use super::options::P2pOptions;
use crate::client::transport::{LocalBoxFuture, TransportError};
use crate::client::wire::Gate;
use crate::p2p::address::{Endpoint, PeerAddress};
use crate::p2p::identify::{self, Info};
use crate::p2p::identity::Identity;
use crate::p2p::stack::{Handle, HandshakeError, InboundStream, OpenError, Role, StackOptions, upgrade};
use crate::p2p::{IDENTIFY_PROTOCOL, MCP_PROTOCOL, PING_PROTOCOL, ping};
use crate::runtime::{AsyncStream, Scope, StopFlag, connect_any, resolve, sleep};

/// What a peer may ask of a client: who it is, and whether it is there.
const SERVED: &[&str] = &[IDENTIFY_PROTOCOL, PING_PROTOCOL];
const MCP: &[&str] = &[MCP_PROTOCOL];
/// Streams that a peer may open; the client's own are bounded in its options.
const MAX_STREAMS: usize = 64;
/// How long a peer may take to ask, and a connection to end in order.
const SERVE_TIME: Duration = Duration::from_secs(30);
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// Streams to a peer that was named with its id. The handshake fails unless that is who is there.
pub(super) struct PeerStreams {
    scope: Scope,
    target: PeerAddress,
    name: String,
    identity: Identity,
    timeout: Duration,
    stack: StackOptions,
    connection: RefCell<Option<Connection>>,
    dialling: Gate,
}

struct Connection {
    handle: Handle,
    /// Set when it is to end.
    stop: StopFlag,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.handle.close();
        self.stop.stop();
    }
}

impl PeerStreams {
    pub(super) fn new(scope: &Scope, target: &str, options: &P2pOptions) -> Result<Self, String> {
        let target: PeerAddress = target.parse()?;
        let stack =
            StackOptions { max_streams: MAX_STREAMS.max(2 * options.max_streams), ..StackOptions::default() };
        Ok(PeerStreams {
            scope: scope.clone(),
            name: target.to_string(),
            target,
            identity: options.identity.clone().unwrap_or_else(Identity::ephemeral),
            timeout: options.open_timeout,
            stack,
            connection: RefCell::default(),
            dialling: Gate::default(),
        })
    }

    fn standing(&self) -> Option<Handle> {
        let connection = self.connection.borrow();
        connection.as_ref().map(|it| it.handle.clone()).filter(|handle| !handle.is_closed())
    }

    /// The connection that stands, or a new one.
    async fn connection(&self) -> Result<Handle, TransportError> {
        let _alone = self.dialling.enter().await;
        if let Some(handle) = self.standing() {
            return Ok(handle);
        }
        let connection = self.dial().await?;
        let handle = connection.handle.clone();
        let before = self.connection.replace(Some(connection));
        drop(before);
        Ok(handle)
    }

    async fn dial(&self) -> Result<Connection, TransportError> {
        let endpoint = self.target.endpoint().map_err(TransportError::Unsupported)?;
        let addresses = match endpoint {
            Endpoint::Address(address) => vec![address],
            Endpoint::Name { host, port, family } => {
                let found = resolve(&host, port, self.timeout).await;
                let mut found = found.map_err(|error| TransportError::Resolve(error.to_string()))?;
                found.retain(|address| family.allows(address.ip()));
                found
            }
        };
        // A moment less than all of it, so that the error can say what did not answer.
        let stream = connect_any(&addresses, self.timeout.mul_f64(0.9)).await;
        let stream = stream.map_err(|error| TransportError::Connect(error.to_string()))?;
        let role = Role::Dialer { expected: Some(self.target.peer_id) };
        let upgraded = upgrade(AsyncStream::new(stream), role, self.identity.keypair(), &self.stack).await;
        let (handle, driver, _) = upgraded.map_err(|error| refused(&error))?;
        let stop = StopFlag::new();
        let info = Rc::new(Info::of(&self.identity, &[], SERVED));
        let (scope, ending, last) = (self.scope.clone(), stop.clone(), handle.clone());
        let drive = async move {
            let serve = |stream| {
                // A scope that takes no more tasks is ending, and the connection with it.
                let _ = scope.spawn("client-serve", serve(stream, Rc::clone(&info)));
            };
            let abort = async {
                ending.stopped().await;
                sleep(CLOSE_TIME).await;
                last.abort();
                future::pending().await
            };
            let ended = future::or(driver.run(serve), abort).await;
            tracing::debug!(?ended, "the connection to the peer ended");
        };
        let gone = |_| TransportError::Connect("the scope of the client has ended".to_owned());
        self.scope.spawn("client-connection", drive).map_err(gone)?;
        Ok(Connection { handle, stop })
    }

    async fn open_stream(&self) -> Result<Box<dyn MessageStream>, TransportError> {
        let mut failed = OpenError::Closed;
        // A connection that has just ended is replaced once.
        for _ in 0..2 {
            match self.connection().await?.open(MCP).await {
                Ok((stream, _)) => return Ok(Box::new(stream)),
                Err(OpenError::Closed) => failed = OpenError::Closed,
                Err(error) => {
                    failed = error;
                    break;
                }
            }
        }
        Err(match failed {
            OpenError::TooManyStreams { max_streams } => TransportError::Busy { max: max_streams },
            OpenError::Closed => TransportError::Closed { before_answer: true },
            error => TransportError::Unsupported(error.to_string()),
        })
    }
}

/// Answers a stream that the peer opened.
async fn serve(stream: InboundStream, info: Rc<Info>) {
    let work = async {
        match stream.negotiate(SERVED).await {
            Ok((stream, 0)) => drop(identify::answer(stream, &info).await),
            Ok((stream, _)) => drop(ping::answer(stream).await),
            Err(error) => {
                tracing::debug!(%error, "the peer asked for a protocol that a client does not serve")
            }
        }
    };
    future::or(work, async { sleep(SERVE_TIME).await }).await;
}

/// Why there is no connection, although somebody answered.
fn refused(error: &HandshakeError) -> TransportError {
    TransportError::Tls(error.to_string())
}

impl OpenStreams for PeerStreams {
    fn open<'a>(&'a self) -> LocalBoxFuture<'a, Result<Box<dyn MessageStream>, TransportError>> {
        Box::pin(self.open_stream())
    }

    fn target(&self) -> &str {
        &self.name
    }

    fn close<'a>(&'a self) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            let connection = self.connection.take();
            let handle = connection.as_ref().map(|connection| connection.handle.clone());
            drop(connection);
            if let Some(handle) = handle {
                handle.closed().await;
            }
        })
    }
}

impl fmt::Debug for PeerStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerStreams({})", self.name)
    }
}
