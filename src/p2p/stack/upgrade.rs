//! From a byte stream to a connection: who is there, and how streams are told apart.

use std::fmt;

use futures_lite::{AsyncRead, AsyncWrite};
use libp2p_core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};
use libp2p_identity::Keypair;
use multistream_select::{Negotiated, Version, dialer_select_proto, listener_select_proto};

use super::super::PeerId;
use super::driver::Driver;
use super::error::HandshakeError;
use super::handle::Handle;
use super::one_thread::OneThread;

const NOISE: &str = "/noise";
const YAMUX: &str = "/yamux/1.0.0";

/// What Yamux runs over.
pub(super) type Secured<Io> = Negotiated<libp2p_noise::Output<Negotiated<OneThread<Io>>>>;

/// What bounds one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackOptions {
    /// Streams that each side may have open at once. One more of the peer's is reset; a peer that keeps opening more
    /// loses the connection.
    pub max_streams: usize,
    /// Bytes that may have come on all streams together and wait to be read; a peer that sends more loses the
    /// connection. A single stream may hold 256 KiB, and more where its reader keeps up.
    pub max_unread_bytes: usize,
}

impl Default for StackOptions {
    fn default() -> Self {
        Self { max_streams: 256, max_unread_bytes: 16 << 20 }
    }
}

/// The Noise key of a node, signed with its identity. The specification lets it serve any number of connections, and
/// making it is what costs most of one side's handshake where the identity is an RSA key. It is never written anywhere.
#[derive(Clone)]
pub struct NoiseKey(libp2p_noise::Config);

impl NoiseKey {
    /// A new key for an identity.
    ///
    /// # Errors
    /// [`HandshakeError::Noise`]: the identity cannot sign.
    #[allow(clippy::result_large_err, reason = "it is called once in a process")]
    pub fn new(identity: &Keypair) -> Result<Self, HandshakeError> {
        libp2p_noise::Config::new(identity).map(Self).map_err(HandshakeError::Noise)
    }
}

impl fmt::Debug for NoiseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoiseKey(hidden)")
    }
}

/// Which side of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It dialled.
    Dialer {
        /// Who must be there; nobody in particular with `None`.
        expected: Option<PeerId>,
    },
    /// It accepted.
    Listener,
}

/// [`upgrade_with`] a Noise key that serves this one connection.
///
/// # Errors
/// [`HandshakeError`].
pub async fn upgrade<Io>(
    io: Io,
    role: Role,
    identity: &Keypair,
    options: &StackOptions,
) -> Result<(Handle, Driver<Io>, PeerId), HandshakeError>
where
    Io: AsyncRead + AsyncWrite + Unpin + 'static,
{
    upgrade_with(io, role, &NoiseKey::new(identity)?, options).await
}

/// Makes a connection of a byte stream, and says who proved to be at the other end.
///
/// Unbounded in time: the caller drops the future when it takes too long. The memory it needs is bounded.
///
/// # Errors
/// [`HandshakeError`].
pub async fn upgrade_with<Io>(
    io: Io,
    role: Role,
    key: &NoiseKey,
    options: &StackOptions,
) -> Result<(Handle, Driver<Io>, PeerId), HandshakeError>
where
    Io: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (io, gauge) = OneThread::new(io);
    let (secured, found) = secure(io, role, key).await?;
    let mode = match role {
        Role::Dialer { .. } => yamux::Mode::Client,
        Role::Listener => yamux::Mode::Server,
    };
    let (handle, driver) = Driver::new(secured, gauge, mode, options);
    Ok((handle, driver, found))
}

/// All but Yamux itself.
pub(super) async fn secure<Io>(
    io: OneThread<Io>,
    role: Role,
    key: &NoiseKey,
) -> Result<(Secured<Io>, PeerId), HandshakeError>
where
    Io: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let noise = key.0.clone();
    let failed = |error| HandshakeError::noise(NOISE, error);
    match role {
        Role::Dialer { expected } => {
            // A dialer proposes and goes on as if it had been accepted: its next message goes out with the proposal.
            let io = dial(io, NOISE).await?;
            let (found, io) = noise.upgrade_outbound(io, NOISE).await.map_err(failed)?;
            if let Some(expected) = expected.filter(|expected| *expected != found) {
                return Err(HandshakeError::WrongPeer { expected, found });
            }
            Ok((dial(io, YAMUX).await?, found))
        }
        Role::Listener => {
            let io = listen(io, NOISE).await?;
            let (found, io) = noise.upgrade_inbound(io, NOISE).await.map_err(failed)?;
            Ok((listen(io, YAMUX).await?, found))
        }
    }
}

async fn dial<T>(io: T, protocol: &'static str) -> Result<Negotiated<T>, HandshakeError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let dialled = dialer_select_proto(io, [protocol], Version::V1Lazy).await;
    dialled.map(|(_, io)| io).map_err(|error| HandshakeError::negotiation(protocol, error))
}

async fn listen<T>(io: T, protocol: &'static str) -> Result<Negotiated<T>, HandshakeError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let listened = listener_select_proto(io, [protocol]).await;
    listened.map(|(_, io)| io).map_err(|error| HandshakeError::negotiation(protocol, error))
}
