//! What the rest of a core holds of a connection.

use std::fmt;
use std::rc::Rc;
use std::task::Poll;

use super::error::OpenError;
use super::shared::{Shared, Stage};
use super::stream::PeerStream;

/// Opens streams, whatever byte stream lies below.
pub(super) trait Streams {
    fn poll_open(&self, protocols: &'static [&'static str]) -> Poll<Result<PeerStream, OpenError>>;
}

/// A connection, to open streams on it and to end it. Clones are the same connection.
///
/// It keeps nothing alive: a connection lives until either side ends it, with or without handles.
#[derive(Clone)]
pub struct Handle {
    pub(super) shared: Rc<Shared>,
    streams: Rc<dyn Streams>,
}

impl Handle {
    pub(super) fn new(shared: Rc<Shared>, streams: Rc<dyn Streams>) -> Self {
        Self { shared, streams }
    }

    /// Opens a stream that speaks one of `protocols`, the earlier the better, and gives the index of that one. Cancel
    /// safe: a future that is dropped leaves no stream behind.
    ///
    /// Of several protocols, it waits for the peer to accept one. A single one is only proposed, and the proposal goes
    /// out with the first write; if the peer does not speak it, the first read fails with
    /// [`std::io::ErrorKind::Unsupported`].
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(&self, protocols: &'static [&'static str]) -> Result<(PeerStream, usize), OpenError> {
        let mut stream = self.next_stream(protocols).await?;
        match protocols {
            [_] => Ok((stream, 0)),
            _ => {
                let agreed = stream.agree().await.map_err(OpenError::Negotiate)?;
                Ok((stream, agreed))
            }
        }
    }

    async fn next_stream(&self, protocols: &'static [&'static str]) -> Result<PeerStream, OpenError> {
        loop {
            if let Poll::Ready(opened) = self.streams.poll_open(protocols) {
                return opened;
            }
            let max_streams = self.shared.max_streams;
            if self.shared.waiting.get() >= max_streams {
                return Err(OpenError::TooManyStreams { max_streams });
            }
            let _waiting = Waiting::new(&self.shared);
            self.shared.room.listen().await;
        }
    }

    /// Streams that are open, whoever opened them.
    pub fn streams(&self) -> usize {
        self.shared.streams()
    }

    /// Streams of the peer that were reset because it had too many open.
    pub fn refused_streams(&self) -> u64 {
        self.shared.refused.get()
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.shared.stage() == Stage::Ended
    }

    /// Whether no stream can be opened any more: the connection has ended, or was told to.
    pub fn is_ending(&self) -> bool {
        self.shared.stage() != Stage::Open
    }

    /// `None` while all that was written has been taken by the byte stream below; otherwise a count that changes
    /// whenever it takes some. A count that stays the same over a time of the caller's choice means that the peer has
    /// stopped reading.
    pub fn stalled(&self) -> Option<u64> {
        self.shared.stalled()
    }

    /// Ends the connection in good order: no stream is opened any more, and when the open ones have ended, the peer is
    /// told and what is still on its way is awaited. How long all that may take is the caller's to say, and then to
    /// [`Handle::abort`].
    pub fn close(&self) {
        self.shared.advance(Stage::Closing);
    }

    /// Ends the connection at once. Its streams are reset.
    pub fn abort(&self) {
        self.shared.advance(Stage::Aborted);
    }

    /// Waits until the driver has ended, for whatever reason.
    pub async fn closed(&self) {
        while self.shared.stage() != Stage::Ended {
            self.shared.ended.listen().await;
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("streams", &self.streams())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// One opener that waits.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.waiting.set(shared.waiting.get() + 1);
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}
