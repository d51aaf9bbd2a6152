//! What all parts of one client share, and how its messages are composed.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::rc::{Rc, Weak};
use std::time::Duration;

use event_listener::Event;
use futures_lite::future;
use serde_json::{Map, Value, json};

use super::crowd::Answering;
use super::gate::Gate;
use super::known::KnownTool;
use super::queue::Waiting;
use super::standing::Standing;
use crate::client::error::ClientError;
use crate::client::options::{CallOptions, ClientOptions};
use crate::client::protocol::{headers, message};
use crate::client::results::ServerDescription;
use crate::client::transport::{
    EventSource, Incoming, Outgoing, OutgoingHead, Transport, TransportError, Verb,
};
use crate::mcp::{LogLevel, Revision};
use crate::runtime::{Scope, StopFlag, sleep};

/// How long a message may take that nobody waits for: a notice, an answer, an end.
pub(crate) const NOTICE_TIME: Duration = Duration::from_secs(5);

/// What was agreed with the server. It is replaced as a whole.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) revision: Revision,
    /// `Mcp-Session-Id`, where an older server gave one.
    pub(crate) id: Option<String>,
    /// Whether the revision is agreed, so that headers name it.
    pub(crate) agreed: bool,
}

/// One request, whatever its id will be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    pub(crate) method: String,
    pub(crate) params: Map<String, Value>,
    pub(crate) headers: Vec<(String, String)>,
    /// Whether it changes nothing, so that it may be repeated when it may have run.
    pub(crate) safe: bool,
    pub(crate) options: CallOptions,
}

impl Ask {
    /// A request; whether it is safe is known from its method.
    pub(crate) fn new(method: &str, params: Value) -> Self {
        let params = match params {
            Value::Object(params) => params,
            _ => Map::new(),
        };
        let safe = !matches!(method, "tools/call") && !method.starts_with("tasks/") && is_known(method);
        Ask { method: method.to_owned(), params, safe, ..Ask::default() }
    }
}

/// The methods of the protocol itself, of which only `tools/call` does something that repeating would do twice.
fn is_known(method: &str) -> bool {
    let rooms = ["tools/", "resources/", "prompts/", "completion/", "logging/", "server/", "subscriptions/"];
    method == "ping" || method == "initialize" || rooms.iter().any(|room| method.starts_with(room))
}

/// What all clones of a client and all its streams share.
pub(crate) struct Link {
    pub(crate) transport: Rc<dyn Transport>,
    pub(crate) scope: Scope,
    pub(crate) options: ClientOptions,
    pub(crate) session: RefCell<Rc<Session>>,
    pub(crate) server: OnceCell<ServerDescription>,
    /// The tools of the last list.
    pub(crate) tools: RefCell<BTreeMap<String, Rc<KnownTool>>>,
    pub(crate) level: Cell<Option<LogLevel>>,
    /// Where to tell of changes, and what an older server was asked to watch.
    pub(crate) listeners: RefCell<Vec<Weak<Waiting>>>,
    pub(crate) watched: RefCell<BTreeSet<String>>,
    /// The older era's one stream of changes, while somebody needs it.
    pub(crate) standing: RefCell<Option<Rc<Standing>>>,
    /// The session id that came with the last `initialize`.
    pub(crate) offered: Cell<Option<String>>,
    /// Who begins a session, or opens that stream, does it alone.
    pub(crate) gate: Gate,
    pub(crate) closed: StopFlag,
    /// Streams whose response has come and which have not ended.
    pub(crate) ending: RefCell<Vec<Box<dyn EventSource>>>,
    pub(crate) cancels: Cell<usize>,
    /// Questions of the server that are being answered.
    pub(crate) answering: Answering,
    next_id: Cell<u64>,
    tasks: Cell<usize>,
    task_ended: Event,
}

impl Link {
    pub(crate) fn new(scope: &Scope, transport: Rc<dyn Transport>, options: ClientOptions) -> Rc<Self> {
        let revision = options.revision.unwrap_or(Revision::V2026_07_28);
        let session = Session { revision, id: None, agreed: revision.is_modern() };
        Rc::new(Link {
            transport,
            scope: scope.clone(),
            session: RefCell::new(Rc::new(session)),
            server: OnceCell::new(),
            tools: RefCell::default(),
            level: Cell::new(options.log_level),
            listeners: RefCell::default(),
            watched: RefCell::default(),
            standing: RefCell::default(),
            offered: Cell::default(),
            gate: Gate::default(),
            closed: StopFlag::new(),
            ending: RefCell::default(),
            cancels: Cell::new(0),
            answering: Answering::default(),
            next_id: Cell::new(1),
            tasks: Cell::new(0),
            task_ended: Event::new(),
            options,
        })
    }

