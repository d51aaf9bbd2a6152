//! One request and its answer on a stream: a line each, or inside the MCP that the newest task queue clients speak.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};

use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, future};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::mcp::json;
use crate::p2p::MCP_PROTOCOL;
use crate::p2p::frame::{FrameReader, write_frame};
use crate::p2p::rpc_client::{RpcError, RpcOptions, call_line};
use crate::runtime;

/// Bytes that are read at once.
const READ_BYTES: usize = 4 << 10;
/// What a frame has around an answer.
const AROUND_BYTES: usize = 1 << 10;
/// The first message to a peer that speaks MCP alone.
const INITIALIZE: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"clientInfo":{"name":"ringmesh","version":"1"},"profiles":["mcp++/p2p-transport"]}}"#;

/// Asks on the stream that `open` brings, with the protocol that it was opened for; the answer's text.
///
/// # Errors
/// [`RpcError`], as for [`call_line`].
pub(super) async fn ask<S, E>(
    open: impl Future<Output = Result<(S, &'static str), E>>,
    request: &str,
    patience: Duration,
    max_bytes: usize,
) -> Result<String, RpcError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    E: fmt::Display,
{
    let begun_at = Instant::now();
    let in_mcp = Cell::new(None);
    let open = async {
        let (stream, protocol) = open.await.map_err(|error| error.to_string())?;
        match protocol {
            // The other exchange goes on with it.
            MCP_PROTOCOL => {
                in_mcp.set(Some(stream));
                Err("it speaks MCP".to_owned())
            }
            _ => Ok(stream),
        }
    };
    let mut line = request.as_bytes().to_vec();
    line.push(b'\n');
    let options = RpcOptions { timeout: patience, max_line_bytes: max_bytes };
    let answer = call_line(open, &line, options).await;
    let Some(stream) = in_mcp.take() else {
        let text = String::from_utf8(answer?);
        return text.map_err(|_| RpcError::Malformed("it is not UTF-8".to_owned()));
    };
    let late = async {
        runtime::sleep(patience.saturating_sub(begun_at.elapsed())).await;
        Err(RpcError::TimedOut(patience))
    };
    future::or(ask_in_mcp(stream, request, max_bytes), late).await
}

/// The tool `task_queue.rpc`, called as its clients do.
async fn ask_in_mcp<S>(mut stream: S, request: &str, max_bytes: usize) -> Result<String, RpcError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut reader = FrameReader::new(u64::try_from(max_bytes + AROUND_BYTES).unwrap_or(u64::MAX));
    send(&mut stream, INITIALIZE).await?;
    let answer = receive(&mut stream, &mut reader, max_bytes).await?;
    if let Some(error) = message(&answer)?.error {
        return Err(RpcError::Malformed(format!("it refused initialize: {}", error.get())));
    }
    let params = json::object(|object| {
        object.raw("name", "\"task_queue.rpc\"");
        object.raw("arguments", request);
    });
    let call = json::object(|object| {
        object.raw("jsonrpc", "\"2.0\"");
        object.raw("id", "2");
        object.raw("method", "\"tools/call\"");
        object.raw("params", &params);
    });
    send(&mut stream, call.as_bytes()).await?;
    let answer = receive(&mut stream, &mut reader, max_bytes).await?;
    // The answer is there; that the end is told is a courtesy.
    let _ = stream.close().await;
    let message = message(&answer)?;
    match (message.result, message.error) {
        (Some(ToolResult { structured_content: Some(object), .. }), _) => Ok(object.get().to_owned()),
        (Some(ToolResult { content: Some(object), .. }), _) => Ok(object.get().to_owned()),
        (_, Some(error)) => Err(RpcError::Malformed(format!("it refused task_queue.rpc: {}", error.get()))),
        _ => Err(RpcError::Malformed("it has neither content nor an error".to_owned())),
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    result: Option<ToolResult<'a>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult<'a> {
    #[serde(borrow)]
    structured_content: Option<&'a RawValue>,
    /// Peers of the oldest revision put the bare object here.
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

fn message(frame: &[u8]) -> Result<Message<'_>, RpcError> {
    serde_json::from_slice(frame).map_err(|error| RpcError::Malformed(format!("it is no message: {error}")))
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, message: &[u8]) -> Result<(), RpcError> {
    let mut frame = Vec::with_capacity(message.len() + 4);
    write_frame(&mut frame, message);
    let closed = |_| RpcError::Closed;
    stream.write_all(&frame).await.map_err(closed)?;
    stream.flush().await.map_err(closed)
}

async fn receive<S: AsyncRead + Unpin>(
    stream: &mut S,
    reader: &mut FrameReader,
    max: usize,
) -> Result<Vec<u8>, RpcError> {
    let mut buffer = [0; READ_BYTES];
    loop {
        let count = stream.read(&mut buffer).await.map_err(|_| RpcError::Closed)?;
        if count == 0 {
            return Err(RpcError::Closed);
        }
        let mut input = &buffer[..count];
        if let Some(frame) = reader.next(&mut input).map_err(|_| RpcError::AnswerTooLarge { max })? {
            // Peers send nothing unasked before they have another request.
            return Ok(frame.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

    use futures_lite::future::{block_on, zip};
    use serde_json::{Value, json};

    use super::*;
    use crate::p2p::pipe::pipe;

    /// What becomes of a request whose peer answers the call with this message.
    fn answered(answer: &str) -> Result<String, RpcError> {
        let (near, mut far) = pipe();
        let peer = async move {
            let mut reader = FrameReader::new(1 << 20);
            let initialize: Value =
                serde_json::from_slice(&receive(&mut far, &mut reader, 1).await.unwrap()).unwrap();
            assert_eq!(initialize["method"], "initialize");
            send(&mut far, br#"{"jsonrpc":"2.0","id":1,"result":{"ok":true}}"#).await.unwrap();
            let call: Value =
                serde_json::from_slice(&receive(&mut far, &mut reader, 1).await.unwrap()).unwrap();
            let params = json!({"name": "task_queue.rpc", "arguments": {"op": "get", "task_id": "x"}});
            assert_eq!((&call["method"], &call["params"]), (&json!("tools/call"), &params));
            send(&mut far, answer.as_bytes()).await.unwrap();
        };
        block_on(zip(peer, ask_in_mcp(near, r#"{"op":"get","task_id":"x"}"#, 1 << 20))).1
    }

    #[test]
    fn peers_that_speak_mcp_alone_are_asked_in_it() {
        let object = r#"{"ok":true,"task":null}"#;
        let old = format!(r#"{{"jsonrpc":"2.0","id":2,"result":{{"content":{object}}}}}"#);
        assert_eq!(answered(&old), Ok(object.to_owned()));
        let new = format!(r#"{{"id":2,"result":{{"content":[],"structuredContent":{object}}}}}"#);
        assert_eq!(answered(&new), Ok(object.to_owned()));
        for (answer, why) in [
            (r#"{"id":2,"error":{"code":-32002,"message":"unknown tool"}}"#, "unknown tool"),
            (r#"{"id":2,"result":{}}"#, "neither content"),
            ("[]", "no message"),
        ] {
            let error = answered(answer).unwrap_err();
            assert!(matches!(&error, RpcError::Malformed(said) if said.contains(why)), "{error}");
        }
    }
}
