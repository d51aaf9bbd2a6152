//! The stream of a client of HTTP+SSE (2024-11-05): everything that the server says to it.

use std::task::{Context, Poll};

use crate::mcp::listen::feed::{EventHead, note};
use crate::mcp::serve::channel::OpenChannel;
use crate::mcp::session::reader::{LogReader, Status};

pub(crate) struct ChannelReading {
    reader: LogReader,
    open: OpenChannel,
    /// Sent first: the address that the client posts to.
    endpoint: Option<String>,
    /// Set when the server stops: only what is asked already is answered.
    stopped: bool,
}

impl ChannelReading {
    pub(super) fn new(reader: LogReader, open: OpenChannel, endpoint: String) -> ChannelReading {
        ChannelReading { reader, open, endpoint: Some(endpoint), stopped: false }
    }

    /// Has the stream end with the last answer that is owed.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Ends the stream where it stands.
    pub(super) fn leave(&mut self) {
        self.reader.hang_up();
    }

    pub(super) fn is_over(&self, cx: &Context<'_>) -> bool {
        // Looked at before the log: what a call says last is there once it is no longer counted, and then it wakes the
        // reader.
        let owes = self.endpoint.is_some() || self.open.channel.has_calls();
        match self.reader.poll(cx) {
            Status::Over => self.endpoint.is_none(),
            Status::Waiting => self.stopped && !owes,
            Status::Ready => false,
        }
    }

    pub(super) fn poll_event(&mut self, cx: &Context<'_>, out: &mut Vec<u8>) -> Poll<EventHead> {
        if let Some(endpoint) = self.endpoint.take() {
            out.extend_from_slice(endpoint.as_bytes());
            return Poll::Ready(EventHead { name: Some("endpoint"), ..EventHead::default() });
        }
        let channel = &self.open.channel;
        // Before there is a session nothing is told but answers.
        if self.reader.poll(cx) != Status::Ready {
            let noted = channel.session().and_then(|_| note(&self.reader, &channel.registration, cx));
            let Some(event) = noted else { return Poll::Pending };
            self.reader.log.push(event);
        }
        match self.reader.take(out) {
            Some(_) => Poll::Ready(EventHead::default()),
            None => Poll::Pending,
        }
    }
}
