//! What the black-box tests share: a server on loopback in this process, and a client that knows only bytes.
#![allow(
    dead_code,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "each test binary is a crate of its own, uses its own part and unwraps what it expects"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ringmesh::{Ended, Registry, Server, ServerConfig, ServerError, ServerHandle, Start};

pub mod events;
pub mod tools;

/// No single wait of a test takes longer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A configuration for tests: loopback, a port of the kernel's choice, few cores.
pub fn config() -> ServerConfig {
    ServerConfig {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        max_cores: Some(2),
        shutdown_grace_ms: 2_000,
        ..ServerConfig::default()
    }
}

/// The command, which keeps its state under the build's own folder instead of the user's home, and apart from others.
pub fn command() -> std::process::Command {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let state = format!("{}/state-{}-{count}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    // A process of the same number may have left one.
    let _ = std::fs::remove_dir_all(&state);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ringmesh"));
    command.env_remove("STATE_DIRECTORY").env("XDG_STATE_HOME", state);
    command
}

/// A server that runs on a thread of its own; dropping it stops it and waits for its end.
pub struct TestServer {
    pub addr: SocketAddr,
    pub handle: ServerHandle,
    thread: Option<JoinHandle<Result<Ended, ServerError>>>,
}

impl TestServer {
    /// Starts a server with the tools of the command.
    pub fn start(config: ServerConfig) -> Self {
        Self::run(Server::new(config).builtin_tools())
    }

    /// Starts a server with these tools.
    pub fn with_tools(config: ServerConfig, registry: Registry) -> Self {
        Self::run(Server::new(config).registry(registry).builtin_tools())
    }

    pub fn run(server: Server) -> Self {
        let handle = server.handle();
        let thread = std::thread::spawn(move || server.run());
        match handle.readiness().wait_timeout(PATIENCE) {
            Start::Ready(addresses) => Self { addr: addresses[0], handle, thread: Some(thread) },
            other => {
                handle.stop();
                panic!("the server did not start: {other:?}, {:?}", thread.join());
            }
        }
    }

    /// Stops it in order and returns how it ended.
    pub fn stop(mut self) -> Result<Ended, ServerError> {
        self.handle.stop();
        self.thread.take().expect("taken once").join().expect("the server's thread does not panic")
    }

    pub fn client(&self) -> Client {
        Client::connect(self.addr)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One answer as it came off the wire.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("bodies are UTF-8")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.text()).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The JSON messages of an event stream.
    pub fn events(&self) -> Vec<serde_json::Value> {
        let data = self.text().lines().filter_map(|line| line.strip_prefix("data: "));
        // A stream that can be resumed begins with an empty event.
        let data = data.filter(|data| !data.is_empty());
        data.map(|data| serde_json::from_str(data).expect("each data line is one JSON message")).collect()
    }

    /// The code in a refusal of the HTTP level.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A connection that writes bytes and reads answers.
pub struct Client {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub fn connect(addr: SocketAddr) -> Self {
        Self::try_connect(addr).expect("the server accepts")
    }

    /// Connects to a server that may be gone.
    pub fn try_connect(addr: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket option");
        stream.set_nodelay(true).expect("a socket option");
        Ok(Self { stream, buffer: Vec::new() })
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server reads");
    }

    /// Sends what may fail, because the server may have closed already.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Reads one answer, or says why none came.
    pub fn try_answer(&mut self) -> Result<Answer, String> {
        let mut answer = self.headers()?;
        if answer.status != 100 {
            answer.body = self.body(&answer)?;
        }
        Ok(answer)
    }

    /// Reads the head of an answer.
    pub fn headers(&mut self) -> Result<Answer, String> {
        let end = self.until(|buffer| find(buffer, b"\r\n\r\n").map(|at| at + 4))?;
        let head =
            String::from_utf8(self.buffer.drain(..end).collect()).map_err(|error| error.to_string())?;
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status: u16 = status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or(format!("bad {status_line:?}"))?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Ok(Answer { status, headers, body: Vec::new() })
    }

    pub fn answer(&mut self) -> Answer {
        self.try_answer().expect("an answer")
    }

    pub fn body(&mut self, answer: &Answer) -> Result<Vec<u8>, String> {
        if answer.header("transfer-encoding") == Some("chunked") {
            let mut body = Vec::new();
            while let Some(chunk) = self.chunk()? {
                body.extend_from_slice(&chunk);
            }
            return Ok(body);
        }
        let Some(length) = answer.header("content-length") else { return Ok(Vec::new()) };
        let length: usize = length.parse().map_err(|_| format!("bad length {length:?}"))?;
        self.until(|buffer| (buffer.len() >= length).then_some(length))?;
        Ok(self.buffer.drain(..length).collect())
    }

    /// Reads one chunk; `None` for the last, which is empty.
    pub fn chunk(&mut self) -> Result<Option<Vec<u8>>, String> {
        let line = self.until(|buffer| find(buffer, b"\r\n").map(|at| at + 2))?;
        let size = String::from_utf8_lossy(&self.buffer[..line]).trim().to_owned();
        let size = usize::from_str_radix(&size, 16).map_err(|error| format!("{error}: {size:?}"))?;
        let end = line + size + 2;
        self.until(|buffer| (buffer.len() >= end).then_some(end))?;
        let chunk = self.buffer[line..end - 2].to_vec();
        self.buffer.drain(..end);
        Ok((size > 0).then_some(chunk))
    }

    /// Reads until `found` names an end in the buffer.
    pub fn until(&mut self, found: impl Fn(&[u8]) -> Option<usize>) -> Result<usize, String> {
        let mut chunk = [0; 16 << 10];
        loop {
            if let Some(end) = found(&self.buffer) {
                return Ok(end);
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(format!("closed after {:?}", String::from_utf8_lossy(&self.buffer))),
                Ok(len) => self.buffer.extend_from_slice(&chunk[..len]),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Whether the server has closed the connection and sent nothing more.
    pub fn is_closed(&mut self) -> bool {
        let mut byte = [0; 64];
        loop {
            match self.stream.read(&mut byte) {
                Ok(0) => return self.buffer.is_empty(),
                Ok(len) => self.buffer.extend_from_slice(&byte[..len]),
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }

    /// Asks with HEAD: the answer's length is that of a body that does not follow.
    pub fn head(&mut self, target: &str, host: &str) -> Answer {
        self.send(format!("HEAD {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        self.headers().expect("an answer")
    }

    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request);
        self.answer()
    }

    /// Calls a tool in 2026-07-28.
    pub fn call(&mut self, tool: &str, arguments: serde_json::Value) -> Answer {
        self.ask(call(tool, arguments))
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// A POST to the endpoint with the headers every client sends, and `extra` ones, each ending in CRLF.
pub fn post(body: &str, extra: &str) -> Vec<u8> {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{extra}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A request of 2026-07-28, whose `params` get the `_meta` it needs.
pub fn modern(id: impl Into<serde_json::Value>, method: &str, mut params: serde_json::Value) -> Vec<u8> {
    let meta = params.as_object_mut().expect("an object").entry("_meta").or_insert(serde_json::json!({}));
    meta["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
    if meta.get("io.modelcontextprotocol/clientCapabilities").is_none() {
        meta["io.modelcontextprotocol/clientCapabilities"] = serde_json::json!({});
    }
    let mirrored = params["name"].as_str().or(params["uri"].as_str());
    let name = mirrored.map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
    let body = serde_json::json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params });
    post(&body.to_string(), &format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}"))
}

/// A tool call of 2026-07-28.
pub fn call(tool: &str, arguments: serde_json::Value) -> Vec<u8> {
    modern(1, "tools/call", serde_json::json!({ "name": tool, "arguments": arguments }))
}

/// A tool call that asks for progress.
pub fn call_with_progress(tool: &str, arguments: serde_json::Value) -> Vec<u8> {
    let params =
        serde_json::json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": "p" } });
    modern(1, "tools/call", params)
}

/// The text of a tool's result.
pub fn text(answer: &serde_json::Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {answer}"))
}
