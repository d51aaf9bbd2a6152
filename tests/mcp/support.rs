//! Sends messages to a dispatcher and reads its answers, checking what holds for every answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use ringmesh::limits::Limits;
use ringmesh::mcp::{
    Access, Answer, At, Batch, Call, Dispatcher, Feed, HeaderLookup, Label, McpOptions, Offload, OffloadFull,
    Outcome, Registry, RequestHead, Transport,
};
use serde_json::{Value, json};

pub(crate) const MODERN: &str = "2026-07-28";
pub(crate) const LEGACY: &str = "2025-11-25";
/// Every revision served, newest first.
pub(crate) const REVISIONS: [&str; 5] = [MODERN, LEGACY, "2025-06-18", "2025-03-26", "2024-11-05"];

/// What came back for one message.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    /// The JSON-RPC message, if there was one.
    pub(crate) body: Option<Value>,
    pub(crate) text: String,
    /// The notifications before it.
    pub(crate) events: Vec<Value>,
    pub(crate) session: Option<String>,
    pub(crate) allow: Option<&'static str>,
    pub(crate) retry_after_s: Option<u32>,
    pub(crate) label: Label,
}

impl Got {
    pub(crate) fn code(&self) -> i64 {
        self.body()["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error: {}", self.text))
    }

    pub(crate) fn message(&self) -> &str {
        self.body()["error"]["message"].as_str().unwrap_or_else(|| panic!("no error: {}", self.text))
    }

    pub(crate) fn body(&self) -> &Value {
        self.body.as_ref().expect("a body")
    }

    pub(crate) fn result(&self) -> &Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.body().get("result").unwrap_or_else(|| panic!("no result: {}", self.text))
    }

    /// The text of the first content block.
    pub(crate) fn content(&self) -> &str {
        self.result()["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {}", self.text))
    }

    pub(crate) fn is_error(&self) -> bool {
        self.result()["isError"] == true
    }

    /// The error's label.
    pub(crate) fn error(&self) -> Option<&'static str> {
        self.label.error.map(|kind| kind.as_str())
    }
}

/// The headers of one request, to be changed by a test.
#[derive(Clone, Default)]
pub(crate) struct Headers {
    pub(crate) content_type: Option<String>,
    pub(crate) accept: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) last_event_id: Option<String>,
    pub(crate) others: Vec<(String, String)>,
    pub(crate) stream: bool,
    pub(crate) principal: Option<String>,
}

impl HeaderLookup for Headers {
    fn find(&self, name: &str) -> Option<&[u8]> {
        let found = self.others.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_bytes())
    }
}

impl Headers {
    pub(crate) fn json() -> Headers {
        Headers {
            content_type: Some("application/json".into()),
            accept: Some("application/json, text/event-stream".into()),
            ..Headers::default()
        }
    }

    pub(crate) fn head(&self) -> RequestHead<'_> {
        let bytes = |value: &'_ Option<String>| {
            value.as_ref().map(|value| value.as_bytes().to_vec().leak() as &[u8])
        };
        RequestHead {
            content_type: bytes(&self.content_type),
            accept: bytes(&self.accept),
            protocol_version: bytes(&self.version),
            method: bytes(&self.method),
            name: bytes(&self.name),
            session_id: bytes(&self.session),
            last_event_id: bytes(&self.last_event_id),
            params: self,
            transport: if self.stream { Transport::Stream } else { Transport::Http },
        }
    }
}

/// A dispatcher, the time and the headers of the next request.
pub(crate) struct Server {
    pub(crate) dispatcher: Dispatcher,
    pub(crate) now: Instant,
}

impl Server {
    pub(crate) fn new(registry: Registry) -> Server {
        Server::with(registry, McpOptions::default())
    }

    pub(crate) fn limited(registry: Registry, change: impl FnOnce(&mut Limits)) -> Server {
        let mut options = McpOptions::default();
        change(&mut options.limits);
        Server::with(registry, options)
    }

    pub(crate) fn with(registry: Registry, options: McpOptions) -> Server {
        let dispatcher = Dispatcher::new(registry, options).unwrap();
        Server { dispatcher, now: Instant::now() }
    }

    pub(crate) fn advance(&mut self, time: Duration) {
        self.now += time;
    }

