//! The client: connecting, asking anything, closing.

use std::rc::Rc;
use std::time::Duration;

use futures_lite::future;
use serde_json::{Value, json};

use super::error::ClientError;
use super::http::HttpTransport;
use super::http_sse::HttpSse;
use super::options::{CallOptions, ClientOptions};
use super::p2p::P2pTransport;
use super::results::{RawJson, ServerDescription};
use super::transport::Transport;
use super::wire::{Ask, HTTP_SSE_ALONE, Link, ListenFilter, Subscription};
use crate::mcp::{LogLevel, Revision};
use crate::runtime::{Scope, sleep};

/// How long closing waits for what is still on its way.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// A client of one server.
///
/// It lives on one executor, in the scope it was made in, and is not `Send`. Clones share it. Dropping the future of
/// a request gives the request up and tells the server so. Dropping the last clone leaves nothing running but notices
/// of that kind, for five seconds at most; an older server's session is ended by [`Client::close`] alone.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) link: Rc<Link>,
    /// Keeps an older server's stream open as long as a clone lives.
    _present: Option<Rc<Subscription>>,
}

impl Client {
    /// Connects to an http or https URL, or to a peer at a libp2p multiaddr (`/ip4/…/tcp/…/p2p/ID`), see
    /// [`Client::connect_over`]. An HTTP server that speaks the HTTP+SSE transport of 2024-11-05 and no other is spoken
    /// to over that.
    ///
    /// # Errors
    /// [`ClientError::Options`] for a target or for options that cannot work, and as [`Client::connect_over`].
    pub async fn connect(scope: &Scope, target: &str, options: ClientOptions) -> Result<Client, ClientError> {
        if target.starts_with('/') {
            let mut p2p = options.p2p.clone();
            p2p.max_frame_bytes = p2p.max_frame_bytes.min(options.limits.max_message_bytes);
            let transport = P2pTransport::to(scope, target, p2p);
            let transport = transport.map_err(|why| ClientError::Options(format!("bad target: {why}")))?;
            return Self::connect_over(scope, Rc::new(transport), options).await;
        }
        let mut http = options.http.clone();
        let max = options.limits.max_message_bytes;
        http.limits.body_bytes = http.limits.body_bytes.min(max);
        http.limits.event_bytes = http.limits.event_bytes.min(max);
        let setup = |error: super::http::SetupError| ClientError::Options(error.to_string());
        let transport = HttpTransport::new(target, http.clone()).map_err(setup)?;
        match Self::connect_over(scope, Rc::new(transport), options.clone()).await {
            Err(ClientError::NotOffered { what }) if what == HTTP_SSE_ALONE => {}
            done => return done,
        }
        let link = Link::new(scope, Rc::new(HttpSse::open(scope, target, http).await?), options);
        link.connect_old().await?;
        Self::present(link).await
    }

    /// Connects over a transport: finds out which revision the server speaks, and begins a session where it needs one.
    ///
    /// # Errors
    /// Whatever keeps the two from agreeing, see [`ClientError`].
    pub async fn connect_over(
        scope: &Scope,
        transport: Rc<dyn Transport>,
        options: ClientOptions,
    ) -> Result<Client, ClientError> {
        let link = Link::new(scope, transport, options);
        link.connect().await?;
        Self::present(link).await
    }

    async fn present(link: Rc<Link>) -> Result<Client, ClientError> {
        let present = link.be_present().await?;
        Ok(Client { link, _present: present.map(Rc::new) })
    }

    /// The revision that both sides speak.
    pub fn revision(&self) -> Revision {
        self.link.revision()
    }

    /// Who the server says it is, and what it offers.
    pub fn server(&self) -> &ServerDescription {
        self.link.server.get().expect("invariant: a client is only made once the server has described itself")
    }

    /// What the user named, for messages.
    pub fn target(&self) -> &str {
        self.link.transport.target()
    }

    /// Asks for anything, whether the server declares it or not, and returns the result as it came.
    ///
    /// Questions, sessions and time-outs are dealt with as in all requests. A method that the protocol does not have
    /// is only repeated when it certainly did not run.
    ///
    /// # Errors
    /// See [`ClientError`]; parameters that are neither an object nor null are refused.
    pub async fn request_raw(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        if !params.is_object() && !params.is_null() {
            return Err(ClientError::Options("the parameters of a request must be a JSON object".to_owned()));
        }
        let result = self.ask(method, params, CallOptions::new()).await?;
        result.read().map_err(|error| ClientError::malformed(method, error))
    }

