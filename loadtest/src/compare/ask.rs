//! One question on a plain blocking socket, in MCP 2026-07-28, and its answer as JSON.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ringmesh::http::HttpLimits;
use ringmesh::http::client::{Asked, ResponseReader, Step};
use serde_json::{Value, json};

const REVISION: &str = "2026-07-28";
/// How long a connection may take, and each wait for bytes of an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request of MCP.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Question {
    pub(crate) method: &'static str,
    /// Without `_meta`.
    pub(crate) params: Value,
}

impl Question {
    /// The call of a tool.
    pub(crate) fn call(tool: &str, arguments: &Value) -> Self {
        Self { method: "tools/call", params: json!({"name": tool, "arguments": arguments}) }
    }

    fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let mut params = self.params.clone();
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": REVISION,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let method = self.method;
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let name =
            self.params["name"].as_str().map_or_else(String::new, |name| format!("Mcp-Name: {name}\r\n"));
        format!(
            "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nAccept: application/json, \
             text/event-stream\r\nMCP-Protocol-Version: {REVISION}\r\nMcp-Method: {method}\r\n{name}Content-Length: \
             {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}

/// Asks the server at `address`, on a connection of its own. An answer with another status than 200 is put with it into an
/// object of `status` and `body`.
///
/// The error says what went wrong, without naming the server.
pub(crate) fn ask(address: SocketAddr, question: &Question) -> Result<Value, String> {
    let failed = |error: std::io::Error| format!("no answer to {}: {error}", question.method);
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.write_all(&question.bytes(address)).map_err(failed)?;
    let (status, body) = read(&mut stream)?;
    let shown = || String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
    let answer: Value = serde_json::from_slice(&body).map_err(|error| {
        format!("the answer to {}, with status {status}, is no JSON ({error}): {}", question.method, shown())
    })?;
    Ok(if status == 200 { answer } else { json!({"status": status, "body": answer}) })
}

/// The status and the body of one answer.
fn read(stream: &mut TcpStream) -> Result<(u16, Vec<u8>), String> {
    let mut reader = ResponseReader::new(Asked::Other, HttpLimits::default());
    let (mut status, mut body, mut chunk) = (0, Vec::new(), vec![0; 64 << 10]);
    loop {
        match reader.poll().map_err(|fault| format!("an answer that is no HTTP: {fault}"))? {
            Step::Head => status = reader.head().map_or(0, |head| head.status),
            Step::Data => body.extend_from_slice(&reader.take_data()),
            Step::End => return Ok((status, body)),
            Step::More => match stream.read(&mut chunk).map_err(|error| format!("no answer: {error}"))? {
                0 => return Err("the server closed the connection before it had answered".to_owned()),
                read => reader.feed(&chunk[..read]),
            },
        }
    }
}