    pub(crate) fn at<'a>(&self, headers: &'a Headers) -> At<'a> {
        let principal = headers.principal.as_deref().unwrap_or("anonymous");
        At { now: self.now, core: 3, principal, full: false, traceparent: None, access: Access::Full }
    }

    /// Posts any bytes; a call is polled to its end.
    pub(crate) fn post(&self, headers: &Headers, body: impl AsRef<[u8]>) -> Got {
        match self.start(headers, body) {
            Started::Done(got) => got,
            Started::Running(call) => finish(call),
        }
    }

    pub(crate) fn start(&self, headers: &Headers, body: impl AsRef<[u8]>) -> Started {
        let mut out = Vec::new();
        match self.dispatcher.post(&headers.head(), body.as_ref(), &self.at(headers), &mut out) {
            Outcome::Answer(answer) => Started::Done(Got::new(answer, &out, Vec::new())),
            Outcome::Call(call) => {
                assert!(out.is_empty());
                Started::Running(call)
            }
            Outcome::Batch(batch) => panic!("a batch: {batch:?}"),
            Outcome::Feed(feed) => panic!("a stream: {feed:?}"),
        }
    }

    /// Posts what opens a stream.
    pub(crate) fn listen(&self, headers: &Headers, body: impl AsRef<[u8]>) -> Feed {
        let mut out = Vec::new();
        match self.dispatcher.post(&headers.head(), body.as_ref(), &self.at(headers), &mut out) {
            Outcome::Feed(feed) => feed,
            other => panic!("no stream: {other:?} {}", String::from_utf8_lossy(&out)),
        }
    }

    /// Posts what is a batch.
    pub(crate) fn batch(&self, headers: &Headers, body: impl AsRef<[u8]>) -> Batch {
        let mut out = Vec::new();
        match self.dispatcher.post(&headers.head(), body.as_ref(), &self.at(headers), &mut out) {
            Outcome::Batch(batch) => batch,
            other => panic!("no batch: {other:?} {}", String::from_utf8_lossy(&out)),
        }
    }

    pub(crate) fn get(&self, headers: &Headers) -> Got {
        let mut out = Vec::new();
        match self.dispatcher.get(&headers.head(), &self.at(headers), &mut out) {
            Outcome::Answer(answer) => Got::new(answer, &out, Vec::new()),
            other => panic!("no answer: {other:?}"),
        }
    }

    /// Opens a session's stream.
    pub(crate) fn open_stream(&self, headers: &Headers) -> Feed {
        let mut out = Vec::new();
        match self.dispatcher.get(&headers.head(), &self.at(headers), &mut out) {
            Outcome::Feed(feed) => feed,
            other => panic!("no stream: {other:?} {}", String::from_utf8_lossy(&out)),
        }
    }

    pub(crate) fn delete(&self, headers: &Headers) -> Got {
        let mut out = Vec::new();
        match self.dispatcher.delete(&headers.head(), &self.at(headers), &mut out) {
            Outcome::Answer(answer) => Got::new(answer, &out, Vec::new()),
            other => panic!("no answer: {other:?}"),
        }
    }

    /// A sound request of 2026-07-28.
    pub(crate) fn modern(&self, method: &str, params: Value) -> Got {
        let (headers, body) = modern(method, params);
        self.post(&headers, body.to_string())
    }

    /// Calls a tool in 2026-07-28.
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Got {
        self.modern("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// Opens a session and says that it is initialized.
    pub(crate) fn open(&self, version: &str) -> Headers {
        let headers = self.initialize(&Headers::json(), version);
        let got = self.post(&headers, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        assert_eq!((got.status, &got.body), (202, &None));
        headers
    }

    /// Opens a session; the headers come back with its id.
    pub(crate) fn initialize(&self, headers: &Headers, version: &str) -> Headers {
        let got = self.post(headers, initialize(version).to_string());
        assert_eq!(got.status, 200, "{}", got.text);
        let version = got.result()["protocolVersion"].as_str().map(str::to_owned);
        Headers { session: got.session, version, ..headers.clone() }
    }

    /// A request within a session.
    pub(crate) fn legacy(&self, session: &Headers, method: &str, params: Value) -> Got {
        self.post(session, request(method, params).to_string())
    }
}

pub(crate) enum Started {
    Done(Got),
    Running(Call),
}

impl Started {
    pub(crate) fn call(self) -> Call {
        match self {
            Started::Running(call) => call,
            Started::Done(got) => panic!("answered at once: {}", got.text),
        }
    }
}

impl Got {
    pub(crate) fn new(answer: Answer, out: &[u8], events: Vec<Value>) -> Got {
        assert_eq!(answer.has_body, !out.is_empty());
        let text = String::from_utf8(out.to_vec()).expect("answers are UTF-8");
        assert!(!text.contains(['\n', '\r']), "one line: {text}");
        let body: Option<Value> =
            answer.has_body.then(|| serde_json::from_str(&text).expect("answers are JSON"));
        if let Some(body) = &body {
            assert_eq!(body["jsonrpc"], "2.0");
            assert!(body.get("id").is_none_or(|id| !id.is_null()), "no null ids: {text}");
            assert!(body.get("result").is_some() != body.get("error").is_some(), "{text}");
        }
        Got {
            status: answer.status,
            body,
            text,
            events,
            session: answer.session_id.map(|id| id.as_str().to_owned()),
            allow: answer.allow,
            retry_after_s: answer.retry_after_s,
            label: answer.label,
        }
    }
}

pub(crate) fn request(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

pub(crate) fn initialize(version: &str) -> Value {
    let client = json!({"name": "test", "version": "1"});
    request("initialize", json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client}))
}

pub(crate) fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}
    })
}

