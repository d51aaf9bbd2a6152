//! A lane's way to the server: an HTTP connection, or a stream of a libp2p connection.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, future};
use ringmesh::p2p::MCP_PROTOCOL;
use ringmesh::p2p::address::PeerAddress;
use ringmesh::p2p::node::Node;
use ringmesh::p2p::stack::PeerStream;
use ringmesh::runtime::{self, Stream};

use crate::answer;
use crate::fault::{ErrorKind, Fault};
use crate::key::find;
use crate::request::Dialect;
use crate::values::Endpoint;

/// Bytes read at once from a stream of libp2p.
const CHUNK_BYTES: usize = 16 << 10;

/// What bytes go through.
pub(crate) enum Wire {
    Http(Stream),
    Peer { stream: PeerStream, chunk: Vec<u8>, written: Vec<u8> },
}

/// What opens wires.
#[derive(Clone)]
pub(crate) enum Opener {
    Http(std::net::SocketAddr),
    /// Streams of the one connection that this node has.
    Peer(Rc<Node>, PeerAddress),
}

impl Opener {
    /// An opener of a connection that lives in `node` where the endpoint is a peer.
    pub(crate) fn new(endpoint: &Endpoint, node: impl FnOnce() -> Rc<Node>) -> Self {
        match endpoint {
            Endpoint::Http(target) => Self::Http(target.address),
            Endpoint::Peer(address) => Self::Peer(node(), address.clone()),
        }
    }

    /// Opens a wire and, where the revision has them, a session on it; the header field of the session comes back.
    pub(crate) async fn open(
        &self,
        dialect: &Dialect,
        with_session: bool,
        within: Duration,
    ) -> Result<(Wire, Vec<u8>), Fault> {
        let open = async {
            let mut wire = self.connect(within).await?;
            let session = if with_session { handshake(dialect, &mut wire).await? } else { None };
            Ok((wire, dialect.session_field(session.as_deref())))
        };
        let too_late = async {
            runtime::sleep(within).await;
            Err(Fault::new(ErrorKind::Connect, format!("no connection and session within {within:?}")))
        };
        future::or(open, too_late).await
    }

    async fn connect(&self, within: Duration) -> Result<Wire, Fault> {
        let refused = |error: String| Fault::new(ErrorKind::Connect, error);
        match self {
            Self::Http(address) => {
                let stream = Stream::connect(*address, within).await;
                stream.map(Wire::Http).map_err(|error| refused(error.to_string()))
            }
            Self::Peer(node, address) => match node.open(address, &[MCP_PROTOCOL]).await {
                Ok((stream, ..)) => {
                    Ok(Wire::Peer { stream, chunk: vec![0; CHUNK_BYTES], written: Vec::new() })
                }
                Err(error) => Err(refused(error.to_string())),
            },
        }
    }
}

impl Wire {
    /// Takes bytes to be sent; an empty vector for the next ones comes back.
    pub(crate) fn write(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Http(stream) => stream.write(bytes),
            Self::Peer { written, .. } => std::mem::replace(written, bytes),
        }
    }

    /// Sends what was taken.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Http(stream) => stream.flush().await,
            Self::Peer { stream, written, .. } => {
                stream.write_all(written).await?;
                written.clear();
                stream.flush().await
            }
        }
    }

    /// Hands the next bytes to `take`; none are the end. Dropped half way it has lost nothing.
    pub(crate) async fn read<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        match self {
            Self::Http(stream) => stream.read().await.map(|bytes| take(&bytes)),
            Self::Peer { stream, chunk, .. } => {
                let length = stream.read(chunk).await?;
                Ok(take(&chunk[..length]))
            }
        }
    }

    /// Ends the session and the wire; what goes wrong then is nobody's loss.
    pub(crate) async fn end(mut self, dialect: &Dialect, session: &[u8]) {
        if let Some(request) = dialect.end_session(session) {
            self.write(request);
            if self.flush().await.is_ok() {
                let _ = self.read(|_| ()).await;
            }
        }
        if let Self::Peer { mut stream, .. } = self {
            let _ = stream.close().await;
        }
    }
}

/// initialize and initialized; the session's id where the server gives one.
async fn handshake(dialect: &Dialect, wire: &mut Wire) -> Result<Option<String>, Fault> {
    let (session, body) = exchange(dialect, wire, dialect.initialize(), 200).await?;
    if find(&body, b"\"result\"").is_none() {
        return Err(Fault::new(ErrorKind::Connect, String::from_utf8_lossy(&body).into_owned()));
    }
    let initialized = dialect.initialized(session.as_deref());
    if dialect.http.is_some() {
        exchange(dialect, wire, initialized, 202).await?;
    } else {
        wire.write(initialized);
        wire.flush().await.map_err(|error| Fault::new(ErrorKind::Connect, error.to_string()))?;
    }
    Ok(session)
}

async fn exchange(
    dialect: &Dialect,
    wire: &mut Wire,
    request: Vec<u8>,
    status: u16,
) -> Result<(Option<String>, Vec<u8>), Fault> {
    let io = |error: io::Error| Fault::new(ErrorKind::Connect, error.to_string());
    wire.write(request);
    wire.flush().await.map_err(io)?;
    let mut input = Vec::new();
    loop {
        let before = input.len();
        wire.read(|bytes| input.extend_from_slice(bytes)).await.map_err(io)?;
        if input.len() == before {
            return Err(Fault::new(ErrorKind::Connect, "closed during the handshake"));
        }
        match dialect.framing().parse(&input)? {
            Some(answer) if answer.status == status => {
                return Ok((answer.session, answer.body.into_owned()));
            }
            Some(answer) => return Err(Fault::new(ErrorKind::Connect, answer::describe(&answer))),
            None => {}
        }
    }
}
