//! An event stream that a connection reads: a subscription of 2026-07-28, or a stream of a session.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::mcp::listen::channel_reading::ChannelReading;
use crate::mcp::listen::filter::Filter;
use crate::mcp::listen::hub::Registration;
use crate::mcp::listen::notice::write_subscription;
use crate::mcp::listen::places::Place;
use crate::mcp::message::answer::{Answer, Label};
use crate::mcp::message::era::Era;
use crate::mcp::message::method::MethodKind;
use crate::mcp::message::small_text::SmallText;
use crate::mcp::serve::channel::OpenChannel;
use crate::mcp::session::entry::{InUse, Session};
use crate::mcp::session::event_id::EventId;
use crate::mcp::session::reader::{LogReader, Status};

/// What the stream says about an event beside its data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventHead {
    /// The event's name, where it is no message.
    pub name: Option<&'static str>,
    /// The event's id, where the stream can be resumed.
    pub id: Option<EventId>,
    /// Milliseconds that the client is to wait before it resumes the stream.
    pub retry_ms: Option<u64>,
}

/// A stream of events, to be polled by the task of its connection.
///
/// After each [`Feed::poll`] that is pending, take events with [`Feed::poll_event`] until that is pending too, or as far
/// as the client reads; after any were taken, poll again before waiting. Dropping the feed leaves the stream: a
/// subscription ends, a session's stream waits for another reader.
pub struct Feed {
    kind: Kind,
    label: Label,
    /// The server's place for streams that stay open; the stream of a call on its own connection needs none.
    _place: Option<Place>,
    /// The session is in use for as long as somebody reads its stream.
    _session: Option<InUse>,
}

enum Kind {
    Subscription(Subscription),
    /// What a call writes, and the client of another connection resumes.
    Call(Reading),
    /// What belongs to no call.
    Own(Reading, Arc<Registration>, Arc<Session>),
    /// Everything that the server says to a client of HTTP+SSE.
    Channel(ChannelReading),
}

struct Subscription {
    registration: Registration,
    /// The id of the request as JSON text.
    id: SmallText,
    /// Sent first.
    acknowledgement: Option<Vec<u8>>,
    /// `"io.modelcontextprotocol/serverInfo":{…}`
    server_meta: Box<[u8]>,
    /// Set when the server ends the subscription.
    stopped: bool,
}

struct Reading {
    reader: LogReader,
    /// An event without data, sent first, so that the client has an id to come back with.
    priming: Option<EventHead>,
}

