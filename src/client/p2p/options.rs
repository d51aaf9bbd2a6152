//! How a peer is reached, and what it may make the client hold.

use std::fmt;
use std::time::Duration;

use crate::config::Secret;
use crate::p2p::identity::Identity;

/// How a [`super::P2pTransport`] reaches its peer.
#[derive(Clone)]
pub struct P2pOptions {
    /// Who the client proves to be; `None`, the default, is a key that nobody has seen before.
    pub identity: Option<Identity>,
    /// The token that the peer's operator shares, sent in `_meta` of each request, and to no peer but the one whose id
    /// the target names.
    pub token: Option<Secret>,
    /// How long opening a stream may take, dialling and the handshake included where no connection stands; 10 s by
    /// default.
    pub open_timeout: Duration,
    /// How long a message may wait for a peer that does not read, 30 s by default; then the stream is reset.
    pub write_timeout: Duration,
    /// How long a message may take from its first byte to its last, 30 s by default; then the stream is reset.
    pub frame_timeout: Duration,
    /// How long a stream without requests is kept for the next one, 60 s by default. The stream of an older revision's
    /// session is kept as long as the session.
    pub idle_timeout: Duration,
    /// Streams open at once, at least 1; 8 by default. A request beyond them waits.
    pub max_streams: usize,
    /// Requests in progress on one stream, at least 1; 64 by default. For one more, another stream is opened.
    pub max_stream_requests: usize,
    /// Bytes of one message from the peer (`max_frame_bytes`), 16 MiB by default. More ends the stream.
    pub max_frame_bytes: usize,
    /// Bytes of messages on one stream that nobody has read yet (`max_waiting_bytes`), 32 MiB by default. Past it, the
    /// request that most of them wait for fails.
    pub max_waiting_bytes: usize,
}

impl Default for P2pOptions {
    fn default() -> Self {
        Self {
            identity: None,
            token: None,
            open_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            frame_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            max_streams: 8,
            max_stream_requests: 64,
            max_frame_bytes: 16 << 20,
            max_waiting_bytes: 32 << 20,
        }
    }
}

impl fmt::Debug for P2pOptions {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("P2pOptions")
            .field("identity", &self.identity)
            .field("has_token", &self.token.is_some())
            .field("open_timeout", &self.open_timeout)
            .field("max_streams", &self.max_streams)
            .field("max_stream_requests", &self.max_stream_requests)
            .field("max_frame_bytes", &self.max_frame_bytes)
            .field("max_waiting_bytes", &self.max_waiting_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_never_shown() {
        let options = P2pOptions { token: Some(Secret("s3cret".into())), ..P2pOptions::default() };
        assert!(!format!("{options:?}").contains("s3cret"), "{options:?}");
    }
}
