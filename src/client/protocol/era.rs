//! Which era a server belongs to: what its answer to the first request says.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::Failure;
use crate::client::error::{ClientError, ProtocolError};
use crate::client::transport::TransportError;
use crate::mcp::Revision;

/// The header does not match the body.
pub(crate) const HEADER_MISMATCH: i64 = -32020;
/// The client did not declare a capability.
pub(crate) const MISSING_CAPABILITY: i64 = -32021;
/// The revision is not served.
pub(crate) const UNSUPPORTED_VERSION: i64 = -32022;

/// What to do after `server/discover` was answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Next {
    /// The server speaks this revision without a session.
    Modern(Revision),
    /// Ask again in this revision.
    Discover(Revision),
    /// Begin a session, and ask for this revision.
    Initialize(Revision),
    /// Nothing helps.
    Fail(ClientError),
}

/// What the client would like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    /// The one revision allowed, if the options name it.
    pub(crate) forced: Option<Revision>,
    /// Whether the server has already named its revisions once.
    pub(crate) retried: bool,
    /// Whether silence means an older server, as it does where answers have no status.
    pub(crate) silence_is_old: bool,
}

impl Wish {
    fn allows(self, revision: Revision) -> bool {
        self.forced.is_none_or(|forced| forced == revision)
    }

