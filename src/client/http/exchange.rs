//! One exchange: a connection, a request, and the head of the answer, all before the deadline.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;
use rustls::ClientConfig;

use super::events::HttpEvents;
use super::options::HttpOptions;
use super::pool::{Permit, Pool};
use super::request::CommonHead;
use super::talk::Talk;
use super::target::HttpTarget;
use super::tls::TlsStream;
use super::wire::Wire;
use crate::client::{Incoming, IncomingContent, Outgoing, TransportError};
use crate::http::HttpLimits;
use crate::http::client::{AnswerHead, Step};
use crate::runtime::{Timer, connect_any, resolve};

/// The longest deadline that is told from none.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// What an exchange waits for, and says when it waited too long.
const FREE: &str = "no connection became free";
const CONNECTION: &str = "no connection came about";
const ANSWER: &str = "no answer came";
const REST: &str = "the answer did not come to its end";

/// What all exchanges of one transport share.
pub(super) struct Shared {
    pub(super) target: HttpTarget,
    pub(super) options: HttpOptions,
    pub(super) common: CommonHead,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) pool: Pool,
}

/// What went wrong, and whether it could go right on another connection.
struct Failure {
    error: TransportError,
    stale: bool,
}

impl Shared {
    pub(super) async fn exchange(&self, mut outgoing: Outgoing) -> Result<Incoming, TransportError> {
        let phase = Cell::new(FREE);
        let timeout = outgoing.timeout.min(MAX_TIMEOUT);
        let late = async {
            Timer::after(timeout).await;
            match phase.get() {
                FREE => Err(TransportError::Busy { max: self.options.max_connections }),
                what => Err(TransportError::Timeout { what }),
            }
        };
        future::or(self.attempts(&mut outgoing, &phase), late).await
    }

    /// At most two: a connection that was idle may turn out to be closed.
    async fn attempts(
        &self,
        outgoing: &mut Outgoing,
        phase: &Cell<&'static str>,
    ) -> Result<Incoming, TransportError> {
        let head = self.common.render(outgoing)?;
        match self.attempt(&head, outgoing, phase).await {
            Err(Failure { stale: true, .. }) => {}
            result => return result.map_err(|failure| failure.error),
        }
        // The others were idle as long; none of them is worth another try.
        self.pool.drop_idle();
        self.attempt(&head, outgoing, phase).await.map_err(|failure| failure.error)
    }

    async fn attempt(
        &self,
        head: &[u8],
        outgoing: &mut Outgoing,
        phase: &Cell<&'static str>,
    ) -> Result<Incoming, Failure> {
        let fatal = |error| Failure { error, stale: false };
        phase.set(FREE);
        let (pooled, permit) = self.pool.take().await;
        let was_pooled = pooled.is_some();
        let wire = match pooled {
            Some(wire) => wire,
            None => {
                phase.set(CONNECTION);
                self.connect().await.map_err(fatal)?
            }
        };
        phase.set(ANSWER);
        // Only a request on a connection that was idle may be needed again.
        let body = if was_pooled { outgoing.body.clone() } else { std::mem::take(&mut outgoing.body) };
        let request = [head.to_vec(), body];
        let mut talk = self.begin(wire, permit, request).map_err(fatal)?;
        if let Err(error) = talk.step().await {
            let unanswered = error == TransportError::Closed { before_answer: true };
            let stale = was_pooled && unanswered && (outgoing.idempotent || !talk.has_sent());
            return Err(Failure { error, stale });
        }
        self.answer(talk, outgoing.idle_timeout, phase).await.map_err(fatal)
    }

    fn begin(&self, wire: Wire, permit: Permit, request: [Vec<u8>; 2]) -> Result<Talk, TransportError> {
        let limits = &self.options.limits;
        let limits = HttpLimits {
            head_bytes: limits.head_bytes,
            headers: limits.headers,
            body_bytes: limits.body_bytes,
        };
        Talk::begin(wire, permit, request, limits)
    }

    /// The head is there: judges it, and reads what is no stream.
    async fn answer(
        &self,
        mut talk: Talk,
        idle_timeout: Option<Duration>,
        phase: &Cell<&'static str>,
    ) -> Result<Incoming, TransportError> {
        let Some(head) = talk.reader().head().cloned() else {
            return Err(TransportError::Malformed("the answer has no head".to_owned()));
        };
        refuse_redirect(&head)?;
        let mut incoming = incoming(&head);
        if (200..300).contains(&head.status) && is_event_stream(&head) {
            talk.reader().expect_stream();
            let events =
                HttpEvents::new(talk, self.pool.clone(), self.options.limits.event_bytes, idle_timeout);
            incoming.content = IncomingContent::Events(Box::new(events));
            return Ok(incoming);
        }
        phase.set(REST);
        let mut bytes = Vec::new();
        while talk.step().await? == Step::Data {
            bytes.append(&mut talk.reader().take_data());
        }
        talk.finish(&self.pool);
        if !bytes.is_empty() {
            let content_type = head.text("content-type").map(str::to_owned);
            incoming.content = IncomingContent::Body { content_type, bytes };
        }
        Ok(incoming)
    }

    async fn connect(&self) -> Result<Wire, TransportError> {
        let HttpTarget { host, port, .. } = &self.target;
        let addresses: Vec<SocketAddr> = resolve(host, *port, self.options.resolve_timeout)
            .await
            .map_err(|error| TransportError::Resolve(format!("{host}: {error}")))?;
        let stream = connect_any(&addresses, self.options.connect_timeout)
            .await
            .map_err(|error| TransportError::Connect(error.to_string()))?;
        let Some(config) = &self.tls else { return Ok(Wire::Plain(Box::new(stream))) };
        let handshake = TlsStream::handshake(stream, Arc::clone(config), host);
        let late = async {
            Timer::after(self.options.connect_timeout).await;
            Err(TransportError::Timeout { what: "the TLS handshake did not come to its end" })
        };
        future::or(handshake, late).await.map(|tls| Wire::Tls(Box::new(tls)))
    }
}

fn refuse_redirect(head: &AnswerHead) -> Result<(), TransportError> {
    if !(300..400).contains(&head.status) {
        return Ok(());
    }
    let place = head.text("location").unwrap_or("nowhere");
    // A server often repeats the query that it was asked with, which may hold a secret.
    let place = place.split(['?', '#']).next().unwrap_or_default();
    let place: String = place.chars().take(200).flat_map(char::escape_default).collect();
    Err(TransportError::Unsupported(format!(
        "the server answers {} and points to {place}; redirects are not followed: name the URL that is meant",
        head.status
    )))
}

fn incoming(head: &AnswerHead) -> Incoming {
    // The other form, a date, would need a clock that agrees with the server's.
    let seconds = head.text("retry-after").and_then(|text| text.parse::<u32>().ok());
    Incoming {
        status: head.status,
        session_id: head.text("mcp-session-id").map(str::to_owned),
        retry_after: seconds.map(|seconds| Duration::from_secs(seconds.into())),
        www_authenticate: head.text("www-authenticate").map(str::to_owned),
        content: IncomingContent::None,
    }
}

fn is_event_stream(head: &AnswerHead) -> bool {
    let content_type = head.text("content-type").unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("text/event-stream")
}
