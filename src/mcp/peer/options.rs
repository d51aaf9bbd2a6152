//! What the messages of a stream are served with.

use crate::limits::Limits;
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::head::{Access, At};
use crate::mcp::message::json;
use crate::mcp::serve::dispatcher::Dispatcher;

/// How long an answer to an old peer may be: with its length it stays within the 1 MiB that these read at most.
const OLD_ANSWER_BYTES: usize = (1 << 20) - 4;
/// Old peers are told how many frames a stream may carry. There is no such limit here; every reader can hold this number.
const ANY_FRAMES: u32 = i32::MAX as u32;
/// What of the peers' profiles is served: this transport.
const PROFILES: &str = r#"["mcp++/p2p-transport","mcp++/profile-e-mcp-p2p"]"#;
const ACTIVE_PROFILE: &str = "mcp++/p2p-transport";

/// The same for every stream of the process.
pub(crate) struct PeerOptions {
    /// Whether the tool `task_queue.rpc` is served.
    pub(crate) task_queue: bool,
    /// The longest answer, in bytes.
    pub(crate) max_answer_bytes: usize,
    /// The longest answer to an old peer, in bytes.
    pub(crate) max_old_answer_bytes: usize,
    /// What the result of `initialize` has for old peers beside MCP's members, with a comma before it.
    pub(crate) old_members: Box<[u8]>,
}

impl PeerOptions {
    /// `peer_id` is this node's, in base58.
    pub(crate) fn new(peer_id: &str, limits: &Limits, task_queue: bool) -> PeerOptions {
        let max_answer_bytes = usize::try_from(limits.max_p2p_frame_bytes).unwrap_or(usize::MAX);
        PeerOptions {
            task_queue,
            max_answer_bytes,
            max_old_answer_bytes: max_answer_bytes.min(OLD_ANSWER_BYTES),
            old_members: old_members(peer_id, limits).into(),
        }
    }
}

fn old_members(peer_id: &str, limits: &Limits) -> Vec<u8> {
    let mut out = br#","transport":"/mcp+p2p/1.0.0","server":{"peer_id":"#.to_vec();
    json::string(&mut out, peer_id);
    let rest = format!(
        r#"}},"profile_negotiation":{{"supports_profile_negotiation":true,"mode":"optional_additive","profiles":{PROFILES}}},"active_profile":"{ACTIVE_PROFILE}","limits":{{"max_frame_bytes":{},"max_frames":{ANY_FRAMES},"rate_capacity":{},"rate_refill_per_sec":{}.0}}"#,
        limits.max_p2p_frame_bytes, limits.max_p2p_request_burst, limits.max_p2p_requests_per_s,
    );
    out.extend_from_slice(rest.as_bytes());
    out
}

/// Decides about the messages of one peer.
pub(crate) trait Gate {
    /// Counts one message.
    ///
    /// # Errors
    /// Why it is not served now.
    fn admit(&self) -> Result<(), ErrorKind>;

    /// What the peer may do when it shows this token.
    fn access(&self, token: &str) -> Access;
}

/// What one message is served with.
#[derive(Clone, Copy)]
pub(crate) struct With<'a> {
    pub(crate) dispatcher: &'a Dispatcher,
    pub(crate) options: &'a PeerOptions,
    /// Its access is what the peer may do without a token.
    pub(crate) at: At<'a>,
    pub(crate) gate: &'a dyn Gate,
}