    /// The revisions that the client would speak.
    pub(crate) fn revisions(self) -> Vec<&'static str> {
        let all = Revision::ALL.iter().filter(|revision| self.allows(**revision));
        all.map(|revision| revision.as_str()).collect()
    }

    /// The newest revision of both sides.
    fn common(self, server: &[String]) -> Option<Revision> {
        let all = Revision::ALL.iter().copied();
        all.filter(|revision| self.allows(*revision))
            .find(|revision| server.iter().any(|name| name == revision.as_str()))
    }

    fn nothing(self, server: Vec<String>) -> Next {
        Next::Fail(ClientError::NoCommonRevision { server, client: self.revisions() })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovered {
    supported_versions: Vec<String>,
}

/// Decides after the answer to `server/discover`.
pub(crate) fn after_discover(answer: Result<&RawValue, &Failure>, wish: Wish) -> Next {
    match answer {
        Ok(result) => match serde_json::from_str::<Discovered>(result.get()) {
            Ok(discovered) => after_versions(discovered.supported_versions, wish, true),
            // A server that answers anything to anything: an older one.
            Err(error) => old(wish, ClientError::malformed("server/discover", error)),
        },
        Err(failure) => after_failure(failure, wish),
    }
}

fn after_versions(server: Vec<String>, wish: Wish, answered: bool) -> Next {
    match wish.common(&server) {
        Some(revision) if revision.is_modern() && answered => Next::Modern(revision),
        Some(revision) if revision.is_modern() && !wish.retried => Next::Discover(revision),
        Some(revision) if !revision.is_modern() => Next::Initialize(revision),
        _ => wish.nothing(server),
    }
}

fn after_failure(failure: &Failure, wish: Wish) -> Next {
    match (&failure.error, failure.status) {
        (ClientError::Protocol(error), _) if is_modern_error(error) => match supported(error) {
            Some(server) => after_versions(server, wish, false),
            None => Next::Fail(failure.error.clone()),
        },
        // Who may not ask must not be told apart by asking differently; who is asked to wait is not asked more.
        (_, Some(401 | 403 | 429 | 503)) => Next::Fail(failure.error.clone()),
        (ClientError::Protocol(_) | ClientError::Http { .. } | ClientError::Malformed { .. }, _) => {
            old(wish, failure.error.clone())
        }
        (ClientError::Timeout { .. }, _) if wish.silence_is_old => old(wish, failure.error.clone()),
        // Some older peers end the stream at what they do not know.
        (ClientError::Transport { error: TransportError::Closed { .. }, .. }, _) if wish.silence_is_old => {
            old(wish, failure.error.clone())
        }
        _ => Next::Fail(failure.error.clone()),
    }
}

/// The server is an older one; `error` is what it said to the newer revision.
fn old(wish: Wish, error: ClientError) -> Next {
    match wish.forced {
        None => Next::Initialize(Revision::NEWEST_LEGACY),
        Some(revision) if !revision.is_modern() => Next::Initialize(revision),
        Some(_) => Next::Fail(error),
    }
}

/// True for the errors that only a server of 2026-07-28 or later has.
fn is_modern_error(error: &ProtocolError) -> bool {
    matches!(error.code, HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION)
}

/// The revisions that an error names.
fn supported(error: &ProtocolError) -> Option<Vec<String>> {
    let list = error.data.as_ref()?.get("supported")?.as_array()?;
    (error.code == UNSUPPORTED_VERSION)
        .then(|| list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::protocol::answer::{Head, of_outcome, of_status};
    use serde_json::json;

    const WISH: Wish = Wish { forced: None, retried: false, silence_is_old: false };

    fn discovered(result: Value, wish: Wish) -> Next {
        after_discover(Ok(&RawValue::from_string(result.to_string()).unwrap()), wish)
    }

    fn refused(status: u16, code: i64, data: Value, wish: Wish) -> Next {
        let error = ProtocolError { code, message: "no".into(), data: Some(data) };
        let head = Head { status, ..Head::default() };
        after_discover(Err(&of_outcome(&head, Err(error)).unwrap_err()), wish)
    }

    #[test]
    fn a_discovered_server_is_spoken_to_in_the_newest_common_revision() {
        let versions =
            |list: Value| discovered(json!({ "supportedVersions": list, "capabilities": {} }), WISH);
        assert_eq!(versions(json!(["2025-11-25", "2026-07-28"])), Next::Modern(Revision::V2026_07_28));
        assert_eq!(versions(json!(["2025-06-18"])), Next::Initialize(Revision::V2025_06_18));
        assert!(matches!(versions(json!(["2030-01-01"])), Next::Fail(ClientError::NoCommonRevision { .. })));
        assert_eq!(discovered(json!({}), WISH), Next::Initialize(Revision::NEWEST_LEGACY));
    }

    #[test]
    fn the_list_of_supported_revisions_decides() {
        let list = |list: Value, wish| refused(400, -32022, json!({ "supported": list }), wish);
        let again = Next::Discover(Revision::V2026_07_28);
        assert_eq!(list(json!(["2026-07-28"]), WISH), again);
        let retried = Wish { retried: true, ..WISH };
        assert!(matches!(list(json!(["2026-07-28"]), retried), Next::Fail(_)), "asked once more at most");
        let session = Next::Initialize(Revision::V2025_11_25);
        assert_eq!(list(json!(["2025-06-18", "2025-11-25"]), WISH), session);
        assert!(matches!(list(json!([]), WISH), Next::Fail(ClientError::NoCommonRevision { .. })));
    }

    #[test]
    fn other_errors_of_the_new_era_are_no_reason_to_fall_back() {
        for code in [-32020, -32021, -32022] {
            assert!(
                matches!(refused(400, code, json!({}), WISH), Next::Fail(ClientError::Protocol(_))),
                "{code}"
            );
        }
    }

    #[test]
    fn what_an_older_server_says_leads_to_a_session() {
        let session = Next::Initialize(Revision::NEWEST_LEGACY);
        for (status, code) in
            [(200, -32601), (404, -32601), (400, -32600), (400, -32000), (200, -32602), (404, -33404)]
        {
            assert_eq!(refused(status, code, Value::Null, WISH), session, "{status} {code}");
        }
        for status in [400, 404, 405, 406, 415, 500, 501] {
            let failure = of_status(&Head { status, ..Head::default() }, b"what?");
            assert_eq!(after_discover(Err(&failure), WISH), session, "{status}");
        }
    }

    #[test]
    fn who_is_not_let_in_or_asked_to_wait_does_not_fall_back() {
        for status in [401, 403, 429, 503] {
            let failure = of_status(&Head { status, ..Head::default() }, b"");
            assert!(matches!(after_discover(Err(&failure), WISH), Next::Fail(_)), "{status}");
        }
        let silent = Failure::last(ClientError::Timeout { method: "m".into(), after: Default::default() });
        assert!(matches!(after_discover(Err(&silent), WISH), Next::Fail(_)));
        let bare = Wish { silence_is_old: true, ..WISH };
        assert!(matches!(after_discover(Err(&silent), bare), Next::Initialize(_)));
        let closed = Failure::of_transport("t", TransportError::Closed { before_answer: true });
        assert!(matches!(after_discover(Err(&closed), bare), Next::Initialize(_)));
        assert!(matches!(after_discover(Err(&closed), WISH), Next::Fail(_)));
    }

    #[test]
    fn a_forced_revision_is_the_only_one() {
        let modern = Wish { forced: Some(Revision::V2026_07_28), ..WISH };
        assert!(matches!(refused(200, -32601, Value::Null, modern), Next::Fail(ClientError::Protocol(_))));
        let versions = json!({ "supportedVersions": ["2025-11-25"] });
        assert!(matches!(discovered(versions, modern), Next::Fail(ClientError::NoCommonRevision { .. })));
    }
}
