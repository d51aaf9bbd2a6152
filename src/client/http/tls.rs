//! TLS over a stream of ours: rustls as the state machine, bytes carried by hand.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, InvalidMessage};

use super::roots;
use crate::client::TransportError;
use crate::runtime::Stream;

/// Why https cannot be set up.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsSetupError {
    /// The file of authorities cannot be read.
    Unreadable(PathBuf, io::Error),
    /// The file holds something else.
    BadAuthority(PathBuf, String),
    /// Nobody is trusted: the system's file, where there is one, holds no usable authority.
    NoAuthorities(Option<PathBuf>),
}

impl fmt::Display for TlsSetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::BadAuthority(path, why) => {
                write!(f, "{} is not a file of PEM certificates: {why}", path.display())
            }
            Self::NoAuthorities(Some(path)) => {
                write!(f, "no certificate authority is trusted: {} holds none", path.display())
            }
            Self::NoAuthorities(None) => f.write_str(
                "no certificate authority is trusted: the system has no known file of them; \
                 install its CA certificates, set SSL_CERT_FILE or name a CA file",
            ),
        }
    }
}

impl Error for TlsSetupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreadable(_, error) => Some(error),
            _ => None,
        }
    }
}

/// TLS 1.2 and 1.3, HTTP/1.1, the system's authorities and those of `ca_file`. It reads files.
pub(super) fn config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("invariant: the provider has the suites of both versions");
    let mut config = builder.with_root_certificates(roots::load(ca_file)?).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// An encrypted stream. Dropping it says goodbye (close_notify) if the socket takes it at once.
#[derive(Debug)]
pub(super) struct TlsStream {
    stream: Stream,
    tls: ClientConnection,
    /// Decrypted and not yet asked for.
    plain: Vec<u8>,
    /// The peer has said that nothing more comes.
    ended: bool,
    /// A record was cut off.
    broken: bool,
}

impl TlsStream {
    /// Does the handshake, for as long as it takes. `host` must be what the certificate is for.
    pub(super) async fn handshake(
        stream: Stream,
        config: Arc<ClientConfig>,
        host: &str,
    ) -> Result<TlsStream, TransportError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_invalid| TransportError::Tls(format!("{host:?} is no name of a server")))?;
        let mut tls =
            ClientConnection::new(config, name).map_err(|error| TransportError::Tls(error.to_string()))?;
        // Bodies are bounded where they are made; a second bound here would only split them.
        tls.set_buffer_limit(None);
        let mut this = TlsStream { stream, tls, plain: Vec::new(), ended: false, broken: false };
        poll_fn(|cx| this.poll_handshake(cx)).await.map_err(explain)?;
        Ok(this)
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_flush(cx))?;
            if !self.tls.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_receive(cx))?;
        }
    }

    /// Encrypts and stages.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tls.writer().write_all(bytes)?;
        self.stage()
    }

    fn stage(&mut self) -> io::Result<()> {
        let mut records = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut records)?;
        }
        let _spare = self.stream.write(records);
        Ok(())
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stage()?;
        self.stream.poll_flush(cx)
    }

    /// Appends decrypted bytes; 0 of them are the orderly end. An end without a goodbye is `UnexpectedEof`.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        loop {
            if !self.plain.is_empty() || self.ended {
                let length = self.plain.len();
                out.append(&mut self.plain);
                return Poll::Ready(Ok(length));
            }
            // A key update is answered as soon as the socket takes it; reading does not wait for that.
            if self.tls.wants_write() {
                let _later = self.poll_flush(cx)?;
            }
            ready!(self.poll_receive(cx))?;
        }
    }

    /// Takes what the socket has and decrypts it.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let bytes = ready!(self.stream.poll_read(cx))?;
        if bytes.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() && !self.ended {
            self.tls.read_tls(&mut rest)?;
            let state = self.tls.process_new_packets().map_err(|error| {
                // The alert that says why goes out with what else is staged.
                let _ = self.stage();
                io::Error::new(io::ErrorKind::InvalidData, error)
            })?;
            let at = self.plain.len();
            self.plain.resize(at + state.plaintext_bytes_to_read(), 0);
            self.tls.reader().read_exact(&mut self.plain[at..])?;
            self.ended |= state.peer_has_closed();
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn staged(&self) -> usize {
        self.stream.staged()
    }

    /// Forgets what is staged. Nothing more can be said afterwards, no goodbye either.
    pub(super) fn discard_staged(&mut self) {
        self.broken |= self.stream.staged() > 0;
        self.stream.discard_staged();
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        if !self.broken && !self.tls.is_handshaking() {
            self.tls.send_close_notify();
            let _ = self.stage();
        }
    }
}

/// What went wrong with an encrypted connection, in words.
pub(super) fn explain(error: io::Error) -> TransportError {
    let text = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "the server does not speak TLS at this port; is it http:// rather than https://?".to_owned()
        }
        // The second one is an authority of the same name with another key.
        Some(rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => {
            "the server's certificate is not signed by a trusted authority; name its CA file if it has one of its own"
                .to_owned()
        }
        Some(tls) => tls.to_string(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the server closed the connection in the middle of the handshake".to_owned()
        }
        None => error.to_string(),
    };
    TransportError::Tls(text)
}
