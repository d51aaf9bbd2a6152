//! One stream of events: what came on it, and whether and when it is resumed after it broke.

use std::time::Duration;

use super::message::{Message, decode};
use crate::client::error::ClientError;
use crate::client::limits::{ClientLimits, exceeded};
use crate::client::transport::Event;

/// The longest pause that a server may ask for before its stream is opened again.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// The pause before the first resumption, where the server asked for none.
const PAUSE: Duration = Duration::from_millis(500);

/// What is known of a stream.
#[derive(Debug, Default)]
pub(crate) struct Follow {
    last_event_id: Option<String>,
    pause: Option<Duration>,
    messages: usize,
    /// Resumptions since the last event, and in all.
    fruitless: usize,
    resumptions: usize,
    /// Whether it ends after a bounded number of messages and resumptions, as the stream of a call does.
    bounded: bool,
}

/// How to go on with a stream that broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resume {
    /// The pause before it is opened again.
    pub(crate) after: Duration,
    /// The last event that arrived; `None` where the server names none, so that what came since is lost.
    pub(crate) last_event_id: Option<String>,
}

impl Follow {
    /// The stream of one call.
    pub(crate) fn of_call() -> Self {
        Follow { bounded: true, ..Follow::default() }
    }

    /// A stream that stays open.
    pub(crate) fn standing() -> Self {
        Follow::default()
    }

    /// Takes an event and returns its messages: none for an event that only carries an id or a pause.
    pub(crate) fn event(&mut self, event: Event, limits: &ClientLimits) -> Result<Vec<Message>, ClientError> {
        if let Some(id) = event.id {
            self.last_event_id = Some(id).filter(|id| !id.is_empty());
        }
        self.pause = event.retry.or(self.pause);
        self.fruitless = 0;
        // Kinds of events that the protocol does not have are not for this client.
        if event.data.is_empty() || event.name.as_deref().is_some_and(|name| name != "message") {
            return Ok(Vec::new());
        }
        if event.data.len() > limits.max_message_bytes {
            return Err(exceeded("max_message_bytes", limits.max_message_bytes));
        }
        let messages = decode(&event.data, limits.max_batch_messages)
            .map_err(|why| ClientError::malformed("the request (an event)", why))?;
        self.messages += messages.len();
        if self.bounded && self.messages > limits.max_stream_messages {
            return Err(exceeded("max_stream_messages", limits.max_stream_messages));
        }
        Ok(messages)
    }

    /// Decides after the stream ended or broke; `jitter` lies between 0 and 1. `None` when it was opened in vain too
    /// often.
    pub(crate) fn broken(&mut self, limits: &ClientLimits, jitter: f64) -> Option<Resume> {
        let spent = if self.bounded { self.resumptions } else { self.fruitless };
        if spent >= limits.max_resumptions {
            return None;
        }
        // The server's own pause is kept to; later attempts come at growing intervals.
        let pause = self.pause.unwrap_or(PAUSE).min(MAX_PAUSE);
        let backoff = PAUSE.saturating_mul((1u32 << self.fruitless.min(10)) - 1).mul_f64(jitter);
        self.fruitless += 1;
        self.resumptions += 1;
        Some(Resume { after: (pause + backoff).min(MAX_PAUSE), last_event_id: self.last_event_id.clone() })
    }

    /// The last event that arrived, where the server named it.
    pub(crate) fn last_event_id(&self) -> Option<String> {
        self.last_event_id.clone()
    }

    /// Whether the server said where to go on.
    pub(crate) fn is_resumable(&self) -> bool {
        self.last_event_id.is_some()
    }

    /// Begins anew, with nothing to go on from.
    pub(crate) fn forget(&mut self) {
        self.last_event_id = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: Option<&str>, data: &str) -> Event {
        Event { id: id.map(str::to_owned), data: data.as_bytes().to_vec(), ..Event::default() }
    }

    const NOTE: &str = r#"{"jsonrpc":"2.0","method":"n"}"#;

    #[test]
    fn a_stream_goes_on_from_its_last_id_after_the_servers_pause() {
        let limits = ClientLimits::default();
        let mut follow = Follow::of_call();
        assert!(!follow.is_resumable());
        let priming = Event { retry: Some(Duration::from_millis(700)), ..event(Some("a"), "") };
        assert!(follow.event(priming, &limits).unwrap().is_empty());
        assert_eq!(follow.event(event(Some("b"), NOTE), &limits).unwrap().len(), 1);
        assert_eq!(follow.event(event(None, NOTE), &limits).unwrap().len(), 1);
        let resume = follow.broken(&limits, 1.0).unwrap();
        assert_eq!(resume, Resume { after: Duration::from_millis(700), last_event_id: Some("b".into()) });
        follow.event(event(Some(""), ""), &limits).unwrap();
        assert!(!follow.is_resumable(), "an empty id takes the others back");
    }

    #[test]
    fn resumptions_are_bounded_and_come_ever_later() {
        let limits = ClientLimits { max_resumptions: 4, ..ClientLimits::default() };
        let mut call = Follow::of_call();
        let mut standing = Follow::standing();
        let pauses: Vec<u128> =
            (0..4).map(|_| call.broken(&limits, 1.0).unwrap().after.as_millis()).collect();
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000]);
        call.event(event(Some("x"), NOTE), &limits).unwrap();
        assert_eq!(call.broken(&limits, 0.0), None, "a call's stream is opened so often in all");
        for _ in 0..10 {
            standing.event(event(Some("x"), NOTE), &limits).unwrap();
            assert!(standing.broken(&limits, 0.0).is_some(), "one that stays open, between events");
        }
    }

    #[test]
    fn messages_are_bounded_in_size_and_number() {
        let limits =
            ClientLimits { max_stream_messages: 2, max_message_bytes: 64, ..ClientLimits::default() };
        let mut follow = Follow::of_call();
        for _ in 0..2 {
            follow.event(event(None, NOTE), &limits).unwrap();
        }
        let error = follow.event(event(None, NOTE), &limits).unwrap_err();
        assert!(matches!(error, ClientError::Limit { limit: "max_stream_messages", max: 2 }));
        let error = Follow::of_call().event(event(None, &"x".repeat(65)), &limits).unwrap_err();
        assert!(matches!(error, ClientError::Limit { limit: "max_message_bytes", .. }));
        assert!(Follow::of_call().event(event(None, "garbage"), &limits).is_err());
        let mut standing = Follow::standing();
        assert!((0..9).all(|_| standing.event(event(None, NOTE), &limits).is_ok()));
    }

    #[test]
    fn other_kinds_of_events_are_passed_over() {
        let odd = Event { name: Some("endpoint".into()), ..event(None, "/messages") };
        assert!(Follow::of_call().event(odd, &ClientLimits::default()).unwrap().is_empty());
        let named = Event { name: Some("message".into()), ..event(None, NOTE) };
        assert_eq!(Follow::of_call().event(named, &ClientLimits::default()).unwrap().len(), 1);
    }
}
