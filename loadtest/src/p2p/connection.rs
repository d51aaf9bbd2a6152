//! Connections of peers that nobody knows, straight on the stack.

use std::rc::Rc;
use std::time::Duration;

use futures_lite::future;
use ringmesh::p2p::Keypair;
use ringmesh::p2p::address::{Endpoint, PeerAddress};
use ringmesh::p2p::stack::{Handle, Role, StackOptions, upgrade};
use ringmesh::runtime::{AsyncStream, BoxError, Scope, Stream, sleep};

/// How long a connection may take to open.
const DIAL_TIME: Duration = Duration::from_secs(10);

/// Connects as a new peer. The connection lives in a task of the scope.
pub(super) async fn dial(target: &PeerAddress, scope: &Rc<Scope>) -> Result<Handle, BoxError> {
    let Endpoint::Address(address) = target.endpoint()? else {
        return Err(format!("{target}: the generator looks no names up").into());
    };
    let open = async {
        let io = AsyncStream::new(Stream::connect(address, DIAL_TIME).await?);
        let role = Role::Dialer { expected: Some(target.peer_id) };
        let options = StackOptions { max_streams: 4096, ..StackOptions::default() };
        Ok::<_, BoxError>(upgrade(io, role, &Keypair::generate_ed25519(), &options).await?)
    };
    let too_late = async {
        sleep(DIAL_TIME).await;
        Err(format!("{target} did not finish the handshake within {DIAL_TIME:?}").into())
    };
    let (handle, driver, _) = future::or(open, too_late).await?;
    scope.spawn("connection", async move {
        // How it ends shows on its streams.
        let _ = driver.run(drop).await;
    })?;
    Ok(handle)
}
