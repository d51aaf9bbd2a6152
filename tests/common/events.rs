//! A client that reads an event stream as it comes.
#![allow(
    dead_code,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "each test binary is a crate of its own, uses its own part and unwraps what it expects"
)]

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Client, modern, post};

/// One event as it came.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Event {
    pub id: Option<String>,
    pub name: Option<String>,
    pub retry_ms: Option<u64>,
    pub data: String,
}

impl Event {
    /// The message; `Null` for an event without data.
    pub fn json(&self) -> Value {
        if self.data.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    pub fn method(&self) -> String {
        self.json()["method"].as_str().unwrap_or_default().to_owned()
    }
}

/// A connection whose last answer is an event stream.
pub struct EventClient {
    pub client: Client,
    pub head: Answer,
    text: String,
    pub comments: usize,
    ended: bool,
}

impl EventClient {
    /// Sends a request whose answer is a stream.
    pub fn open(addr: SocketAddr, request: impl AsRef<[u8]>) -> EventClient {
        let mut client = Client::connect(addr);
        client.send(request);
        let head = client.headers().expect("an answer");
        assert_eq!(head.status, 200, "{head:?} {:?}", client.body(&head));
        assert_eq!(head.header("content-type"), Some("text/event-stream"), "{head:?}");
        EventClient { client, head, text: String::new(), comments: 0, ended: false }
    }

    /// The next event, or `None` at the end of the stream in order.
    pub fn next(&mut self) -> Result<Option<Event>, String> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if block.starts_with(':') {
                    self.comments += 1;
                    continue;
                }
                return Ok(Some(parse(&block)));
            }
            if self.ended {
                return Ok(None);
            }
            match self.client.chunk()? {
                Some(chunk) => self.text.push_str(std::str::from_utf8(&chunk).unwrap()),
                None => self.ended = true,
            }
        }
    }

    /// The next event, which must come.
    pub fn event(&mut self) -> Event {
        self.next().expect("the stream lives").expect("an event")
    }

    /// Every event up to the end of the stream.
    pub fn rest(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.next().expect("the stream ends in order")).collect()
    }

    /// True when nothing comes for a while.
    pub fn is_quiet(&mut self, time: Duration) -> bool {
        self.client.stream.set_read_timeout(Some(time)).unwrap();
        let quiet =
            matches!(self.next(), Err(error) if error.contains("unavailable") || error.contains("timed out"));
        self.client.stream.set_read_timeout(Some(super::PATIENCE)).unwrap();
        quiet
    }
}

fn parse(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => event.id = Some(value.to_owned()),
            "event" => event.name = Some(value.to_owned()),
            "retry" => event.retry_ms = Some(value.parse().unwrap()),
            "data" => event.data.push_str(value),
            other => panic!("an unknown field {other:?} in {block:?}"),
        }
    }
    event
}

/// A session of an older revision.
#[derive(Debug, Clone)]
pub struct Session {
    pub addr: SocketAddr,
    pub id: String,
}

impl Session {
    pub fn open(addr: SocketAddr, revision: &str) -> Session {
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": revision, "capabilities": {}, "clientInfo": { "name": "test", "version": "0" } } });
        let mut client = Client::connect(addr);
        let answer = client.ask(post(&body.to_string(), ""));
        assert_eq!(answer.json()["result"]["protocolVersion"], revision, "{answer:?}");
        let session = Session { addr, id: answer.header("mcp-session-id").expect("a session").to_owned() };
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(client.ask(session.post(initialized)).status, 202);
        session
    }

    /// The bytes of a POST.
    pub fn post(&self, body: &str) -> Vec<u8> {
        post(body, &format!("Mcp-Session-Id: {}\r\n", self.id))
    }

    /// The bytes of a request.
    pub fn request(&self, id: impl Into<Value>, method: &str, params: Value) -> Vec<u8> {
        let id = id.into();
        self.post(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string())
    }

    /// The bytes of a call that asks for progress.
    pub fn call(&self, id: impl Into<Value>, tool: &str, arguments: Value) -> Vec<u8> {
        let params = json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": "p" } });
        self.request(id, "tools/call", params)
    }

    /// Asks on a connection of its own.
    pub fn ask(&self, id: impl Into<Value>, method: &str, params: Value) -> Answer {
        Client::connect(self.addr).ask(self.request(id, method, params))
    }

    /// The bytes of a GET.
    pub fn get(&self, last_event_id: Option<&str>) -> Vec<u8> {
        let last = last_event_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        format!(
            "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nMcp-Session-Id: {}\r\n{last}\r\n",
            self.id
        )
        .into_bytes()
    }

    pub fn stream(&self) -> EventClient {
        EventClient::open(self.addr, self.get(None))
    }

    pub fn resume(&self, last_event_id: &str) -> EventClient {
        EventClient::open(self.addr, self.get(Some(last_event_id)))
    }

    pub fn delete(&self) -> u16 {
        let request =
            format!("DELETE /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: {}\r\n\r\n", self.id);
        Client::connect(self.addr).ask(request).status
    }
}

/// Opens a subscription of 2026-07-28 and reads its acknowledgement.
pub fn subscribe(addr: SocketAddr, id: impl Into<Value>, notifications: Value) -> EventClient {
    let request = modern(id, "subscriptions/listen", json!({ "notifications": notifications }));
    let mut stream = EventClient::open(addr, request);
    assert_eq!(stream.event().method(), "notifications/subscriptions/acknowledged");
    stream
}

/// The value of a metric, its labels included in the name; 0 for one that is not there.
pub fn metric(addr: SocketAddr, name: &str) -> f64 {
    let answer = Client::connect(addr).ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let line = answer.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}
