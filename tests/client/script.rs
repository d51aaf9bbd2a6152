//! A transport that answers by a script and remembers what it was sent.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use ringmesh::client::{
    Event, EventSource, Incoming, IncomingContent, LocalBoxFuture, Outgoing, Transport, TransportError, Verb,
};
use ringmesh::runtime::sleep;
use serde_json::{Value, json};

/// What was sent: the head as it was, the body read.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) outgoing: Outgoing,
    pub(crate) body: Value,
}

impl Seen {
    pub(crate) fn method(&self) -> &str {
        match self.outgoing.verb {
            Verb::Post => self.body["method"].as_str().unwrap_or("(response)"),
            Verb::Get => "GET",
            Verb::Delete => "DELETE",
        }
    }

    pub(crate) fn id(&self) -> Value {
        self.body["id"].clone()
    }

    /// A result for this request.
    pub(crate) fn result(&self, result: Value) -> Answer {
        Answer::json(200, json!({ "jsonrpc": "2.0", "id": self.id(), "result": result }))
    }

    /// An error for this request.
    pub(crate) fn error(&self, status: u16, code: i64, data: Value) -> Answer {
        let error = json!({ "code": code, "message": "no", "data": data });
        Answer::json(status, json!({ "jsonrpc": "2.0", "id": self.id(), "error": error }))
    }

    /// The event that carries a result for this request.
    pub(crate) fn last(&self, result: Value) -> Step {
        Step::data(json!({ "jsonrpc": "2.0", "id": self.id(), "result": result }))
    }
}

/// One step of a stream.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Event(Event),
    Pause(u64),
    Break,
    Hang,
}

impl Step {
    pub(crate) fn data(message: Value) -> Step {
        Step::Event(Event { data: message.to_string().into_bytes(), ..Event::default() })
    }

    pub(crate) fn id(id: &str, retry_ms: Option<u64>) -> Step {
        let retry = retry_ms.map(Duration::from_millis);
        Step::Event(Event { id: Some(id.to_owned()), retry, ..Event::default() })
    }

    pub(crate) fn note(method: &str, params: Value) -> Step {
        Step::data(json!({ "jsonrpc": "2.0", "method": method, "params": params }))
    }

    pub(crate) fn ask(id: &str, method: &str, params: Value) -> Step {
        Step::data(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
    }
}

/// What a message is answered with.
pub(crate) enum Answer {
    Http {
        status: u16,
        session: Option<String>,
        retry_after: Option<Duration>,
        body: Option<Vec<u8>>,
    },
    Events(Vec<Step>),
    /// A stream that the test feeds.
    Feed(Rc<Feed>),
    Fail(TransportError),
    Hang,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Answer {
        Answer::Http { status, session: None, retry_after: None, body: None }
    }

    pub(crate) fn json(status: u16, body: Value) -> Answer {
        Answer::Http { status, session: None, retry_after: None, body: Some(body.to_string().into_bytes()) }
    }

    pub(crate) fn text(status: u16, text: &str) -> Answer {
        Answer::Http { status, session: None, retry_after: None, body: Some(text.as_bytes().to_vec()) }
    }

    pub(crate) fn in_session(mut self, id: &str) -> Answer {
        if let Answer::Http { session, .. } = &mut self {
            *session = Some(id.to_owned());
        }
        self
    }
}

type Writer = Box<dyn Fn(&Seen) -> Answer>;

/// The transport.
pub(crate) struct Script {
    answer: Writer,
    pub(crate) seen: RefCell<Vec<Seen>>,
    pub(crate) has_headers: Cell<bool>,
    /// Streams and exchanges that are open.
    pub(crate) open: Rc<Cell<usize>>,
    pub(crate) closed: Cell<bool>,
}

impl Script {
    pub(crate) fn new(answer: impl Fn(&Seen) -> Answer + 'static) -> Rc<Script> {
        Rc::new(Script {
            answer: Box::new(answer),
            seen: RefCell::default(),
            has_headers: Cell::new(true),
            open: Rc::default(),
            closed: Cell::new(false),
        })
    }

    /// A server of 2026-07-28; the script answers what is not `server/discover`.
    pub(crate) fn modern(answer: impl Fn(&Seen) -> Answer + 'static) -> Rc<Script> {
        Script::new(move |seen| match seen.method() {
            "server/discover" => seen.result(discovered()),
            _ => answer(seen),
        })
    }

    /// A server of 2025-11-25 with a session; the script answers what does not belong to its beginning.
    pub(crate) fn old(answer: impl Fn(&Seen) -> Answer + 'static) -> Rc<Script> {
        let sessions = Cell::new(0);
        Script::new(move |seen| match seen.method() {
            "server/discover" => seen.error(200, -32601, Value::Null),
            "initialize" => {
                sessions.set(sessions.get() + 1);
                seen.result(initialized("2025-11-25")).in_session(&format!("session-{}", sessions.get()))
            }
            "notifications/initialized" => Answer::status(202),
            _ => answer(seen),
        })
    }

