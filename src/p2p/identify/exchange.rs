//! The two sides of an exchange, over any stream whose protocol is agreed. The caller bounds the time.

use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::wire::take_varint;
use super::{IdentifyError, Info, MAX_MESSAGE_BYTES};

/// Tells a peer that asked who this node is, and closes this side.
///
/// # Errors
/// The stream failed.
pub async fn answer(stream: impl AsyncWrite + Unpin, info: &Info) -> Result<(), IdentifyError> {
    send(stream, info).await
}

/// Reads who a peer is. Where it sends more than one message, the first counts: go-libp2p puts its signed record into a
/// second one.
///
/// # Errors
/// The stream failed, or the message is too long or malformed.
pub async fn ask(stream: impl AsyncRead + Unpin) -> Result<Info, IdentifyError> {
    receive(stream).await
}

/// Tells a peer what has changed, and closes this side.
///
/// # Errors
/// The stream failed.
pub async fn push(stream: impl AsyncWrite + Unpin, info: &Info) -> Result<(), IdentifyError> {
    send(stream, info).await
}

/// Reads what has changed at a peer that pushes it; what is absent has not.
///
/// # Errors
/// As [`ask`].
pub async fn take_push(stream: impl AsyncRead + Unpin) -> Result<Info, IdentifyError> {
    receive(stream).await
}

async fn send(mut stream: impl AsyncWrite + Unpin, info: &Info) -> Result<(), IdentifyError> {
    stream.write_all(&info.encode()).await?;
    stream.flush().await?;
    Ok(stream.close().await?)
}

async fn receive(mut stream: impl AsyncRead + Unpin) -> Result<Info, IdentifyError> {
    let len = read_length(&mut stream).await?;
    let mut message = vec![0; len];
    stream.read_exact(&mut message).await?;
    Info::decode(&message)
}

/// The length in front of a message, checked before room is made for it.
async fn read_length(stream: &mut (impl AsyncRead + Unpin)) -> Result<usize, IdentifyError> {
    // Two bytes count to 16 KiB, which is more than is allowed.
    let mut bytes = [0; 2];
    for at in 0..bytes.len() {
        stream.read_exact(&mut bytes[at..=at]).await?;
        if bytes[at] & 0x80 == 0 {
            let len = take_varint(&mut &bytes[..=at]).map_err(IdentifyError::Malformed)?;
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            return if len <= MAX_MESSAGE_BYTES { Ok(len) } else { Err(IdentifyError::TooLong) };
        }
    }
    Err(IdentifyError::TooLong)
}
