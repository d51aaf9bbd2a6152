//! `p2p_taskqueue_call_tool`: a tool of another node.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::Refused;
use super::ask::{Ask, Effect, Request, seconds};
use super::node::Target;
use super::shapes::ToolAnswer;
use super::values::AnyJson;
use crate::mcp::json;
use crate::p2p::outbound::time_for_next_hop;

/// How long a tool may take where the caller does not say.
const TOOL_TIME: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct CallTool {
    /// The tool to call.
    tool_name: String,
    /// Its arguments: an object.
    args: Option<AnyJson>,
    /// Multiaddr of the peer whose tool it is, ending in /p2p/ID. Without it and remote_peer_id: this node.
    remote_multiaddr: Option<String>,
    /// Id of the peer whose tool it is.
    remote_peer_id: Option<String>,
    /// Seconds that the tool may take, the way there and back included; default 30.
    timeout_s: Option<f64>,
}

impl Ask for CallTool {
    type Answer = ToolAnswer;
    const NAME: &'static str = "p2p_taskqueue_call_tool";
    const TITLE: &'static str = "Call a tool of a peer";
    const DESCRIPTION: &'static str = "Calls a tool of a peer, which must let others call its tools";
    const EFFECT: Effect = Effect::Anything;
    const MAY_WAIT: bool = true;

    fn target(&self) -> Target {
        Target::new(self.remote_multiaddr.as_deref(), self.remote_peer_id.as_deref())
    }

    fn request(&self) -> Result<Request, Refused> {
        let patience = seconds("timeout_s", self.timeout_s, TOOL_TIME)?;
        let time = if self.target().is_here() { Some(patience) } else { time_for_next_hop(patience) };
        let Some(time) = time else {
            let message = format!("timeout_s leaves a peer no time: {} s", patience.as_secs_f64());
            return Err(Refused::new("deadline_exceeded", message));
        };
        let json = json::object(|object| {
            object.raw("op", "\"call_tool\"");
            object.string("tool_name", &self.tool_name);
            object.raw("args", self.args.as_ref().map_or("{}", AnyJson::text));
            object.value("timeout_s", &time.as_secs_f64());
        });
        Ok(Request { json, patience })
    }
}
