//! One exchange over the streams of a peer.

use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_lite::future;

use super::feed::Arrival;
use super::lane::{Fate, Lane, Parcel, Wish};
use super::lanes::Lanes;
use super::old::as_tool_result;
use super::scan::{Id, Scan, old_peer, scan};
use super::share::Share;
use crate::client::transport::{Incoming, IncomingContent, Outgoing, TransportError, Verb};
use crate::runtime::{LONGEST_WAIT, sleep};

const CLOSED: TransportError = TransportError::Closed { before_answer: true };

/// A request on its way.
struct Call<'a> {
    id: &'a Id,
    method: &'a str,
    outgoing: &'a Outgoing,
}

impl Call<'_> {
    /// How long it may wait for room: a moment less than for its answer, so that the error can say why.
    fn patience(&self) -> Duration {
        self.outgoing.timeout.mul_f64(0.95)
    }
}

/// An answer of a transport that has no status of its own.
fn incoming(status: u16, content: IncomingContent) -> Incoming {
    Incoming { status, session_id: None, retry_after: None, www_authenticate: None, content }
}

/// The session is lost, as HTTP says it.
fn no_session() -> Incoming {
    incoming(404, IncomingContent::None)
}

impl Lanes {
    pub(super) async fn exchange(&self, outgoing: Outgoing) -> Result<Incoming, TransportError> {
        let timeout = outgoing.timeout;
        let late = async {
            sleep(timeout).await;
            Err(TransportError::Timeout { what: "the answer" })
        };
        let work = async {
            match outgoing.verb {
                Verb::Post => self.post(&outgoing).await,
                Verb::Get => Ok(self.stand(&outgoing)),
                Verb::Delete => Ok(self.end_session(&outgoing).await),
            }
        };
        future::or(work, late).await
    }

    /// The stream that the message must go, where it belongs to a session. `Err` when that is lost.
    fn session(&self, outgoing: &Outgoing) -> Result<Option<Rc<Lane>>, Incoming> {
        let Some(id) = outgoing.head.session_id.as_deref() else { return Ok(None) };
        self.of_session(id).map(Some).ok_or_else(no_session)
    }

    async fn post(&self, outgoing: &Outgoing) -> Result<Incoming, TransportError> {
        let lane = match self.session(outgoing) {
            Ok(lane) => lane,
            Err(lost) => return Ok(lost),
        };
        match scan(&outgoing.body).map_err(TransportError::Malformed)? {
            Scan::Request { id, method } => {
                let call = Call { id: &id, method: &method, outgoing };
                match lane {
                    Some(lane) => self.in_session(&lane, &call).await,
                    None if call.method == "initialize" => self.begin_session(&call).await,
                    None => self.apart(&call).await,
                }
            }
            Scan::Notification(note) => {
                let gone_by = note.cancels.as_ref().and_then(|id| self.of_request(id));
                if let (Some(lane), Some(id)) = (&gone_by, &note.cancels) {
                    lane.routes.borrow_mut().cancelled(id);
                }
                tell(lane.or(gone_by), &outgoing.body).await
            }
            Scan::Response { .. } | Scan::Unnamed(_) => tell(lane, &outgoing.body).await,
        }
    }

    /// A request that stands for itself. One that found a stale stream goes once more, over a new one, when the peer
    /// cannot have seen it or may see it twice.
    async fn apart(&self, call: &Call<'_>) -> Result<Incoming, TransportError> {
        let picked = self.pick(call.patience()).await?;
        let mut sent = None;
        let failed = match ask(&picked.lane, call, &mut sent).await {
            Err(CLOSED) if !picked.is_fresh => CLOSED,
            done => return done,
        };
        let never_left = sent.is_none_or(|parcel| parcel.fate() == Fate::Dropped);
        if !never_left && !call.outgoing.idempotent {
            return Err(failed);
        }
        tracing::debug!(method = call.method, "the stream was stale; asking over another one");
        let picked = self.pick(call.patience()).await?;
        ask(&picked.lane, call, &mut None).await
    }

    /// Begins a session, on a stream of its own.
    async fn begin_session(&self, call: &Call<'_>) -> Result<Incoming, TransportError> {
        let lane = self.for_session(call.patience()).await?;
        let guard = EndUnless { lane: Some(Rc::clone(&lane)) };
        let answer = ask(&lane, call, &mut None).await?;
        if let IncomingContent::Body { bytes, .. } = &answer.content {
            let Ok(Scan::Response { result: Some(result), .. }) = scan(bytes) else { return Ok(answer) };
            lane.old.set(old_peer(result));
        }
        guard.keep();
        Ok(Incoming { session_id: Some(lane.session_id()), ..answer })
    }

