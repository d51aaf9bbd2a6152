//! What can go wrong with a connection, with opening a stream, and with agreeing on its protocol.

use std::fmt;
use std::io;

use multistream_select::{NegotiationError, ProtocolError};

use super::super::PeerId;

/// Why a connection did not come to be.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The socket failed, or the peer ended the connection ([`io::ErrorKind::UnexpectedEof`]).
    Io(io::Error),
    /// What the peer sent is not multistream-select.
    Multistream(String),
    /// The peer does not speak the named protocol, and nothing else would do.
    Refused(&'static str),
    /// The Noise handshake failed: garbage, a bad signature, a key of an unknown kind.
    Noise(libp2p_noise::Error),
    /// Somebody else is there than was expected.
    WrongPeer {
        /// Who was to be there.
        expected: PeerId,
        /// Who proved to be there.
        found: PeerId,
    },
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(source) => write!(f, "the connection ended during its handshake: {source}"),
            Self::Multistream(reason) => write!(f, "the peer does not speak multistream-select: {reason}"),
            Self::Refused(protocol) => write!(f, "no common protocol: this side speaks only {protocol}"),
            Self::Noise(source) => write!(f, "the Noise handshake failed: {source}"),
            Self::WrongPeer { expected, found } => {
                write!(f, "the peer there is {found}, and {expected} was expected")
            }
        }
    }
}

impl std::error::Error for HandshakeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(source) => Some(source),
            Self::Noise(source) => Some(source),
            _ => None,
        }
    }
}

impl HandshakeError {
    /// An error while `protocol` was being agreed on.
    pub(super) fn negotiation(protocol: &'static str, error: NegotiationError) -> Self {
        match error {
            NegotiationError::Failed => Self::Refused(protocol),
            NegotiationError::ProtocolError(ProtocolError::IoError(error)) => Self::io(protocol, error),
            NegotiationError::ProtocolError(error) => Self::Multistream(error.to_string()),
        }
    }

    /// An error of Noise, which may be one of the lazy agreement on it.
    pub(super) fn noise(protocol: &'static str, error: libp2p_noise::Error) -> Self {
        match error {
            libp2p_noise::Error::Io(error) => Self::io(protocol, error),
            error => Self::Noise(error),
        }
    }

    fn io(protocol: &'static str, error: io::Error) -> Self {
        if let Some(negotiation) = negotiation_in(&error) {
            return match negotiation {
                NegotiationError::Failed => Self::Refused(protocol),
                NegotiationError::ProtocolError(error) => Self::Multistream(error.to_string()),
            };
        }
        if error.kind() == io::ErrorKind::InvalidData {
            return match error.get_ref().is_some_and(|inner| inner.is::<ProtocolError>()) {
                true => Self::Multistream(error.to_string()),
                false => Self::Noise(libp2p_noise::Error::Io(error)),
            };
        }
        Self::Io(error)
    }
}

/// The failed agreement that an I/O error carries.
fn negotiation_in(error: &io::Error) -> Option<&NegotiationError> {
    error.get_ref()?.downcast_ref()
}

/// Why a connection ended otherwise than in good order.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The socket failed, or the peer vanished in the middle of a message.
    Io(io::Error),
    /// The peer does not speak Yamux.
    NotYamux,
    /// The peer sent what Yamux or Noise does not allow.
    Violation(String),
    /// The peer went on opening streams past the bound on streams.
    Flooded {
        /// The bound.
        max_streams: usize,
    },
    /// The peer sent more on its streams than this side keeps unread.
    Unread {
        /// The bound, in bytes.
        max_bytes: usize,
    },
    /// [`super::Handle::abort`] was called.
    Aborted,
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(source) => write!(f, "the connection failed: {source}"),
            Self::NotYamux => f.write_str("the peer does not speak /yamux/1.0.0"),
            Self::Violation(reason) => write!(f, "the peer broke the protocol: {reason}"),
            Self::Flooded { max_streams } => {
                write!(f, "the peer kept opening streams beyond the {max_streams} that are allowed at once")
            }
            Self::Unread { max_bytes } => {
                write!(
                    f,
                    "the peer sent more than {max_bytes} bytes that nobody had read yet (max_p2p_connection_unread_bytes)"
                )
            }
            Self::Aborted => f.write_str("the connection was aborted"),
        }
    }
}

impl std::error::Error for ConnectionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(source) => Some(source),
            _ => None,
        }
    }
}

impl ConnectionError {
    /// What an error of Yamux means. `None` is the end of a connection in good order.
    pub(super) fn of(error: yamux::ConnectionError) -> Option<Self> {
        match error {
            yamux::ConnectionError::Closed => None,
            yamux::ConnectionError::Io(error)
            | yamux::ConnectionError::Decode(yamux::FrameDecodeError::Io(error)) => Some(Self::of_io(error)),
            error => Some(Self::Violation(error.to_string())),
        }
    }

    pub(super) fn of_io(error: io::Error) -> Self {
        match negotiation_in(&error) {
            Some(NegotiationError::Failed) => return Self::NotYamux,
            Some(NegotiationError::ProtocolError(error)) => return Self::Violation(error.to_string()),
            None => {}
        }
        match error.kind() {
            io::ErrorKind::InvalidData => Self::Violation(error.to_string()),
            _ => Self::Io(error),
        }
    }
}

/// Why a stream could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The connection has ended or is ending.
    Closed,
    /// This side has as many streams open on the connection as it may.
    TooManyStreams {
        /// How many that is.
        max_streams: usize,
    },
    /// The peer speaks none of the protocols that were proposed, or did not answer by the rules.
    Negotiate(NegotiateError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the connection to the peer has ended"),
            Self::TooManyStreams { max_streams } => {
                write!(f, "all {max_streams} streams that may be open on the connection are in use")
            }
            Self::Negotiate(source) => source.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Negotiate(source) => Some(source),
            _ => None,
        }
    }
}

/// Why the two sides of a stream did not agree on a protocol.
#[derive(Debug)]
#[non_exhaustive]
pub enum NegotiateError {
    /// There is no common protocol.
    Refused,
    /// What the other side sent is not multistream-select, or is more of it than allowed.
    Violation(String),
    /// The stream or its connection ended.
    Io(io::Error),
}

impl fmt::Display for NegotiateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("the peer speaks none of the protocols asked for"),
            Self::Violation(reason) => write!(f, "the peer does not speak multistream-select: {reason}"),
            Self::Io(source) => write!(f, "the stream ended before its protocol was agreed: {source}"),
        }
    }
}

impl std::error::Error for NegotiateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(source) => Some(source),
            _ => None,
        }
    }
}

impl From<NegotiationError> for NegotiateError {
    fn from(error: NegotiationError) -> Self {
        match error {
            NegotiationError::Failed => Self::Refused,
            NegotiationError::ProtocolError(ProtocolError::IoError(error)) => Self::Io(error),
            NegotiationError::ProtocolError(error) => Self::Violation(error.to_string()),
        }
    }
}