    pub(crate) fn session(&self) -> Rc<Session> {
        Rc::clone(&self.session.borrow())
    }

    pub(crate) fn revision(&self) -> Revision {
        self.session.borrow().revision
    }

    /// An id that no request of this client had.
    pub(crate) fn fresh_id(&self) -> u64 {
        self.next_id.replace(self.next_id.get() + 1)
    }

    /// The bytes and the head of a request.
    pub(crate) fn compose(
        &self,
        session: &Session,
        id: u64,
        ask: &Ask,
        params: &Map<String, Value>,
        timeout: Duration,
    ) -> Outgoing {
        let mut params = params.clone();
        let meta = self.meta(session, id, ask);
        if !meta.is_empty() {
            params.insert("_meta".to_owned(), Value::Object(meta));
        }
        let mut head = self.head(session);
        if session.revision.is_modern() {
            head.method = Some(ask.method.clone());
            head.name = headers::mirrored_name(&ask.method, &params);
            head.params = ask.headers.clone();
        }
        let body = message::request(id, &ask.method, &params);
        Outgoing { verb: Verb::Post, body, head, timeout, idle_timeout: None, idempotent: ask.safe }
    }

    fn meta(&self, session: &Session, id: u64, ask: &Ask) -> Map<String, Value> {
        let mut meta = ask.options.meta.clone();
        if let Some(Value::Object(given)) = ask.params.get("_meta") {
            meta.extend(given.clone());
        }
        let wants_progress = ask.options.progress.is_some() || self.options.handlers.progress.is_some();
        if wants_progress && ask.method != "initialize" {
            meta.insert("progressToken".to_owned(), json!(id));
        }
        if session.revision.is_modern() {
            let capabilities = self.options.handlers.capabilities(session.revision);
            let mut insert =
                |name: &str, value| meta.insert(format!("io.modelcontextprotocol/{name}"), value);
            insert("protocolVersion", session.revision.as_str().into());
            insert("clientInfo", self.options.client_info());
            insert("clientCapabilities", Value::Object(capabilities));
            if let Some(level) = self.level.get() {
                insert("logLevel", level.as_str().into());
            }
        }
        meta.extend(self.transport.request_meta());
        meta
    }

    /// What every message of the session says beside its body.
    pub(crate) fn head(&self, session: &Session) -> OutgoingHead {
        let named = session.agreed && session.revision.is_named_in_header();
        OutgoingHead {
            protocol_version: named.then(|| session.revision.as_str().to_owned()),
            session_id: session.id.clone(),
            ..OutgoingHead::default()
        }
    }

    /// A message that needs no answer, and does no harm when it arrives twice.
    pub(crate) fn notice(&self, session: &Session, body: Vec<u8>) -> Outgoing {
        let head = self.head(session);
        let (timeout, idle_timeout) = (NOTICE_TIME.min(self.options.request_timeout), None);
        Outgoing { verb: Verb::Post, body, head, timeout, idle_timeout, idempotent: true }
    }

    /// An exchange that ends in its time, whatever the transport makes of that.
    pub(crate) async fn exchange(&self, outgoing: Outgoing) -> Result<Incoming, TransportError> {
        let timeout = outgoing.timeout;
        let late = async {
            sleep(timeout).await;
            Err(TransportError::Timeout { what: "the answer" })
        };
        future::or(self.transport.exchange(outgoing), late).await
    }

    /// Starts a task of this client in the caller's scope.
    pub(crate) fn spawn(
        self: &Rc<Self>,
        name: &'static str,
        task: impl Future<Output = ()> + 'static,
    ) -> Result<(), ClientError> {
        let counted = Counted::new(self);
        let task = async move {
            task.await;
            drop(counted);
        };
        self.scope.spawn(name, task).map_err(|_| ClientError::Closed)
    }

    /// Waits until no task of this client runs.
    pub(crate) async fn idle(&self) {
        while self.tasks.get() > 0 {
            let ended = self.task_ended.listen();
            if self.tasks.get() > 0 {
                ended.await;
            }
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The session's id is a secret.
        let revision = self.revision();
        f.debug_struct("Link")
            .field("target", &self.transport.target())
            .field("revision", &revision)
            .finish_non_exhaustive()
    }
}

/// A task that runs, however it ends.
struct Counted(Rc<Link>);

impl Counted {
    fn new(link: &Rc<Link>) -> Self {
        link.tasks.set(link.tasks.get() + 1);
        Counted(Rc::clone(link))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.tasks.set(self.0.tasks.get() - 1);
        self.0.task_ended.notify(usize::MAX);
    }
}
