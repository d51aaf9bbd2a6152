//! The two protocols: frames of MCP, lines of the task queue.

use std::io;

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::{Stream, StreamProtocol};
use serde_json::Value;

pub const MCP: StreamProtocol = StreamProtocol::new("/mcp+p2p/1.0.0");
pub const TASK_QUEUE: StreamProtocol = StreamProtocol::new("/ipfs-datasets/task-queue/1.0.0");
const LINE_LIMIT: usize = 1 << 20;

pub async fn write_frame(stream: &mut Stream, message: &Value) -> io::Result<()> {
    let body = message.to_string();
    let mut frame = u32::try_from(body.len()).map_err(io::Error::other)?.to_be_bytes().to_vec();
    frame.extend_from_slice(body.as_bytes());
    stream.write_all(&frame).await?;
    stream.flush().await
}

pub async fn read_frame(stream: &mut Stream) -> io::Result<Value> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut body).await?;
    serde_json::from_slice(&body).map_err(io::Error::other)
}

pub async fn write_line(stream: &mut Stream, line: &str) -> io::Result<()> {
    stream.write_all(format!("{line}\n").as_bytes()).await?;
    stream.flush().await
}

/// The line, and how many bytes came behind it.
pub async fn read_line(stream: &mut Stream) -> io::Result<(Value, usize)> {
    let (mut data, mut part) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let read = stream.read(&mut part).await?;
        data.extend_from_slice(&part[..read]);
        if let Some(end) = data.iter().position(|byte| *byte == b'\n') {
            let line = serde_json::from_slice(&data[..end]).map_err(io::Error::other)?;
            return Ok((line, data.len() - end - 1));
        }
        if read == 0 || data.len() > LINE_LIMIT {
            return Err(io::Error::other("the stream has no line"));
        }
    }
}

/// Whether the other side sends nothing more and ends the stream.
pub async fn ends(stream: &mut Stream) -> bool {
    !matches!(stream.read(&mut [0]).await, Ok(1..))
}