    /// The methods that were sent, in order.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.seen.borrow().iter().map(|seen| seen.method().to_owned()).collect()
    }

    pub(crate) fn sent(&self, method: &str) -> Vec<Seen> {
        self.seen.borrow().iter().filter(|seen| seen.method() == method).cloned().collect()
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.sent(method).len()
    }

    /// Waits until so many messages of a method were sent.
    pub(crate) async fn until(&self, method: &str, count: usize) {
        while self.count(method) < count {
            sleep(Duration::from_millis(2)).await;
        }
    }
}

fn everything() -> Value {
    json!({ "tools": { "listChanged": true }, "prompts": { "listChanged": true }, "completions": {}, "logging": {},
        "resources": { "subscribe": true, "listChanged": true } })
}

pub(crate) fn discovered() -> Value {
    json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": everything(),
        "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "script", "version": "1" } },
        "ttlMs": 0, "cacheScope": "public" })
}

pub(crate) fn initialized(revision: &str) -> Value {
    json!({ "protocolVersion": revision, "capabilities": everything(),
        "serverInfo": { "name": "script", "version": "1" } })
}

/// Counts something that is open.
struct Opened(Rc<Cell<usize>>);

impl Opened {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Opened(Rc::clone(count))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Transport for Script {
    fn exchange<'a>(&'a self, outgoing: Outgoing) -> LocalBoxFuture<'a, Result<Incoming, TransportError>> {
        Box::pin(async move {
            let opened = Opened::new(&self.open);
            let body = serde_json::from_slice(&outgoing.body).unwrap_or_default();
            let seen = Seen { outgoing, body };
            self.seen.borrow_mut().push(seen.clone());
            let answer = (self.answer)(&seen);
            // A real transport never answers before its caller has waited.
            sleep(Duration::from_micros(100)).await;
            let plain = |status, content| Incoming {
                status,
                session_id: None,
                retry_after: None,
                www_authenticate: None,
                content,
            };
            match answer {
                Answer::Http { status, session, retry_after, body } => {
                    let content_type = Some("application/json".to_owned());
                    let content = body
                        .map_or(IncomingContent::None, |bytes| IncomingContent::Body { content_type, bytes });
                    Ok(Incoming { session_id: session, retry_after, ..plain(status, content) })
                }
                Answer::Events(steps) => {
                    let source = Steps { steps: steps.into(), _opened: opened };
                    Ok(plain(200, IncomingContent::Events(Box::new(source))))
                }
                Answer::Feed(feed) => {
                    Ok(plain(200, IncomingContent::Events(Box::new(Fed { feed, _opened: opened }))))
                }
                Answer::Fail(error) => Err(error),
                Answer::Hang => std::future::pending().await,
            }
        })
    }

    fn has_headers(&self) -> bool {
        self.has_headers.get()
    }

    fn target(&self) -> &str {
        "script"
    }

    fn close<'a>(&'a self) -> LocalBoxFuture<'a, ()> {
        self.closed.set(true);
        Box::pin(std::future::ready(()))
    }
}

struct Steps {
    steps: VecDeque<Step>,
    _opened: Opened,
}

impl EventSource for Steps {
    fn next<'a>(&'a mut self) -> LocalBoxFuture<'a, Option<Result<Event, TransportError>>> {
        Box::pin(async move {
            loop {
                match self.steps.pop_front() {
                    Some(Step::Event(event)) => return Some(Ok(event)),
                    Some(Step::Pause(ms)) => sleep(Duration::from_millis(ms)).await,
                    Some(Step::Break) => return Some(Err(TransportError::Closed { before_answer: false })),
                    Some(Step::Hang) => std::future::pending().await,
                    None => return None,
                }
            }
        })
    }
}

/// A stream that is fed while it is read.
#[derive(Default)]
pub(crate) struct Feed {
    steps: RefCell<VecDeque<Step>>,
}

impl Feed {
    pub(crate) fn push(&self, step: Step) {
        self.steps.borrow_mut().push_back(step);
    }
}

struct Fed {
    feed: Rc<Feed>,
    _opened: Opened,
}

impl EventSource for Fed {
    fn next<'a>(&'a mut self) -> LocalBoxFuture<'a, Option<Result<Event, TransportError>>> {
        Box::pin(async move {
            loop {
                let step = self.feed.steps.borrow_mut().pop_front();
                match step {
                    Some(Step::Event(event)) => return Some(Ok(event)),
                    Some(Step::Break) => return Some(Err(TransportError::Closed { before_answer: false })),
                    _ => sleep(Duration::from_millis(1)).await,
                }
            }
        })
    }
}
