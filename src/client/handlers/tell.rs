//! Notifications of the server.

use serde::Deserialize;
use serde_json::Value;

use crate::mcp::LogLevel;

/// A line of the server's log (`notifications/message`).
#[derive(Debug, Clone, PartialEq)]
pub struct LogMessage {
    /// How serious it is; `None` for a level that the protocol does not have.
    pub level: Option<LogLevel>,
    /// The part of the server that speaks.
    pub logger: Option<String>,
    /// What it says.
    pub data: Value,
}

/// How far a request has come (`notifications/progress`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Which request it is about.
    #[serde(rename = "progressToken")]
    pub token: Value,
    /// How far it has come.
    pub progress: f64,
    /// Where it ends, if the server knows.
    pub total: Option<f64>,
    /// What it is at.
    pub message: Option<String>,
}

/// Something that the server says has changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The list of resources.
    Resources,
    /// A resource that the client subscribed to.
    Resource {
        /// The resource's URI.
        uri: String,
    },
    /// An elicitation by URL was finished there (2025-11-25).
    Elicitation {
        /// How the server named it.
        id: String,
    },
    /// The stream of changes had broken and stands again: what changed in between is not known.
    Reconnected,
}

/// A notification, by what it says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Told {
    Log(LogMessage),
    Progress(Progress),
    Change(Change),
    /// The server no longer waits for the answer to its question.
    Withdrawn(Value),
    /// Something that this client does not know, or that is malformed.
    Other,
}

/// Reads a notification.
pub(crate) fn read(method: &str, params: &Value) -> Told {
    let text = |name: &str| params.get(name).and_then(Value::as_str).map(str::to_owned);
    let change = |change: Option<Change>| change.map_or(Told::Other, Told::Change);
    match method {
        "notifications/message" => Told::Log(LogMessage {
            level: text("level").and_then(|level| LogLevel::parse(&level)),
            logger: text("logger"),
            data: params.get("data").cloned().unwrap_or_default(),
        }),
        "notifications/progress" => Progress::deserialize(params).map_or(Told::Other, Told::Progress),
        "notifications/tools/list_changed" => change(Some(Change::Tools)),
        "notifications/prompts/list_changed" => change(Some(Change::Prompts)),
        "notifications/resources/list_changed" => change(Some(Change::Resources)),
        "notifications/resources/updated" => change(text("uri").map(|uri| Change::Resource { uri })),
        "notifications/elicitation/complete" => {
            change(text("elicitationId").map(|id| Change::Elicitation { id }))
        }
        "notifications/cancelled" => params.get("requestId").cloned().map_or(Told::Other, Told::Withdrawn),
        _ => Told::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn notifications_are_read_by_their_method() {
        let params = json!({ "level": "warning", "logger": "db", "data": { "a": 1 } });
        let log =
            LogMessage { level: Some(LogLevel::Warning), logger: Some("db".into()), data: json!({ "a": 1 }) };
        assert_eq!(read("notifications/message", &params), Told::Log(log));
        let progress =
            read("notifications/progress", &json!({ "progressToken": 7, "progress": 1, "total": 2.5 }));
        assert!(matches!(progress, Told::Progress(Progress { total: Some(2.5), .. })));
        let uri = Change::Resource { uri: "a:b".into() };
        assert_eq!(read("notifications/resources/updated", &json!({ "uri": "a:b" })), Told::Change(uri));
        assert_eq!(
            read("notifications/cancelled", &json!({ "requestId": "q" })),
            Told::Withdrawn(json!("q"))
        );
    }

    #[test]
    fn what_is_malformed_or_unknown_is_passed_over() {
        for (method, params) in [
            ("notifications/resources/updated", json!({})),
            ("notifications/progress", json!({ "progress": "far" })),
            ("notifications/dance", json!(null)),
        ] {
            assert_eq!(read(method, &params), Told::Other);
        }
    }
}
