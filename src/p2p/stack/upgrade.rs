//! From a bare byte stream to a connection: Noise, then Yamux, each agreed on with multistream-select.

use futures_lite::{AsyncRead, AsyncWrite};
use libp2p_core::upgrade::{InboundConnectionUpgrade as _, OutboundConnectionUpgrade as _};
use libp2p_noise as noise;
use multistream_select::{Negotiated, Version, dialer_select_proto, listener_select_proto};

use super::cork::Cork;
use super::driver::Driver;
use super::error::HandshakeError;
use super::handle::Handle;
use super::one_thread::OneThread;
use crate::p2p::{Keypair, PeerId};

const NOISE: &str = "/noise";
const YAMUX: &str = "/yamux/1.0.0";

/// What a connection is multiplexed over.
pub(super) type Secured<Io> = Negotiated<noise::Output<Negotiated<OneThread<Io>>>>;

/// Which side of a connection this one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It dialled.
    Dialer {
        /// Who must be there; `None` takes anybody.
        expected: Option<PeerId>,
    },
    /// It accepted.
    Listener,
}

/// The bounds of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackOptions {
    /// Streams open at once, opened by either side; 8 to 4,096. One more of the peer's is reset, one more of ours refused.
    /// Each may hold 256 KiB that were sent and not read (the window of Yamux).
    pub max_streams: usize,
}

impl Default for StackOptions {
    fn default() -> Self {
        Self { max_streams: 256 }
    }
}

/// Secures and multiplexes a byte stream. It takes as long as the peer lets it, so the caller bounds it in time.
///
/// # Errors
/// [`HandshakeError`]; the byte stream is dropped.
pub async fn upgrade<Io>(
    io: Io,
    role: Role,
    key: &Keypair,
    options: &StackOptions,
) -> Result<(Handle, Driver<Io>, PeerId), HandshakeError>
where
    Io: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (peer_id, output) = secure(OneThread::new(io), role, key).await?;
    if let Role::Dialer { expected: Some(expected) } = role
        && expected != peer_id
    {
        return Err(HandshakeError::WrongPeer { expected, found: peer_id });
    }
    let failed = |error| HandshakeError::negotiation(YAMUX, error);
    let (mode, (_, secured)) = match role {
        Role::Dialer { .. } => {
            let agreed = dialer_select_proto(output, [YAMUX], Version::V1).await.map_err(failed)?;
            (yamux::Mode::Client, agreed)
        }
        Role::Listener => {
            (yamux::Mode::Server, listener_select_proto(output, [YAMUX]).await.map_err(failed)?)
        }
    };
    let cork = Cork::new(secured);
    let connection = yamux::Connection::new(cork.clone(), config(options), mode);
    let handle = Handle::new(options.max_streams);
    let driver = Driver::new(connection, cork, handle.clone());
    Ok((handle, driver, peer_id))
}

async fn secure<Io>(
    io: OneThread<Io>,
    role: Role,
    key: &Keypair,
) -> Result<(PeerId, noise::Output<Negotiated<OneThread<Io>>>), HandshakeError>
where
    Io: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let failed = |error| HandshakeError::negotiation(NOISE, error);
    let config = noise::Config::new(key).map_err(|error| HandshakeError::noise(NOISE, error))?;
    let secured = match role {
        Role::Dialer { .. } => {
            let (name, io) = dialer_select_proto(io, [NOISE], Version::V1).await.map_err(failed)?;
            config.upgrade_outbound(io, name).await
        }
        Role::Listener => {
            let (name, io) = listener_select_proto(io, [NOISE]).await.map_err(failed)?;
            config.upgrade_inbound(io, name).await
        }
    };
    secured.map_err(|error| HandshakeError::noise(NOISE, error))
}

/// Yamux ends a connection that has more streams than it allows, so it allows more than we take: what lies between is
/// reset stream by stream.
fn config(options: &StackOptions) -> yamux::Config {
    let streams = 2 * options.max_streams + 512;
    let mut config = yamux::Config::default();
    config.set_max_connection_receive_window(None);
    config.set_max_num_streams(streams);
    // No stream's window grows beyond the 256 KiB that Yamux begins with.
    config.set_max_connection_receive_window(Some(streams * yamux::DEFAULT_CREDIT as usize));
    config.set_read_after_close(true);
    config
}
