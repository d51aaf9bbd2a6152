//! What one stream of MCP speaks, found out from what it opens with.

use serde_json::{Value, json};

const OLD: &str = "2024-11-05";
const MODERN: &str = "2026-07-28";

/// The dialect of one stream.
pub struct Dialect {
    only_old: bool,
    ready: bool,
}

impl Dialect {
    pub fn new(only_old: bool) -> Self {
        Self { only_old, ready: false }
    }

    /// The answer to a request, and whether the stream goes on. A notification has none.
    pub fn answer(&mut self, message: &Value) -> Option<(Value, bool)> {
        let (id, method) = (message.get("id")?, message.get("method")?.as_str()?);
        let params = &message["params"];
        let modern =
            !self.only_old && params["_meta"].get("io.modelcontextprotocol/protocolVersion").is_some();
        let mut answer = json!({ "jsonrpc": "2.0", "id": id });
        let result = match method {
            "initialize" => Some(self.initialize(params["protocolVersion"].as_str().unwrap_or(OLD))),
            _ if !modern && !self.ready => {
                answer["error"] = json!({ "code": -32000, "message": "init_required" });
                return Some((answer, false));
            }
            _ => serve(method, params, modern),
        };
        match result {
            Some(result) => answer["result"] = result,
            None => answer["error"] = json!({ "code": -32601, "message": "not known here" }),
        }
        Some((answer, true))
    }

    fn initialize(&mut self, asked: &str) -> Value {
        self.ready = true;
        let version = if self.only_old || asked == MODERN { OLD } else { asked };
        let info = json!({ "name": "rust-libp2p", "version": "1" });
        json!({ "ok": true, "protocolVersion": version, "capabilities": { "tools": {} }, "serverInfo": info })
    }
}

fn serve(method: &str, params: &Value, modern: bool) -> Option<Value> {
    let mut lasting = modern;
    let mut result = match method {
        "server/discover" if modern => {
            json!({ "supportedVersions": [MODERN], "capabilities": { "tools": {} } })
        }
        "ping" => json!({}),
        "tools/list" | "tools.list" => json!({ "tools": [{
            "name": "echo",
            "description": "Returns the message",
            "inputSchema": { "type": "object", "properties": { "message": { "type": "string" } } },
        }] }),
        "tools/call" | "tools.call" if params["name"] == "echo" => {
            lasting = false;
            json!({ "content": [{ "type": "text", "text": params["arguments"]["message"] }] })
        }
        _ => return None,
    };
    if modern {
        result["resultType"] = "complete".into();
    }
    if lasting {
        result["ttlMs"] = 0.into();
        result["cacheScope"] = "private".into();
    }
    Some(result)
}