/// The headers and body of a sound request of 2026-07-28; `_meta` in `params` adds to the required members.
pub(crate) fn modern(method: &str, params: Value) -> (Headers, Value) {
    let mut params = params;
    let mut meta = meta();
    if let Some(own) = params.get("_meta").and_then(Value::as_object) {
        meta.as_object_mut().unwrap().extend(own.clone());
    }
    params["_meta"] = meta;
    let mirrored = params.get("name").or_else(|| params.get("uri"));
    let name = mirrored.and_then(Value::as_str).map(str::to_owned);
    let headers =
        Headers { version: Some(MODERN.into()), method: Some(method.into()), name, ..Headers::json() };
    (headers, request(method, params))
}

struct Unpark {
    thread: std::thread::Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// Polls a call as a connection does, again only when it was woken, until it is answered; panics after ten seconds.
pub(crate) fn finish(mut call: Call) -> Got {
    let unpark = Arc::new(Unpark { thread: std::thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(unpark.clone());
    let cx = &mut Context::from_waker(&waker);
    let (mut out, mut events) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    loop {
        if let Poll::Ready(answer) = call.poll(cx, &mut out) {
            return Got::new(answer, &out, events);
        }
        if take_events(&mut call, &mut events) == 0 {
            while !unpark.woken.swap(false, Ordering::SeqCst) {
                assert!(begin.elapsed() < Duration::from_secs(10), "nobody wakes the call");
                std::thread::park_timeout(Duration::from_secs(1));
            }
        }
    }
}

/// Polls a call once, which must wait.
pub(crate) fn poll_pending(call: &mut Call) {
    let mut out = Vec::new();
    assert!(call.poll(&mut Context::from_waker(Waker::noop()), &mut out).is_pending());
    assert!(out.is_empty());
}

/// Takes the events that are there.
pub(crate) fn take_events(call: &mut Call, events: &mut Vec<Value>) -> usize {
    let before = events.len();
    loop {
        let mut out = Vec::new();
        if call.poll_event(&mut Context::from_waker(Waker::noop()), &mut out).is_pending() {
            return events.len() - before;
        }
        assert!(!out.contains(&b'\n'));
        events.push(serde_json::from_slice(&out).expect("events are JSON"));
    }
}

/// A thread for each job.
struct Threads;

impl Offload for Threads {
    fn submit(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), OffloadFull> {
        std::thread::spawn(job);
        Ok(())
    }
}

/// A server whose blocking tools get a thread each.
pub(crate) fn with_pool(registry: Registry) -> Server {
    Server::with(registry, McpOptions { offload: Some(Arc::new(Threads)), ..McpOptions::default() })
}

/// An event of a stream, as it goes out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) retry_ms: Option<u64>,
    /// `Null` for empty data.
    pub(crate) data: Value,
}

/// Takes the events of a stream that are there.
pub(crate) fn feed_events(feed: &mut Feed) -> Vec<Event> {
    let cx = &mut Context::from_waker(Waker::noop());
    let mut events = Vec::new();
    loop {
        let mut out = Vec::new();
        let Poll::Ready(head) = feed.poll_event(cx, &mut out) else { return events };
        assert!(!out.contains(&b'\n'), "one line");
        let data = if out.is_empty() { Value::Null } else { serde_json::from_slice(&out).expect("JSON") };
        events.push(Event { id: head.id.map(|id| id.to_string()), retry_ms: head.retry_ms, data });
    }
}

/// How a stream has ended, and its last message.
pub(crate) fn feed_end(feed: &mut Feed) -> Option<(Answer, Value)> {
    let mut out = Vec::new();
    match feed.poll(&mut Context::from_waker(Waker::noop()), &mut out) {
        Poll::Ready(answer) => Some((answer, serde_json::from_slice(&out).unwrap_or_default())),
        Poll::Pending => None,
    }
}
