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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use std::net::TcpListener;

    use super::*;

    /// Asks a server that answers the first request with these bytes and closes; the answer, and the request.
    fn asked(answer: &'static str) -> (Result<Value, String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
            while !request.ends_with(b"}") {
                let read = stream.read(&mut chunk).unwrap();
                request.extend_from_slice(&chunk[..read]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        let question = Question::call("echo", &json!({"message": "hi"}));
        let answer = ask(address, &question);
        (answer, server.join().unwrap())
    }

    #[test]
    fn a_question_has_its_headers_and_its_metadata() {
        let (answer, request) = asked("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"id\":1}");
        assert_eq!(answer, Ok(json!({"id": 1})));
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Mcp-Method: tools/call\r\nMcp-Name: echo\r\n"), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body.pointer("/params/arguments/message"), Some(&json!("hi")));
        assert!(body["params"]["_meta"].is_object());
    }

    #[test]
    fn another_status_is_part_of_the_answer_and_no_json_is_an_error() {
        let (answer, _) = asked("HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n");
        assert_eq!(answer, Ok(json!({"status": 400, "body": {}})));
        let (answer, _) = asked("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops");
        assert!(answer.unwrap_err().contains("with status 502, is no JSON"));
        let (answer, _) = asked("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{");
        assert!(answer.unwrap_err().contains("closed the connection"));
    }
}
