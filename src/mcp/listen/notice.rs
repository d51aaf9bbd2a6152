//! A notification about a change, as it goes out.

use std::sync::Arc;

use crate::mcp::message::json;

/// The `_meta` key under which a message of a subscription names the request that opened it.
pub(crate) const SUBSCRIPTION_KEY: &str = "io.modelcontextprotocol/subscriptionId";

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// `notifications/tools/list_changed`
    Tools,
    /// `notifications/prompts/list_changed`
    Prompts,
    /// `notifications/resources/list_changed`
    Resources,
    /// `notifications/resources/updated` for this URI
    Resource(Arc<str>),
}

impl Notice {
    fn method(&self) -> &'static str {
        match self {
            Notice::Tools => "notifications/tools/list_changed",
            Notice::Prompts => "notifications/prompts/list_changed",
            Notice::Resources => "notifications/resources/list_changed",
            Notice::Resource(_) => "notifications/resources/updated",
        }
    }

    /// Appends the notification; `subscription` is the id, as JSON text, of the request that asked for it.
    pub(crate) fn write(&self, out: &mut Vec<u8>, subscription: Option<&str>) {
        out.extend_from_slice(br#"{"jsonrpc":"2.0","method":""#);
        out.extend_from_slice(self.method().as_bytes());
        out.push(b'"');
        let uri = match self {
            Notice::Resource(uri) => Some(uri),
            _ => None,
        };
        if subscription.is_some() || uri.is_some() {
            out.extend_from_slice(br#","params":{"#);
            if let Some(id) = subscription {
                write_subscription(out, id);
            }
            if let Some(uri) = uri {
                out.extend_from_slice(if subscription.is_some() { br#","uri":"# } else { br#""uri":"# });
                json::string(out, uri);
            }
            out.push(b'}');
        }
        out.push(b'}');
    }
}

/// Appends the member `_meta` that names a subscription.
pub(crate) fn write_subscription(out: &mut Vec<u8>, id: &str) {
    out.extend_from_slice(br#""_meta":{""#);
    out.extend_from_slice(SUBSCRIPTION_KEY.as_bytes());
    out.extend_from_slice(br#"":"#);
    out.extend_from_slice(id.as_bytes());
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(notice: &Notice, subscription: Option<&str>) -> String {
        let mut out = Vec::new();
        notice.write(&mut out, subscription);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn notices_are_notifications() {
        assert_eq!(
            text(&Notice::Tools, None),
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#
        );
        assert_eq!(
            text(&Notice::Resource("a:\"1".into()), Some("\"x\"")),
            concat!(
                r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":"#,
                r#"{"_meta":{"io.modelcontextprotocol/subscriptionId":"x"},"uri":"a:\"1"}}"#
            )
        );
        assert!(text(&Notice::Resource("a:1".into()), None).ends_with(r#""params":{"uri":"a:1"}}"#));
        assert!(text(&Notice::Prompts, Some("7")).ends_with(r#"/subscriptionId":7}}}"#));
    }
}
