//! One request and its answer on one connection: sending and receiving at the same time.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use super::pool::{Permit, Pool};
use super::wire::Wire;
use crate::client::TransportError;
use crate::http::HttpLimits;
use crate::http::client::{Asked, ResponseFault, ResponseReader, Step};

/// Reads in one poll after which others have their turn.
const MAX_READS: usize = 64;

/// A request under way. Dropping it closes the connection, and nothing more of the request is sent.
pub(super) struct Talk {
    wire: Option<Wire>,
    permit: Option<Permit>,
    reader: ResponseReader,
    /// Some of the request is still to be sent.
    sending: bool,
    /// The kernel has taken some of the request.
    sent: bool,
    staged: usize,
    scratch: Vec<u8>,
}

impl Talk {
    /// Stages the request.
    pub(super) fn begin(
        mut wire: Wire,
        permit: Permit,
        request: [Vec<u8>; 2],
        limits: HttpLimits,
    ) -> Result<Talk, TransportError> {
        for part in request.into_iter().filter(|part| !part.is_empty()) {
            wire.write(part).map_err(|error| wire.explain(error, true))?;
        }
        let staged = wire.staged();
        Ok(Talk {
            wire: Some(wire),
            permit: Some(permit),
            reader: ResponseReader::new(Asked::Other, limits),
            sending: true,
            sent: false,
            staged,
            scratch: Vec::new(),
        })
    }

    /// Whether any byte of the request has left.
    pub(super) fn has_sent(&self) -> bool {
        self.sent
    }

    pub(super) fn reader(&mut self) -> &mut ResponseReader {
        &mut self.reader
    }

    /// Goes on until there is something new of the answer: its head, data, or the end. Cancel safe.
    pub(super) async fn step(&mut self) -> Result<Step, TransportError> {
        poll_fn(|cx| self.poll_step(cx)).await
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, TransportError>> {
        for _ in 0..MAX_READS {
            match self.reader.poll().map_err(|fault| self.explain_fault(fault))? {
                Step::More => {}
                step => return Poll::Ready(Ok(step)),
            }
            self.send(cx);
            if ready!(self.poll_receive(cx))? == 0 {
                let end = self.reader.end_of_input();
                return Poll::Ready(end.map_err(|fault| self.explain_fault(fault)));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// A server may answer before it has read everything, and close; so a failure to send is told by what is received.
    fn send(&mut self, cx: &mut Context<'_>) {
        let Some(wire) = self.wire.as_mut().filter(|_| self.sending) else { return };
        let flushed = wire.poll_flush(cx);
        self.sent |= wire.staged() < self.staged;
        self.sending = !matches!(flushed, Poll::Ready(Ok(())));
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, TransportError>> {
        let before_answer = !self.reader.is_started();
        let Some(wire) = self.wire.as_mut() else { return Poll::Ready(Ok(0)) };
        match ready!(wire.poll_read(cx, &mut self.scratch)) {
            Ok(length) => {
                self.reader.feed(&self.scratch);
                self.scratch.clear();
                Poll::Ready(Ok(length))
            }
            // Without a goodbye an encrypted end may be somebody else's work: a body that it would end is cut off.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Err(TransportError::Closed { before_answer }))
            }
            Err(error) => Poll::Ready(Err(wire.explain(error, before_answer))),
        }
    }

    fn explain_fault(&self, fault: ResponseFault) -> TransportError {
        match fault {
            ResponseFault::Truncated => TransportError::Closed { before_answer: !self.reader.is_started() },
            fault => explain_fault(fault),
        }
    }

    /// Ends it after the answer's end: the connection goes back to the pool where it is in order.
    pub(super) fn finish(mut self, pool: &Pool) {
        if self.reader.is_reusable()
            && !self.sending
            && let (Some(wire), Some(permit)) = (self.wire.take(), self.permit.take())
        {
            pool.give_back(wire, permit);
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        if let Some(wire) = self.wire.as_mut().filter(|_| self.sending) {
            wire.discard_staged();
        }
    }
}

/// A fault of an answer, as the transport tells it.
pub(super) fn explain_fault(fault: ResponseFault) -> TransportError {
    match fault {
        ResponseFault::Malformed(what) => TransportError::Malformed(what),
        ResponseFault::TooLarge { limit, max } => TransportError::TooLarge { limit, max },
        ResponseFault::Unsupported(what) => TransportError::Unsupported(what),
        ResponseFault::Truncated => TransportError::Closed { before_answer: false },
    }
}
