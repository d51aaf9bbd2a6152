//! `p2p_taskqueue_cache_get` and `p2p_taskqueue_cache_set`: values under keys.

use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::Refused;
use super::ask::{Ask, Effect, PATIENCE, Request, seconds};
use super::node::Target;
use super::shapes::CacheAnswer;
use super::submit::maybe;
use super::values::AnyJson;
use crate::mcp::json;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct CacheGet {
    /// The key.
    key: String,
    /// Seconds to wait for the peer; default 10.
    timeout_s: Option<f64>,
    /// Multiaddr of the peer to ask, ending in /p2p/ID. Without it and remote_peer_id: this node.
    remote_multiaddr: Option<String>,
    /// Id of the peer to ask.
    remote_peer_id: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct CacheSet {
    /// The key.
    key: String,
    /// Any JSON value.
    value: AnyJson,
    /// Seconds until it is forgotten; without it, or not above 0, it stays.
    ttl_s: Option<f64>,
    /// Seconds to wait for the peer; default 10.
    timeout_s: Option<f64>,
    /// Multiaddr of the peer to tell, ending in /p2p/ID. Without it and remote_peer_id: this node.
    remote_multiaddr: Option<String>,
    /// Id of the peer to tell.
    remote_peer_id: Option<String>,
}

impl Ask for CacheGet {
    type Answer = CacheAnswer;
    const NAME: &'static str = "p2p_taskqueue_cache_get";
    const TITLE: &'static str = "Read from the cache";
    const DESCRIPTION: &'static str = "Reads a value of the cache of this node or of a peer";
    const EFFECT: Effect = Effect::Reads;

    fn target(&self) -> Target {
        Target::new(self.remote_multiaddr.as_deref(), self.remote_peer_id.as_deref())
    }

    fn request(&self) -> Result<Request, Refused> {
        let patience = seconds("timeout_s", self.timeout_s, PATIENCE)?;
        let json = json::object(|object| {
            object.raw("op", "\"cache.get\"");
            object.string("key", &self.key);
            object.value("timeout_s", &patience.as_secs_f64());
        });
        Ok(Request { json, patience })
    }
}

impl Ask for CacheSet {
    type Answer = CacheAnswer;
    const NAME: &'static str = "p2p_taskqueue_cache_set";
    const TITLE: &'static str = "Write to the cache";
    const DESCRIPTION: &'static str = "Writes a value to the cache of this node or of a peer";
    const EFFECT: Effect = Effect::Replaces;

    fn target(&self) -> Target {
        Target::new(self.remote_multiaddr.as_deref(), self.remote_peer_id.as_deref())
    }

    fn request(&self) -> Result<Request, Refused> {
        let patience = seconds("timeout_s", self.timeout_s, PATIENCE)?;
        let json = json::object(|object| {
            object.raw("op", "\"cache.set\"");
            object.string("key", &self.key);
            object.raw("value", self.value.text());
            object.value("timeout_s", &patience.as_secs_f64());
            maybe(object, "ttl_s", self.ttl_s.as_ref());
        });
        Ok(Request { json, patience })
    }
}
