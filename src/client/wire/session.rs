//! Finding out what the server speaks, and the sessions of the older era.

use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_lite::future;
use serde_json::value::RawValue;
use serde_json::{Map, json};

use super::ask::Attempt;
use super::crowd::Patience;
use super::link::{Ask, Link, NOTICE_TIME, Session};
use crate::client::error::ClientError;
use crate::client::options::CallOptions;
use crate::client::protocol::answer::Failure;
use crate::client::protocol::era::{self, Next, Wish};
use crate::client::protocol::message;
use crate::client::results::{RawJson, ServerDescription};
use crate::client::transport::{IncomingContent, Outgoing, TransportError, Verb};
use crate::mcp::Revision;
use crate::runtime::sleep;

/// How long the first request may take: a server that does not know it may say nothing at all.
const PROBE_TIME: Duration = Duration::from_secs(10);
/// What a server lacks that speaks the transport of 2024-11-05 and no other.
pub(crate) const HTTP_SSE_ALONE: &str =
    "Streamable HTTP, only the deprecated HTTP+SSE transport of 2024-11-05";
/// The longest session id; the protocol names no bound.
const MAX_SESSION_ID_BYTES: usize = 1_024;

/// How far the transport's clock and this one may be apart.
const CLOCKS_APART: Duration = Duration::from_millis(50);

impl Link {
    /// Agrees on a revision with the server.
    pub(crate) async fn connect(self: &Rc<Self>) -> Result<(), ClientError> {
        self.options.check()?;
        let forced = self.options.revision;
        if let Some(revision) = forced.filter(|revision| !revision.is_modern()) {
            return self.first_session(revision).await;
        }
        let mut wish = Wish { forced, retried: false, silence_is_old: !self.transport.has_headers() };
        loop {
            let answer = self.discover().await;
            match era::after_discover(answer.as_deref(), wish) {
                Next::Modern(_) => return self.describe(answer.map_err(|failure| failure.error)?),
                Next::Discover(_) => wish.retried = true,
                Next::Initialize(revision) => return self.first_session(revision).await,
                Next::Fail(error) => return Err(error),
            }
        }
    }

    /// Begins a session with a server that is known to be an older one.
    pub(crate) async fn connect_old(self: &Rc<Self>) -> Result<(), ClientError> {
        let forced = self.options.revision.filter(|revision| !revision.is_modern());
        self.begin(forced.unwrap_or(Revision::NEWEST_LEGACY)).await
    }

    async fn discover(self: &Rc<Self>) -> Result<Box<RawValue>, Failure> {
        let revision = Revision::V2026_07_28;
        let session = Rc::new(Session { revision, id: None, agreed: true });
        let options = CallOptions::new().timeout(PROBE_TIME.min(self.options.request_timeout));
        let ask = Ask { options, ..Ask::new("server/discover", json!({})) };
        self.repeated(&session, &ask, &ask.params).await
    }

    fn describe(&self, result: Box<RawValue>) -> Result<(), ClientError> {
        let server = ServerDescription::read(RawJson::new(result));
        let server = server.map_err(|error| ClientError::malformed("the first request", error))?;
        // A session that is begun again finds the description of the first one.
        let _ = self.server.set(server);
        Ok(())
    }

    async fn first_session(self: &Rc<Self>, revision: Revision) -> Result<(), ClientError> {
        match self.begin(revision).await {
            Err(ClientError::Http { status: 400 | 404 | 405, .. }) if self.is_http_sse().await => {
                Err(ClientError::NotOffered { what: HTTP_SSE_ALONE.to_owned() })
            }
            done => done,
        }
    }

    /// Begins a session and makes it the current one.
    async fn begin(self: &Rc<Self>, revision: Revision) -> Result<(), ClientError> {
        let asked = match self.initialize(revision).await {
            Err(failure) => match self.other_revision(revision, &failure) {
                Some(other) => self.initialize(other).await,
                None => Err(failure),
            },
            done => done,
        };
        let result = asked.map_err(|failure| failure.error)?;
        let session = Rc::new(self.agreed(&result)?);
        self.notify(&session, "notifications/initialized").await?;
        self.describe(result)?;
        *self.session.borrow_mut() = session;
        self.restore().await;
        Ok(())
    }

    async fn initialize(self: &Rc<Self>, revision: Revision) -> Result<Box<RawValue>, Failure> {
        let session = Rc::new(Session { revision, id: None, agreed: false });
        let params = json!({
            "protocolVersion": revision.as_str(),
            "capabilities": self.options.handlers.capabilities(revision),
            "clientInfo": self.options.client_info(),
        });
        let ask = Ask::new("initialize", params);
        self.repeated(&session, &ask, &ask.params).await
    }

    /// A revision that the server named when it refused the one that was asked for.
    fn other_revision(&self, asked: Revision, failure: &Failure) -> Option<Revision> {
        let data = failure.error.protocol()?.data.as_ref()?;
        let named = data.get("supported")?.as_array()?;
        let old =
            Revision::ALL.iter().copied().filter(|revision| !revision.is_modern() && *revision != asked);
        old.into_iter()
            .filter(|_| self.options.revision.is_none())
            .find(|revision| named.iter().any(|name| name == revision.as_str()))
    }

