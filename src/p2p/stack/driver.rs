//! The one task that polls a connection.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_lite::{AsyncRead, AsyncWrite};
use yamux::Mode;

use super::cork::{Cork, Corked, LastWrite};
use super::error::{ConnectionError, OpenError};
use super::handle::{Handle, Streams};
use super::one_thread::Gauge;
use super::shared::{Opener, Place, Shared, Stage};
use super::stream::{InboundStream, PeerStream};
use super::upgrade::{Secured, StackOptions};

/// Bytes by which the windows of all streams together may grow beyond the 256 KiB that each begins with.
const WINDOW_GROWTH_BYTES: usize = 16 << 20;

/// Yamux and the cork below it.
struct Mux<Io> {
    connection: yamux::Connection<Corked<Secured<Io>>>,
    cork: Rc<RefCell<Cork<Secured<Io>>>>,
}

/// What the driver and the handles share. It is empty once the connection has ended.
struct Link<Io> {
    shared: Rc<Shared>,
    mux: RefCell<Option<Mux<Io>>>,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Streams for Link<Io> {
    fn poll_open(&self, protocols: &'static [&'static str]) -> Poll<Result<PeerStream, OpenError>> {
        let shared = &self.shared;
        let max_streams = shared.max_streams;
        if shared.stage() != Stage::Open {
            return Poll::Ready(Err(OpenError::Closed));
        }
        if shared.opened_by(Opener::Us) >= max_streams {
            return Poll::Ready(Err(OpenError::TooManyStreams { max_streams }));
        }
        // Yamux forgets a stream in the driver's turn, and only while it can write. One that is asked for more before
        // it could forget would end the connection.
        if shared.stalled().is_some() || shared.opened_in_turn.get() >= max_streams {
            return Poll::Pending;
        }
        let mut mux = self.mux.borrow_mut();
        let Some(mux) = mux.as_mut() else { return Poll::Ready(Err(OpenError::Closed)) };
        let driver = shared.driver();
        let opened = ready!(mux.connection.poll_new_outbound(&mut Context::from_waker(&driver)));
        // The driver's next turn begins to listen to the new stream, or finds out why there is none.
        driver.wake();
        let Ok(stream) = opened else {
            // Yamux has ended, and nobody is to ask again before the driver has found out.
            shared.advance(Stage::Closing);
            return Poll::Ready(Err(OpenError::Closed));
        };
        if stream.id().val() >= shared.last_stream.get() {
            shared.advance(Stage::Closing);
        }
        shared.opened_in_turn.set(shared.opened_in_turn.get() + 1);
        let place = Place::take(shared.clone(), Opener::Us, stream.id().val());
        Poll::Ready(PeerStream::dial(stream, place, protocols).map_err(OpenError::Negotiate))
    }
}

/// The connection itself. Dropping it ends the connection at once.
pub struct Driver<Io> {
    link: Rc<Link<Io>>,
    on_refused: Option<Rc<dyn Fn()>>,
    /// Streams refused, less those admitted since.
    flood: usize,
    closing: Closing,
}

/// How far an orderly end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    NotYet,
    Saying,
    Draining,
}

