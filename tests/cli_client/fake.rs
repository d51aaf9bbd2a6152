//! A server of 2026-07-28 that answers each method as a test says.

use serde_json::{Value, json};

use super::server::{Peer, Server};

/// One request, as the fake server sees it.
pub struct Asked {
    pub method: String,
    pub params: Value,
    /// The head of the HTTP request.
    pub head: String,
}

/// The result of one method, or `None` for "method not found".
pub fn serve(answer: impl Fn(&Asked) -> Option<Value> + Send + Sync + 'static) -> Server {
    Server::start(move |mut peer| {
        while let Some(text) = peer.request() {
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let Ok(message) = serde_json::from_str::<Value>(body) else { return };
            if message.get("id").is_none() {
                peer.send("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
                continue;
            }
            let asked = Asked {
                method: message["method"].as_str().unwrap().to_owned(),
                params: message["params"].clone(),
                head: head.to_owned(),
            };
            respond(&mut peer, &message["id"], &asked, answer(&asked));
        }
    })
}

fn respond(peer: &mut Peer, id: &Value, asked: &Asked, result: Option<Value>) {
    let result = match (asked.method.as_str(), result) {
        ("server/discover", None) => Some(json!({
            "supportedVersions": ["2026-07-28"],
            "capabilities": { "tools": {}, "resources": {}, "prompts": { "listChanged": true } },
            "instructions": "Be kind.",
            "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "fake", "version": "9" } },
        })),
        (_, result) => result,
    };
    let mut message = json!({ "jsonrpc": "2.0", "id": id });
    match result {
        Some(mut result) => {
            if let Some(members) = result.as_object_mut() {
                members.entry("resultType").or_insert("complete".into());
            }
            message["result"] = result;
        }
        None => message["error"] = json!({ "code": -32601, "message": "no such method" }),
    }
    peer.answer(&message.to_string());
}
