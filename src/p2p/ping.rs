//! `/ipfs/ping/1.0.0`: 32 bytes, sent back (libp2p specs, ping).

use std::fmt;
use std::io;
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Bytes of one ping.
pub const PING_BYTES: usize = 32;

/// Why a ping failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum PingError {
    /// The peer sent other bytes back.
    WrongEcho,
    /// The peer ended the stream inside a ping.
    CutShort,
    /// The stream failed.
    Io(io::Error),
}

impl fmt::Display for PingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongEcho => f.write_str("the peer sent other bytes back than it was sent"),
            Self::CutShort => write!(f, "the stream ended inside a ping of {PING_BYTES} bytes"),
            Self::Io(error) => write!(f, "the ping stream failed: {error}"),
        }
    }
}

impl std::error::Error for PingError {}

impl From<io::Error> for PingError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Sends one ping back. False when the peer has closed its side instead; then this one is closed too. One ping is held
/// at a time, so a peer that does not read gets no more than the stream holds. The caller bounds the time and the number.
///
/// # Errors
/// The stream failed, or ended inside a ping.
pub async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<bool, PingError> {
    let mut payload = [0; PING_BYTES];
    match fill(stream, &mut payload).await? {
        0 => {
            stream.close().await?;
            Ok(false)
        }
        PING_BYTES => {
            stream.write_all(&payload).await?;
            stream.flush().await?;
            Ok(true)
        }
        _ => Err(PingError::CutShort),
    }
}

/// Sends one ping and waits for its echo; the round trip by `clock`, which tells the time since any fixed moment. The
/// stream serves for another. The caller bounds the time.
///
/// # Errors
/// The echo is wrong, or the stream failed or ended.
pub async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    clock: impl Fn() -> Duration,
) -> Result<Duration, PingError> {
    let (mut sent, mut echo) = ([0; PING_BYTES], [0; PING_BYTES]);
    getrandom::fill(&mut sent).map_err(io::Error::other)?;
    let start = clock();
    stream.write_all(&sent).await?;
    stream.flush().await?;
    match fill(stream, &mut echo).await? {
        PING_BYTES if echo == sent => Ok(clock().saturating_sub(start)),
        PING_BYTES => Err(PingError::WrongEcho),
        _ => Err(PingError::CutShort),
    }
}

/// Reads until the buffer is full or the stream ends; how much was read.
async fn fill(stream: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]).await? {
            0 => break,
            len => filled += len,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
