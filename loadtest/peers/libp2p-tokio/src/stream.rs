//! Frames on a stream.

use std::io;

use futures::{AsyncRead, AsyncReadExt as _};

use crate::exchange::frame_length;

/// The bytes of the next frame without its length; they replace what `body` held.
pub async fn read_frame(stream: &mut (impl AsyncRead + Unpin), body: &mut Vec<u8>) -> io::Result<()> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).await?;
    body.resize(frame_length(prefix).map_err(io::Error::other)?, 0);
    stream.read_exact(body).await
}
