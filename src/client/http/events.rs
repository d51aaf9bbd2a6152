//! The events of one answer.

use std::time::Duration;

use futures_lite::future;

use super::pool::Pool;
use super::talk::{Talk, explain_fault};
use crate::client::{Event, EventSource, LocalBoxFuture, TransportError};
use crate::http::client::{EventReader, ServerEvent, Step};
use crate::runtime::Timer;

/// Pieces of a stream that are read in a row before others have their turn, deadlines among them.
const MAX_IN_A_ROW: u32 = 64;

/// An event stream. Dropping it closes its connection; one that ends in order leaves it to the pool.
pub(super) struct HttpEvents {
    /// `None` once the stream has ended, in order or not.
    talk: Option<Talk>,
    pool: Pool,
    events: EventReader,
    idle_timeout: Option<Duration>,
    /// Data of the body, and how much of it has been read.
    data: Vec<u8>,
    at: usize,
    /// Pieces read since others had their turn.
    in_a_row: u32,
}

impl HttpEvents {
    pub(super) fn new(
        talk: Talk,
        pool: Pool,
        max_event_bytes: usize,
        idle_timeout: Option<Duration>,
    ) -> HttpEvents {
        let events = EventReader::new(max_event_bytes);
        HttpEvents { talk: Some(talk), pool, events, idle_timeout, data: Vec::new(), at: 0, in_a_row: 0 }
    }

    async fn advance(&mut self) -> Result<Option<Event>, TransportError> {
        loop {
            self.in_a_row += 1;
            if self.in_a_row >= MAX_IN_A_ROW {
                self.in_a_row = 0;
                future::yield_now().await;
            }
            let mut rest = &self.data[self.at..];
            let event = self.events.read(&mut rest).map_err(explain_fault)?;
            self.at = self.data.len() - rest.len();
            if let Some(event) = event {
                return Ok(Some(told(event)));
            }
            let Some(talk) = self.talk.as_mut() else { return Ok(None) };
            match within(self.idle_timeout, talk.step()).await? {
                Step::Data => (self.data, self.at) = (talk.reader().take_data(), 0),
                Step::End => {
                    if let Some(talk) = self.talk.take() {
                        talk.finish(&self.pool);
                    }
                }
                Step::Head | Step::More => {}
            }
        }
    }
}

impl EventSource for HttpEvents {
    fn next<'a>(&'a mut self) -> LocalBoxFuture<'a, Option<Result<Event, TransportError>>> {
        Box::pin(async {
            let outcome = self.advance().await;
            if outcome.is_err() {
                self.talk = None;
                (self.data, self.at) = (Vec::new(), 0);
            }
            outcome.transpose()
        })
    }
}

fn told(event: ServerEvent) -> Event {
    let ServerEvent { id, name, retry_ms, data } = event;
    Event { id, name, retry: retry_ms.map(Duration::from_millis), data: data.unwrap_or_default() }
}

/// Any byte counts as sound, a comment's too.
async fn within(
    silence: Option<Duration>,
    step: impl Future<Output = Result<Step, TransportError>>,
) -> Result<Step, TransportError> {
    let Some(silence) = silence else { return step.await };
    let late = async {
        Timer::after(silence).await;
        Err(TransportError::Timeout { what: "the event stream was silent for too long" })
    };
    future::or(step, late).await
}