impl<Io: AsyncRead + AsyncWrite + Unpin + 'static> Driver<Io> {
    pub(super) fn new(
        secured: Secured<Io>,
        gauge: Rc<Gauge>,
        mode: Mode,
        options: &StackOptions,
    ) -> (Handle, Self) {
        let shared = Rc::new(Shared::new(options.max_streams, options.max_unread_bytes));
        let cork = Rc::new(RefCell::new(Cork::new(secured, gauge, shared.clone())));
        let config = yamux_config(options.max_streams);
        let connection = yamux::Connection::new(Corked(cork.clone()), config, mode);
        let mux = RefCell::new(Some(Mux { connection, cork }));
        let link = Rc::new(Link { shared: shared.clone(), mux });
        let handle = Handle::new(shared, link.clone());
        (handle, Self { link, on_refused: None, flood: 0, closing: Closing::NotYet })
    }

    /// Has `hit` called for each stream of the peer that is reset because it has too many open.
    #[must_use]
    pub fn on_refused(mut self, hit: Rc<dyn Fn()>) -> Self {
        self.on_refused = Some(hit);
        self
    }

    /// Runs the connection to its end. `inbound` gets each stream that the peer opens; it hands it to a task, or drops
    /// it, which resets it.
    ///
    /// # Errors
    /// How the connection ended, unless one of the sides ended it in good order.
    pub async fn run(mut self, mut inbound: impl FnMut(InboundStream)) -> Result<(), ConnectionError> {
        poll_fn(|cx| self.turn(cx, &mut inbound)).await
    }

    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        inbound: &mut impl FnMut(InboundStream),
    ) -> Poll<Result<(), ConnectionError>> {
        self.link.shared.is_driven_by(cx.waker());
        let Some(cork) = self.link.mux.borrow().as_ref().map(|mux| mux.cork.clone()) else {
            return Poll::Ready(Ok(()));
        };
        cork.borrow_mut().begin_turn();
        if let Poll::Ready(ended) = self.advance(cx, &cork, inbound) {
            return Poll::Ready(ended);
        }
        let sent = cork.borrow_mut().flush(cx);
        if let Poll::Ready(Err(error)) = sent {
            return Poll::Ready(Err(ConnectionError::of_io(error)));
        }
        if let Some(fault) = self.fault() {
            return Poll::Ready(Err(fault));
        }
        self.link.shared.end_turn();
        Poll::Pending
    }

    /// All that can be done now, but for sending it.
    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        cork: &RefCell<Cork<Secured<Io>>>,
        inbound: &mut impl FnMut(InboundStream),
    ) -> Poll<Result<(), ConnectionError>> {
        let shared = self.link.shared.clone();
        loop {
            if shared.stage() == Stage::Aborted {
                return Poll::Ready(Err(ConnectionError::Aborted));
            }
            if self.closing != Closing::NotYet {
                return self.close(cx, cork);
            }
            cork.borrow_mut().last_write = None;
            let next = match self.link.mux.borrow_mut().as_mut() {
                Some(mux) => mux.connection.poll_next_inbound(cx),
                None => Poll::Ready(None),
            };
            if next.is_pending() && cork.borrow_mut().let_pass() {
                continue;
            }
            // A Yamux that is closing does not tell the peer of the streams that were dropped. So it closes only once it
            // has nothing more to say, which shows in its writing nothing.
            if next.is_pending() && shared.is_out_of_streams() {
                match cork.borrow().last_write {
                    None => self.closing = Closing::Saying,
                    Some(LastWrite::Waits) => return Poll::Pending,
                    Some(LastWrite::Done) => {}
                }
                continue;
            }
            let next = ready!(next);
            match next {
                Some(Ok(stream)) => self.admit(stream, inbound),
                Some(Err(error)) => return Poll::Ready(ConnectionError::of(error).map_or(Ok(()), Err)),
                None => return Poll::Ready(Ok(())),
            }
            if self.fault().is_some() {
                return Poll::Pending;
            }
        }
    }

    fn admit(&mut self, stream: yamux::Stream, inbound: &mut impl FnMut(InboundStream)) {
        let shared = &self.link.shared;
        let open = shared.opened_by(Opener::Peer);
        let place = Place::take(shared.clone(), Opener::Peer, stream.id().val());
        if shared.stage() != Stage::Open {
            return;
        }
        if open < shared.max_streams {
            self.flood = self.flood.saturating_sub(1);
            return inbound(InboundStream::new(stream, place));
        }
        self.flood += 1;
        shared.refused.set(shared.refused.get() + 1);
        if let Some(hit) = &self.on_refused {
            hit();
        }
    }

    /// Why the peer has lost the connection.
    fn fault(&self) -> Option<ConnectionError> {
        let shared = &self.link.shared;
        let max_streams = shared.max_streams;
        if self.flood > max_streams {
            return Some(ConnectionError::Flooded { max_streams });
        }
        if shared.unread.is_exceeded() {
            return Some(ConnectionError::Unread { max_bytes: shared.unread.max_bytes() });
        }
        if shared.said_go_away.get() && self.closing == Closing::NotYet {
            return Some(ConnectionError::Violation("it sent a frame that has no place in Yamux".into()));
        }
        None
    }

    fn close(
        &mut self,
        cx: &mut Context<'_>,
        cork: &RefCell<Cork<Secured<Io>>>,
    ) -> Poll<Result<(), ConnectionError>> {
        if self.closing != Closing::Draining {
            self.closing = Closing::Saying;
            let closed = match self.link.mux.borrow_mut().as_mut() {
                Some(mux) => ready!(mux.connection.poll_close(cx)),
                None => Ok(()),
            };
            self.closing = Closing::Draining;
            if let Some(error) = closed.err().and_then(ConnectionError::of) {
                return Poll::Ready(Err(error));
            }
        }
        ready!(cork.borrow_mut().drain(cx));
        Poll::Ready(Ok(()))
    }
}

impl<Io> Drop for Driver<Io> {
    fn drop(&mut self) {
        // What the streams and the openers are told must be true when they look.
        let mux = self.link.mux.borrow_mut().take();
        self.link.shared.advance(Stage::Ended);
        drop(mux);
    }
}

impl<Io> fmt::Debug for Driver<Io> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("shared", &self.link.shared).finish_non_exhaustive()
    }
}

/// Yamux with a bound on streams that only somebody reaches whom the bound of this room has not stopped.
fn yamux_config(max_streams: usize) -> yamux::Config {
    // Ours and the peer's, each as many as may be open and as many again that have ended or are refused and that Yamux
    // has yet to forget.
    let streams = max_streams.saturating_mul(4).saturating_add(64);
    let window = streams.saturating_mul(yamux::DEFAULT_CREDIT as usize);
    let mut config = yamux::Config::default();
    // Each setter checks that the window suffices for all streams.
    config.set_max_connection_receive_window(None);
    config.set_max_num_streams(streams);
    config.set_max_connection_receive_window(Some(window.saturating_add(WINDOW_GROWTH_BYTES)));
    config
}