    /// What the answer to `initialize` agrees to.
    fn agreed(&self, result: &RawValue) -> Result<Session, ClientError> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Agreed {
            protocol_version: String,
        }
        let Agreed { protocol_version } = serde_json::from_str(result.get())
            .map_err(|error| ClientError::malformed("initialize", error))?;
        let revision = Revision::parse(&protocol_version).filter(|revision| !revision.is_modern());
        let wanted = |revision: &Revision| self.options.revision.is_none_or(|forced| forced == *revision);
        let Some(revision) = revision.filter(wanted) else {
            let all = Revision::ALL.iter().filter(|revision| !revision.is_modern() && wanted(revision));
            let client = all.map(|revision| revision.as_str()).collect();
            return Err(ClientError::NoCommonRevision { server: vec![protocol_version], client });
        };
        Ok(Session { revision, id: self.offered.take(), agreed: true })
    }

    /// Keeps the session id that came with the answer to `initialize`.
    pub(super) fn keep_session(&self, attempt: &Attempt<'_>, id: Option<String>) -> Result<(), Failure> {
        if attempt.ask.method != "initialize" {
            return Ok(());
        }
        let printable = |id: &String| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
        if id.as_ref().is_some_and(|id| !printable(id) || id.len() > MAX_SESSION_ID_BYTES) {
            let why =
                format!("its Mcp-Session-Id must be 1 to {MAX_SESSION_ID_BYTES} visible ASCII characters");
            return Err(Failure::last(ClientError::malformed("initialize", why)));
        }
        self.offered.replace(id);
        Ok(())
    }

    /// Begins a new session in place of one that the server forgot, unless another request has done so.
    pub(super) async fn renew(self: &Rc<Self>, lost: &Rc<Session>, why: &Failure) -> Result<(), ClientError> {
        let _alone = self.gate.enter().await;
        if !Rc::ptr_eq(lost, &self.session()) {
            return Ok(());
        }
        tracing::warn!(target = self.transport.target(), error = %why.error, "the session is lost; beginning a new one");
        let begun = self.begin(lost.revision).await;
        begun.map_err(|error| ClientError::SessionLost { why: error.to_string() })
    }

    /// Tells a server in a new session what an earlier one knew.
    async fn restore(self: &Rc<Self>) {
        let session = self.session();
        let watched: Vec<String> = self.watched.borrow().iter().cloned().collect();
        let mut asks: Vec<Ask> =
            watched.into_iter().map(|uri| Ask::new("resources/subscribe", json!({ "uri": uri }))).collect();
        let logs = self.server.get().is_some_and(|server| server.offers("logging"));
        if let Some(level) = self.level.get().filter(|_| logs) {
            asks.push(Ask::new("logging/setLevel", json!({ "level": level.as_str() })));
        }
        for ask in asks {
            if let Err(failure) = self.repeated(&session, &ask, &ask.params).await {
                tracing::warn!(method = ask.method, error = %failure.error, "the new session could not be set up in full");
            }
        }
    }

    /// Sends a notification.
    pub(crate) async fn notify(&self, session: &Session, method: &str) -> Result<(), ClientError> {
        let outgoing = self.notice(session, message::notification(method, &Map::new()));
        let incoming = self.exchange(outgoing).await.map_err(|error| self.transport_error(error))?;
        if (200..300).contains(&incoming.status) {
            return Ok(());
        }
        let body = format!("to {method}");
        Err(ClientError::Http { status: incoming.status, body, www_authenticate: incoming.www_authenticate })
    }

    /// Ends the session, if there is one. A server may refuse to.
    pub(crate) async fn end_session(&self) -> Result<(), ClientError> {
        let session = self.session();
        if session.id.is_none() {
            return Ok(());
        }
        let outgoing = Outgoing { verb: Verb::Delete, ..self.notice(&session, Vec::new()) };
        let incoming = self.exchange(outgoing).await.map_err(|error| self.transport_error(error))?;
        match incoming.status {
            200..=299 | 404 | 405 => Ok(()),
            status => {
                let body = "to the end of the session".to_owned();
                Err(ClientError::Http { status, body, www_authenticate: incoming.www_authenticate })
            }
        }
    }

    /// Whether the server speaks the transport that came before Streamable HTTP: its stream begins with an `endpoint`.
    async fn is_http_sse(&self) -> bool {
        let session = self.session();
        let outgoing = Outgoing { verb: Verb::Get, ..self.notice(&session, Vec::new()) };
        let look = async {
            let IncomingContent::Events(mut source) = self.exchange(outgoing).await.ok()?.content else {
                return None;
            };
            source.next().await?.ok()?.name
        };
        let late = async {
            sleep(NOTICE_TIME).await;
            None
        };
        future::or(look, late).await.as_deref() == Some("endpoint")
    }

    pub(super) fn transport_error(&self, error: TransportError) -> ClientError {
        ClientError::Transport { target: self.transport.target().to_owned(), error }
    }

    /// What a transport's error means for an attempt.
    pub(super) fn of_transport(
        &self,
        attempt: &Attempt<'_>,
        patience: &Patience,
        error: TransportError,
    ) -> Failure {
        match error {
            TransportError::Timeout { .. } if patience.left() < CLOCKS_APART => {
                attempt.timed_out(patience.spent(Instant::now()))
            }
            error => Failure::of_transport(self.transport.target(), error),
        }
    }
}
