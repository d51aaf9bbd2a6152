//! One session of a client of the revisions before 2026-07-28.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use crate::mcp::call::context::CallState;
use crate::mcp::call::signals::CancelReason;
use crate::mcp::message::capability::ClientCapabilities;
use crate::mcp::message::era::Revision;
use crate::mcp::message::level::LogLevel;
use crate::mcp::message::scan::text;
use crate::mcp::session::pending::Pending;
use crate::mcp::session::streams::Streams;

/// The id of a session: 128 random bits in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// A new id from the operating system's random source.
    ///
    /// # Errors
    /// The random source fails.
    pub(crate) fn random() -> Result<SessionId, getrandom::Error> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits)?;
        Ok(SessionId::from_bits(u128::from_ne_bytes(bits)))
    }

    pub(crate) fn from_bits(bits: u128) -> SessionId {
        let mut text = [0; 32];
        for (index, digit) in text.iter_mut().enumerate() {
            let nibble = (bits >> (124 - 4 * index)) as usize & 0xf;
            *digit = b"0123456789abcdef"[nibble];
        }
        SessionId(text)
    }

    pub(crate) fn bits(self) -> u128 {
        u128::from_str_radix(self.as_str(), 16).expect("invariant: 32 hexadecimal digits")
    }

    /// The id in a header; `None` for what this server cannot have given out.
    pub(crate) fn parse(header: &[u8]) -> Option<SessionId> {
        let text: [u8; 32] = header.try_into().ok()?;
        text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).then_some(SessionId(text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("invariant: hexadecimal digits")
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Who knows an id can use the session, so logs show only enough of it to tell two apart.
        write!(f, "SessionId({}…)", &self.as_str()[..6])
    }
}

/// What a session remembers. Shared by every core.
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) principal: Arc<str>,
    pub(crate) revision: Revision,
    capabilities: ClientCapabilities,
    initialized: AtomicBool,
    log_level: AtomicU8,
    /// The server's own requests to the client.
    pub(crate) pending: Pending,
    /// Requests being served; while there are any the session is neither evicted nor swept.
    busy: AtomicU32,
    /// The calls that a cancellation can find: those whose handler waited at least once.
    calls: Mutex<Calls>,
    pub(crate) streams: Streams,
}

/// A session that was entered, and is left at the end of the scope.
pub(crate) struct InUse(pub(crate) Arc<Session>);

impl InUse {
    /// One more use of a session.
    pub(crate) fn enter(session: &Arc<Session>) -> InUse {
        session.enter();
        InUse(session.clone())
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.leave(None);
    }
}

#[derive(Default)]
struct Calls {
    waiting: Vec<Arc<CallState>>,
    ended: bool,
}

impl Session {
    pub(crate) fn new(
        id: SessionId,
        principal: Arc<str>,
        revision: Revision,
        capabilities: ClientCapabilities,
    ) -> Session {
        Session {
            id,
            principal,
            revision,
            capabilities,
            initialized: AtomicBool::new(false),
            log_level: AtomicU8::new(LogLevel::Info as u8),
            pending: Pending::default(),
            busy: AtomicU32::new(0),
            calls: Mutex::default(),
            streams: Streams::default(),
        }
    }

    pub(crate) fn capabilities(&self) -> &ClientCapabilities {
        &self.capabilities
    }

    /// The least serious level of log notifications that the client wants.
    pub(crate) fn log_level(&self) -> LogLevel {
        LogLevel::ALL[usize::from(self.log_level.load(Ordering::Relaxed))]
    }

    pub(crate) fn set_log_level(&self, level: LogLevel) {
        self.log_level.store(level as u8, Ordering::Relaxed);
    }

    /// Returns true the first time.
    pub(crate) fn set_initialized(&self) -> bool {
        !self.initialized.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire) > 0
    }

    /// Notes a request; [`Session::leave`] is its end.
    pub(crate) fn enter(&self) {
        self.busy.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes the end of a request, and of its waiting call if it was one.
    pub(crate) fn leave(&self, call: Option<&Arc<CallState>>) {
        if let Some(call) = call {
            let mut calls = crate::mcp::lock(&self.calls);
            calls.waiting.retain(|waiting| !Arc::ptr_eq(waiting, call));
            if calls.waiting.is_empty() {
                calls.waiting = Vec::new();
            }
        }
        self.busy.fetch_sub(1, Ordering::AcqRel);
    }

    /// Makes a waiting call known to cancellations.
    pub(crate) fn add_call(&self, call: &Arc<CallState>) {
        let ended = {
            let mut calls = crate::mcp::lock(&self.calls);
            calls.waiting.push(call.clone());
            calls.ended
        };
        if ended {
            call.signals.cancel(CancelReason::Client);
        }
    }

    /// Cancels the waiting calls with that request id (JSON text); unknown ids are ignored, as MCP asks.
    pub(crate) fn cancel_call(&self, request_id: &str) {
        let found: Vec<_> = {
            let calls = crate::mcp::lock(&self.calls);
            calls.waiting.iter().filter(|call| same_id(call.id.as_str(), request_id)).cloned().collect()
        };
        for call in found {
            call.signals.cancel(CancelReason::Client);
        }
    }

    /// Cancels every waiting call and ends every stream, because the session has ended.
    pub(crate) fn end(&self) {
        let calls = {
            let mut calls = crate::mcp::lock(&self.calls);
            calls.ended = true;
            calls.waiting.clone()
        };
        for call in calls {
            call.signals.cancel(CancelReason::Client);
        }
        self.streams.end();
    }
}

/// True when two ids are the same value, however their strings are escaped.
pub(crate) fn same_id(a: &str, b: &str) -> bool {
    a == b
        || (a.contains('\\') || b.contains('\\'))
            && matches!((text(a), text(b)), (Some(a), Some(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_hexadecimal_digits_and_lead_back_to_their_bits() {
        let id = SessionId::from_bits(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        assert_eq!(id.as_str(), "0123456789abcdef0011223344556677");
        assert_eq!(SessionId::from_bits(id.bits()), id);
        assert_eq!(SessionId::parse(id.as_str().as_bytes()), Some(id));
        assert_ne!(SessionId::random().unwrap(), SessionId::random().unwrap());
        for bad in ["", "0123", "0123456789ABCDEF0011223344556677", "0123456789abcdef001122334455667g"] {
            assert_eq!(SessionId::parse(bad.as_bytes()), None);
        }
        assert!(!format!("{id:?}").contains("abcdef"));
    }

    #[test]
    fn ids_compare_by_value() {
        assert!(same_id("1", "1") && same_id(r#""a""#, r#""\u0061""#));
        assert!(!same_id("1", r#""1""#) && !same_id(r#""a""#, r#""b""#));
    }
}
