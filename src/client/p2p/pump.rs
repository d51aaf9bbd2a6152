//! The bytes of one stream: one task reads and writes them, and watches the time.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::lane::{Fate, Lane, Parcel, Wish};
use super::open::MessageStream;
use super::options::P2pOptions;
use crate::client::transport::TransportError;
use crate::p2p::frame::{FrameError, FrameReader};
use crate::runtime::Timer;

/// Bytes that are read at once.
const READ_BYTES: usize = 16 << 10;
/// Turns of reading and writing before others run.
const MAX_TURNS: usize = 32;
/// How long an orderly end may take.
const CLOSE_TIME: Duration = Duration::from_millis(500);

const CLOSED: TransportError = TransportError::Closed { before_answer: true };

/// Moves the bytes of a stream until it ends, and tells everybody why it did.
pub(super) async fn run(lane: Rc<Lane>, stream: Box<dyn MessageStream>, options: P2pOptions) {
    let mut pump = Pump {
        reader: FrameReader::new(options.max_frame_bytes as u64),
        lane: Finished(lane),
        stream,
        options,
        buffer: vec![0; READ_BYTES].into_boxed_slice(),
        parcel: None,
        flushing: false,
        stalled: None,
        midway: None,
        idle: None,
        closing: None,
        closed: false,
        timer: None,
    };
    let why = poll_fn(|cx| pump.poll(cx)).await;
    tracing::debug!(stream = pump.lane.0.number, %why, "a stream ended");
    pump.lane.0.finish(&why);
}

/// Nobody waits for a stream whose task was dropped with its scope.
struct Finished(Rc<Lane>);

impl Drop for Finished {
    fn drop(&mut self) {
        if !self.0.is_over() {
            self.0.finish(&CLOSED);
        }
    }
}

struct Pump {
    reader: FrameReader,
    lane: Finished,
    stream: Box<dyn MessageStream>,
    options: P2pOptions,
    buffer: Box<[u8]>,
    /// The message that is being written, and how much of it has left.
    parcel: Option<(Rc<Parcel>, usize)>,
    flushing: bool,
    /// Since when the peer has taken nothing; a message is incomplete; nothing is under way; an end is waited for.
    stalled: Option<Instant>,
    midway: Option<Instant>,
    idle: Option<Instant>,
    closing: Option<Instant>,
    /// Our side has ended.
    closed: bool,
    timer: Option<(Instant, Timer)>,
}

impl Pump {
    /// Ready with the reason when the stream has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<TransportError> {
        self.lane.0.register(cx.waker());
        for _ in 0..MAX_TURNS {
            if self.lane.0.wish() == Wish::Reset {
                return Poll::Ready(CLOSED);
            }
            let wrote = match self.write(cx) {
                Ok(wrote) => wrote,
                Err(error) => return Poll::Ready(broken(&error)),
            };
            let read = match self.read(cx) {
                Ok(read) => read,
                Err(error) => return Poll::Ready(error),
            };
            if !wrote && !read {
                if self.lane.0.wish() == Wish::Close && self.poll_close(cx).is_ready() {
                    return Poll::Ready(CLOSED);
                }
                return self.poll_time(cx);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes until there is nothing left or the stream takes no more; true when something moved.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut moved = false;
        loop {
            let Some((parcel, written)) = &mut self.parcel else {
                match self.lane.0.next_parcel() {
                    Some(parcel) => self.parcel = Some((parcel, 0)),
                    None => break,
                }
                continue;
            };
            match Pin::new(&mut *self.stream).poll_write(cx, &parcel.bytes[*written..])? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => *written += count,
                Poll::Pending => {
                    self.stalled.get_or_insert_with(Instant::now);
                    return Ok(moved);
                }
            }
            (moved, self.flushing, self.stalled) = (true, true, None);
            let gone = *written >= parcel.bytes.len();
            parcel.set(if gone { Fate::Gone } else { Fate::Begun });
            if gone {
                self.parcel = None;
            }
        }
        if self.flushing {
            match Pin::new(&mut *self.stream).poll_flush(cx)? {
                Poll::Ready(()) => (self.flushing, self.stalled) = (false, None),
                Poll::Pending => drop(self.stalled.get_or_insert_with(Instant::now)),
            }
        }
        Ok(moved)
    }

    /// Reads once; true when something came.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, TransportError> {
        let count = match Pin::new(&mut *self.stream).poll_read(cx, &mut self.buffer) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(0)) => return Err(CLOSED),
            Poll::Ready(Ok(count)) => count,
            Poll::Ready(Err(error)) => return Err(broken(&error)),
        };
        let mut input = &self.buffer[..count];
        while let Some(frame) = self.reader.next(&mut input).map_err(refused)? {
            self.lane.0.routes.borrow_mut().bring(frame)?;
            self.midway = None;
        }
        self.lane.0.free();
        match self.reader.is_midway() {
            true => drop(self.midway.get_or_insert_with(Instant::now)),
            false => self.midway = None,
        }
        Ok(true)
    }

    /// Ends our side, and gives the peer a moment to end its own.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.closed || self.parcel.is_some() {
            return Poll::Pending;
        }
        self.closing.get_or_insert_with(Instant::now);
        match Pin::new(&mut *self.stream).poll_close(cx) {
            Poll::Ready(Err(_)) => return Poll::Ready(()),
            Poll::Ready(Ok(())) => self.closed = true,
            Poll::Pending => {}
        }
        Poll::Pending
    }

    /// Ready when something has taken too long.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<TransportError> {
        let lane = &self.lane.0;
        let is_idle = !lane.in_session && self.parcel.is_none() && lane.is_idle();
        self.idle = if is_idle { self.idle.or_else(|| Some(Instant::now())) } else { None };
        let options = &self.options;
        let waits = [
            (self.stalled, options.write_timeout, TransportError::Timeout { what: "the peer reads nothing" }),
            (self.midway, options.frame_timeout, TransportError::Timeout { what: "the rest of a message" }),
            (self.idle, options.idle_timeout, CLOSED),
            (self.closing, CLOSE_TIME, CLOSED),
        ];
        let dues = waits.into_iter().filter_map(|(since, most, why)| Some((since?.checked_add(most)?, why)));
        let Some((due, why)) = dues.min_by_key(|(due, _)| *due) else { return Poll::Pending };
        loop {
            // A timer that fires too early is cheaper than one that is set anew for each message.
            let armed = self.timer.as_mut().filter(|(at, _)| *at <= due);
            let Some((at, timer)) = armed else {
                self.timer = Some((due, Timer::at(due)));
                continue;
            };
            match Pin::new(timer).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) if *at >= due || due <= Instant::now() => return Poll::Ready(why),
                Poll::Ready(()) => self.timer = None,
            }
        }
    }
}

/// Why a stream broke.
fn broken(error: &io::Error) -> TransportError {
    tracing::debug!(%error, "a stream broke");
    match error.kind() {
        // The protocol is proposed with the first message, and this is the answer.
        io::ErrorKind::Unsupported => TransportError::Unsupported(error.to_string()),
        _ => CLOSED,
    }
}

/// What is wrong with a frame.
fn refused(error: FrameError) -> TransportError {
    match error {
        FrameError::TooLarge { max, .. } => {
            TransportError::TooLarge { limit: "max_frame_bytes", max: u64::from(max) }
        }
        FrameError::Empty => TransportError::Malformed("a message of no bytes".to_owned()),
    }
}