    /// Asks the server who it is and what it offers: again, or for the first time.
    ///
    /// # Errors
    /// [`ClientError::NotOffered`] before 2026-07-28, and as [`Client::request_raw`].
    pub async fn discover(&self) -> Result<Value, ClientError> {
        self.only_modern("server/discover")?;
        self.request_raw("server/discover", json!({})).await
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// As [`Client::request_raw`]. 2026-07-28 has no such method: there the server is asked to describe itself.
    pub async fn ping(&self) -> Result<(), ClientError> {
        let method = if self.revision().is_modern() { "server/discover" } else { "ping" };
        self.ask(method, json!({}), CallOptions::new()).await.map(drop)
    }

    /// Chooses from which level on the server sends its log, see [`ClientOptions::on_log`].
    ///
    /// An older server is told at once, for all that follows; in 2026-07-28 each later request says it.
    ///
    /// # Errors
    /// [`ClientError::NotOffered`] when the server does not log, and as [`Client::request_raw`].
    pub async fn set_log_level(&self, level: LogLevel) -> Result<(), ClientError> {
        self.needs("logging")?;
        if !self.revision().is_modern() {
            self.ask("logging/setLevel", json!({ "level": level.as_str() }), CallOptions::new()).await?;
        }
        self.link.level.set(Some(level));
        Ok(())
    }

    /// Listens for changes: on a stream of its own in 2026-07-28, on the session's stream before that.
    ///
    /// What the server does not offer is not granted, see [`Subscription::granted`].
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn listen(&self, filter: ListenFilter) -> Result<Subscription, ClientError> {
        self.link.listen(filter).await
    }

    /// Tells an older server that the roots have changed; newer ones ask when they need them.
    ///
    /// # Errors
    /// When the server could not be told.
    pub async fn roots_changed(&self) -> Result<(), ClientError> {
        let session = self.link.session();
        if session.revision.is_modern() || self.link.options.handlers.roots.is_none() {
            return Ok(());
        }
        self.link.notify(&session, "notifications/roots/list_changed").await
    }

    /// Ends everything: requests of all clones return [`ClientError::Closed`], streams end, an older server's session
    /// is ended, and no connection stays open.
    ///
    /// # Errors
    /// When the server could not be told that the session ends. The client is closed all the same.
    pub async fn close(self) -> Result<(), ClientError> {
        if self.link.closed.is_stopped() {
            return Ok(());
        }
        self.link.closed.stop();
        let idle = async {
            self.link.idle().await;
            true
        };
        let late = async {
            sleep(CLOSE_TIME).await;
            false
        };
        if !future::or(idle, late).await {
            tracing::warn!(target = self.target(), "a stream did not end when the client was closed");
        }
        self.link.ending.take();
        let ended = self.link.end_session().await;
        self.link.transport.close().await;
        ended
    }

    pub(super) async fn ask(
        &self,
        method: &str,
        params: Value,
        options: CallOptions,
    ) -> Result<RawJson, ClientError> {
        let ask = Ask { options, ..Ask::new(method, params) };
        self.link.request(ask).await.map(RawJson::new)
    }

    /// Refuses what the server did not declare.
    pub(super) fn needs(&self, capability: &str) -> Result<(), ClientError> {
        if self.server().offers(capability) {
            return Ok(());
        }
        Err(ClientError::NotOffered { what: capability.to_owned() })
    }

    fn only_modern(&self, method: &str) -> Result<(), ClientError> {
        if self.revision().is_modern() {
            return Ok(());
        }
        Err(ClientError::NotOffered {
            what: format!("{method}, which revision {} does not have", self.revision()),
        })
    }

    pub(super) fn only_old(&self, method: &str) -> Result<(), ClientError> {
        if !self.revision().is_modern() {
            return Ok(());
        }
        let what = format!("{method}, which revision {} does not have; use listen", self.revision());
        Err(ClientError::NotOffered { what })
    }
}
