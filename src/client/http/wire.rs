//! One connection, encrypted or not.

use std::io;
use std::task::{Context, Poll, ready};

use super::tls::{self, TlsStream};
use crate::client::TransportError;
use crate::runtime::Stream;

/// The bytes of one connection.
#[derive(Debug)]
pub(super) enum Wire {
    Plain(Box<Stream>),
    Tls(Box<TlsStream>),
}

impl Wire {
    /// Stages bytes.
    pub(super) fn write(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        match self {
            Self::Plain(stream) => {
                let _spare = stream.write(bytes);
                Ok(())
            }
            Self::Tls(tls) => tls.write(&bytes),
        }
    }

    /// Bytes staged that the kernel has not taken.
    pub(super) fn staged(&self) -> usize {
        match self {
            Self::Plain(stream) => stream.staged(),
            Self::Tls(tls) => tls.staged(),
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_flush(cx),
            Self::Tls(tls) => tls.poll_flush(cx),
        }
    }

    /// Appends what has come; 0 bytes are the orderly end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => {
                let bytes = ready!(stream.poll_read(cx))?;
                out.extend_from_slice(&bytes);
                Poll::Ready(Ok(bytes.len()))
            }
            Self::Tls(tls) => tls.poll_read(cx, out),
        }
    }

    /// What a failed read or write means. `before_answer`: nothing of an answer has been seen.
    pub(super) fn explain(&self, error: io::Error, before_answer: bool) -> TransportError {
        match self {
            Self::Tls(_) if error.kind() == io::ErrorKind::InvalidData => tls::explain(error),
            _ => TransportError::Closed { before_answer },
        }
    }

    /// Forgets what is staged, so that a connection that is given up sends nothing more of a request.
    pub(super) fn discard_staged(&mut self) {
        match self {
            Self::Plain(stream) => stream.discard_staged(),
            Self::Tls(tls) => tls.discard_staged(),
        }
    }
}
