//! `p2p_scheduler_status`, `p2p_get_merkle_clock`, `p2p_update_peer_state`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Failure;
use super::ask::{Ask, Here};
use super::shapes::{ClockShape, PeerStateShape, StatusShape};
use crate::limits::Limit;
use crate::scheduler::{KnownPeer, MAX_NODE_ID_BYTES, MerkleClock, PeerClock, PeerStateAnswer, StatusAnswer};
use crate::tools::task_queue::{AnyJson, Effect, Refused};

/// Peers that the status names.
const MAX_PEERS: usize = 256;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Status {}

/// The status, with the peers by name.
#[derive(Serialize)]
pub(super) struct NamedStatus {
    #[serde(flatten)]
    status: StatusAnswer,
    peers: Vec<KnownPeer>,
}

impl Ask for Status {
    type Answer = NamedStatus;
    type Shape = StatusShape;
    const NAME: &'static str = "p2p_scheduler_status";
    const TITLE: &'static str = "Status of the workflow scheduler";
    const DESCRIPTION: &'static str = "Counts the workflow tasks of this node, and shows its clock and peers";
    const EFFECT: Effect = Effect::Reads;

    async fn answer(self, here: &Here) -> Result<NamedStatus, Failure> {
        let status = here.workflows.status();
        let mut peers = here.workflows.known_peers();
        peers.truncate(MAX_PEERS);
        Ok(NamedStatus { status, peers })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Clock {}

/// The clock.
#[derive(Serialize)]
pub(super) struct ClockAnswer {
    success: bool,
    #[serde(flatten)]
    clock: MerkleClock,
}

impl Ask for Clock {
    type Answer = ClockAnswer;
    type Shape = ClockShape;
    const NAME: &'static str = "p2p_get_merkle_clock";
    const TITLE: &'static str = "Clock of the workflow scheduler";
    const DESCRIPTION: &'static str =
        "Shows how many events this node knows of each node, and the root of that";
    const EFFECT: Effect = Effect::Reads;

    async fn answer(self, here: &Here) -> Result<ClockAnswer, Failure> {
        Ok(ClockAnswer { success: true, clock: here.workflows.clock() })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct UpdatePeerState {
    /// The peer.
    peer_id: String,
    /// Its clock: node_id, vector (a count for each node) and merkle_root.
    clock_data: AnyJson,
}

impl Ask for UpdatePeerState {
    type Answer = PeerStateAnswer;
    type Shape = PeerStateShape;
    const NAME: &'static str = "p2p_update_peer_state";
    const TITLE: &'static str = "Note the clock of a peer";
    const DESCRIPTION: &'static str =
        "Merges a peer's clock into this node's; tasks go only to peers that are heard of over libp2p";
    const EFFECT: Effect = Effect::Notes;

    async fn answer(self, here: &Here) -> Result<PeerStateAnswer, Failure> {
        let bytes = self.peer_id.len();
        if bytes == 0 || bytes > MAX_NODE_ID_BYTES {
            let message = format!("peer_id has {bytes} bytes; it has 1 to {MAX_NODE_ID_BYTES}");
            return Err(Refused::new("invalid_value", message).into());
        }
        let max = here.workflows.max_clock_entries();
        let clock = PeerClock::read(self.clock_data.text(), max).map_err(|error| {
            if error.is_over_limit {
                here.node.hit(Limit::P2pClockEntries);
            }
            let message =
                format!("clock_data is not a clock with node_id, vector and merkle_root: {}", error.message);
            Refused::new("invalid_value", message)
        })?;
        // A client's word makes nobody a member, and keeps nobody one.
        if here.workflows.hear(&self.peer_id, None, Some(&clock)) > 0 {
            here.node.hit(Limit::P2pClockEntries);
        }
        Ok(PeerStateAnswer { success: true, peer_id: self.peer_id.into() })
    }
}
