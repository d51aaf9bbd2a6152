//! Streamable HTTP: HTTP/1.1 over connections of our own, http and https.
//!
//! The path of one exchange: [`HttpTransport::exchange`] → `pool` (an idle connection, or a new one: `resolve`,
//! `connect`, `tls`) → `request` (the head) → `talk` (bytes to and fro) → an answer, or `events`.
//!
//! Redirects are not followed, proxies are not used, bodies are not compressed, and nothing is remembered (no cookies).

mod events;
mod exchange;
mod options;
mod pool;
mod request;
mod roots;
mod talk;
mod target;
mod tls;
mod wire;

use std::fmt;

use super::{Incoming, LocalBoxFuture, Outgoing, Transport, TransportError};
use exchange::Shared;
use pool::Pool;
use request::CommonHead;

pub use options::{AnswerLimits, HttpOptions, SetupError};
pub use target::HttpTarget;
pub use tls::TlsSetupError;

/// A server that is reached over HTTP. It belongs to the executor whose connections it holds.
///
/// Dropping the future of an exchange, or a stream of events, closes the connection that it used.
pub struct HttpTransport {
    shared: Shared,
    name: String,
}

impl HttpTransport {
    /// Sets up the way to `target`, an http or https URL. Nothing is connected yet; for https it reads the files of
    /// certificate authorities, which blocks for some milliseconds.
    ///
    /// # Errors
    /// [`SetupError`]: a bad URL or header, or no certificate authorities.
    pub fn new(target: &str, options: HttpOptions) -> Result<HttpTransport, SetupError> {
        let target = HttpTarget::parse(target)?;
        let common = CommonHead::new(&target, &options.headers)?;
        let tls = match target.tls {
            true => Some(tls::config(options.ca_file.as_deref()).map_err(SetupError::Tls)?),
            false => None,
        };
        let pool = Pool::new(options.max_connections, options.max_idle, options.idle_timeout);
        let name = target.display();
        Ok(HttpTransport { shared: Shared { target, options, common, tls, pool }, name })
    }

    /// Connections that are open now, in use or idle.
    pub fn open_connections(&self) -> usize {
        self.shared.pool.open()
    }
}

impl Transport for HttpTransport {
    fn exchange<'a>(&'a self, outgoing: Outgoing) -> LocalBoxFuture<'a, Result<Incoming, TransportError>> {
        Box::pin(self.shared.exchange(outgoing))
    }

    fn has_headers(&self) -> bool {
        true
    }

    fn target(&self) -> &str {
        &self.name
    }

    fn close<'a>(&'a self) -> LocalBoxFuture<'a, ()> {
        self.shared.pool.close();
        Box::pin(std::future::ready(()))
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpTransport({}, {:?})", self.name, self.shared.pool)
    }
}