impl Feed {
    /// A subscription, which begins with the acknowledgement of what is honoured.
    pub(crate) fn subscription(
        registration: Registration,
        id: &str,
        honoured: &Filter,
        server_meta: &[u8],
        place: Place,
    ) -> Feed {
        let mut first =
            br#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"#.to_vec();
        write_subscription(&mut first, id);
        first.extend_from_slice(br#","notifications":"#);
        honoured.write(&mut first);
        first.extend_from_slice(b"}}");
        let subscription = Subscription {
            registration,
            id: id.into(),
            acknowledgement: Some(first),
            server_meta: server_meta.into(),
            stopped: false,
        };
        Feed {
            kind: Kind::Subscription(subscription),
            label: Label::new(MethodKind::SubscriptionsListen, Era::Modern),
            _place: Some(place),
            _session: None,
        }
    }

    /// The stream of a call. `retry_ms` is set where the stream begins here and the client can be primed.
    pub(crate) fn of_call(
        reader: LogReader,
        retry_ms: Option<u64>,
        session: InUse,
        place: Option<Place>,
    ) -> Feed {
        Feed::of_session(Kind::Call(Reading::new(reader, retry_ms)), session, place)
    }

    /// The session's own stream.
    pub(crate) fn of_own(
        reader: LogReader,
        retry_ms: Option<u64>,
        registration: Arc<Registration>,
        session: InUse,
        place: Place,
    ) -> Feed {
        let kind = Kind::Own(Reading::new(reader, retry_ms), registration, session.0.clone());
        Feed::of_session(kind, session, Some(place))
    }

    /// The stream of a client of HTTP+SSE, which begins with the address to post to.
    pub(crate) fn of_channel(reader: LogReader, open: OpenChannel, endpoint: String, place: Place) -> Feed {
        let kind = Kind::Channel(ChannelReading::new(reader, open, endpoint));
        Feed { kind, label: Label::new(MethodKind::Get, Era::Legacy), _place: Some(place), _session: None }
    }

    fn of_session(kind: Kind, session: InUse, place: Option<Place>) -> Feed {
        let label = Label::new(MethodKind::Get, Era::Legacy);
        Feed { kind, label, _place: place, _session: Some(session) }
    }

    /// Ready when the stream is over: its end is to be written, after the message appended to `out` if there is one.
    pub fn poll(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Answer> {
        let is_over = match &mut self.kind {
            Kind::Subscription(subscription) => {
                if subscription.stopped && subscription.acknowledgement.is_none() {
                    subscription.write_result(out);
                    return Poll::Ready(Answer::with_body(200, self.label));
                }
                false
            }
            Kind::Call(reading) | Kind::Own(reading, ..) => {
                reading.priming.is_none() && reading.reader.poll(cx) == Status::Over
            }
            Kind::Channel(channel) => channel.is_over(cx),
        };
        if is_over { Poll::Ready(Answer::empty(200, self.label)) } else { Poll::Pending }
    }

    /// Appends the data of the next event; the task is woken when there is one.
    pub fn poll_event(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<EventHead> {
        match &mut self.kind {
            Kind::Subscription(subscription) => subscription.poll_event(cx, out),
            Kind::Call(reading) => reading.poll_event(cx, out),
            Kind::Own(reading, registration, session) => {
                if let Poll::Ready(head) = reading.poll_event(cx, out) {
                    return Poll::Ready(head);
                }
                let Some(event) = note(&reading.reader, registration, cx) else { return Poll::Pending };
                reading.reader.log.push_bounded(event, &session.streams);
                reading.poll_event(cx, out)
            }
            Kind::Channel(channel) => channel.poll_event(cx, out),
        }
    }

    /// Ends a stream that would stay open for as long as the server runs. The stream of a call goes on until the call has
    /// ended.
    pub fn stop(&mut self) {
        match &mut self.kind {
            Kind::Call(_) => {}
            Kind::Channel(channel) => channel.stop(),
            Kind::Subscription(_) | Kind::Own(..) => self.leave(),
        }
    }

    /// Ends the stream for this reader, whatever it carries.
    pub fn leave(&mut self) {
        match &mut self.kind {
            Kind::Subscription(subscription) => subscription.stopped = true,
            Kind::Own(reading, ..) | Kind::Call(reading) => {
                reading.reader.hang_up();
            }
            Kind::Channel(channel) => channel.leave(),
        }
    }

    /// What to count.
    pub fn label(&self) -> Label {
        self.label
    }
}

/// What has changed, as an event for the log, so that it can be resumed like any other.
pub(super) fn note(reader: &LogReader, registration: &Registration, cx: &Context<'_>) -> Option<Vec<u8>> {
    let Poll::Ready(notice) = registration.inbox.poll_take(reader.turn, cx) else { return None };
    let mut event = Vec::new();
    notice.write(&mut event, None);
    Some(event)
}

impl Subscription {
    fn poll_event(&mut self, cx: &Context<'_>, out: &mut Vec<u8>) -> Poll<EventHead> {
        if let Some(first) = self.acknowledgement.take() {
            out.extend_from_slice(&first);
            return Poll::Ready(EventHead::default());
        }
        self.registration.inbox.poll_take(0, cx).map(|notice| {
            notice.write(out, Some(self.id.as_str()));
            EventHead::default()
        })
    }

    fn write_result(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        out.extend_from_slice(self.id.as_str().as_bytes());
        out.extend_from_slice(br#","result":{"resultType":"complete","#);
        write_subscription(out, self.id.as_str());
        out.pop();
        out.push(b',');
        out.extend_from_slice(&self.server_meta);
        out.extend_from_slice(b"}}}");
    }
}

impl Reading {
    fn new(reader: LogReader, retry_ms: Option<u64>) -> Reading {
        let priming = retry_ms.map(|retry_ms| EventHead {
            id: Some(reader.log.event_id(reader.position())),
            retry_ms: Some(retry_ms),
            name: None,
        });
        Reading { reader, priming }
    }

    fn poll_event(&mut self, cx: &Context<'_>, out: &mut Vec<u8>) -> Poll<EventHead> {
        if let Some(priming) = self.priming.take() {
            return Poll::Ready(priming);
        }
        match self.reader.poll(cx) {
            Status::Ready => match self.reader.take(out) {
                Some(id) => Poll::Ready(EventHead { id: Some(id), ..EventHead::default() }),
                None => Poll::Pending,
            },
            Status::Waiting | Status::Over => Poll::Pending,
        }
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("label", &self.label).finish_non_exhaustive()
    }
}