    /// A request of a session. An old peer gets one after the other.
    async fn in_session(&self, lane: &Rc<Lane>, call: &Call<'_>) -> Result<Incoming, TransportError> {
        let Some(most) = lane.old.get() else {
            let last = Instant::now() + call.patience().min(LONGEST_WAIT);
            self.room(last, || self.has_room(lane) || !lane.is_open()).await?;
            return match lane.is_open() {
                true => ask(lane, call, &mut None).await,
                false => Ok(no_session()),
            };
        };
        let length = call.outgoing.body.len();
        if length > most {
            let why =
                format!("the request has {length} bytes, and this peer reads messages of at most {most}");
            return Err(TransportError::Unsupported(why));
        }
        let _alone = lane.turn.enter().await;
        if !lane.is_open() {
            return Ok(no_session());
        }
        let mut answer = ask(lane, call, &mut None).await?;
        if call.method == "tools/call"
            && let IncomingContent::Body { bytes, .. } = &mut answer.content
            && let Some(result) = as_tool_result(bytes)
        {
            *bytes = result;
        }
        Ok(answer)
    }

    /// The stream itself, for what belongs to no request. An old peer says nothing of its own.
    fn stand(&self, outgoing: &Outgoing) -> Incoming {
        let lane = match self.session(outgoing) {
            Ok(Some(lane)) if lane.old.get().is_none() => lane,
            Err(lost) => return lost,
            Ok(_) => return incoming(405, IncomingContent::None),
        };
        let Some(feed) = lane.routes.borrow_mut().stand() else {
            return incoming(409, IncomingContent::None);
        };
        let idle_timeout = outgoing.idle_timeout;
        let share =
            Share { lane: Rc::clone(&lane), feed, request: None, idle_timeout, first: None, is_over: false };
        incoming(200, IncomingContent::Events(Box::new(share)))
    }

    async fn end_session(&self, outgoing: &Outgoing) -> Incoming {
        match self.session(outgoing) {
            Ok(Some(lane)) => {
                lane.end(Wish::Close);
                lane.ended().await;
                incoming(204, IncomingContent::None)
            }
            Ok(None) => incoming(405, IncomingContent::None),
            Err(lost) => lost,
        }
    }
}

/// Ends a stream that did not become a session.
struct EndUnless {
    lane: Option<Rc<Lane>>,
}

impl EndUnless {
    fn keep(mut self) {
        self.lane = None;
    }
}

impl Drop for EndUnless {
    fn drop(&mut self) {
        if let Some(lane) = &self.lane {
            lane.end(Wish::Close);
        }
    }
}

/// Sends a request and waits for the first message about it. `sent` is the request on its way, once it is.
async fn ask(
    lane: &Rc<Lane>,
    call: &Call<'_>,
    sent: &mut Option<Rc<Parcel>>,
) -> Result<Incoming, TransportError> {
    if !lane.is_open() {
        return Err(CLOSED);
    }
    let expected = lane.routes.borrow_mut().expect(call.id, call.method);
    let Some(feed) = expected else {
        let why = format!("a request with the id {} is in progress already", call.id);
        return Err(TransportError::Unsupported(why));
    };
    let parcel = lane.send(&call.outgoing.body);
    *sent = Some(Rc::clone(&parcel));
    let mut share = Share {
        lane: Rc::clone(lane),
        feed: Rc::clone(&feed),
        request: Some((call.id.clone(), parcel)),
        idle_timeout: call.outgoing.idle_timeout,
        first: None,
        is_over: false,
    };
    let first = feed.next().await?;
    if !first.is_last {
        share.first = Some(first);
        return Ok(incoming(200, IncomingContent::Events(Box::new(share))));
    }
    let Arrival { bytes, .. } = first;
    let content_type = Some("application/json".to_owned());
    Ok(incoming(200, IncomingContent::Body { content_type, bytes }))
}

/// Sends what needs no answer. What has no stream to go to is about nothing that the peer knows; an old peer knows no
/// such messages.
async fn tell(lane: Option<Rc<Lane>>, message: &[u8]) -> Result<Incoming, TransportError> {
    let Some(lane) = lane.filter(|lane| lane.old.get().is_none()) else {
        return Ok(incoming(202, IncomingContent::None));
    };
    match lane.send(message).gone().await {
        true => Ok(incoming(202, IncomingContent::None)),
        false => Err(CLOSED),
    }
}
