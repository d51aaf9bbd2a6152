//! The methods of MCP, as a closed set that can label a metric.

macro_rules! methods {
    ($($variant:ident $name:literal;)*) => {
        /// What a message asks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum MethodKind {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
            /// A notification that has no meaning of its own here.
            OtherNotification,
            /// A JSON-RPC response of a client.
            Response,
            /// A JSON-RPC batch as a whole; its requests count by themselves.
            Batch,
            /// HTTP GET.
            Get,
            /// HTTP DELETE.
            Delete,
            /// Any other method, or a message whose method could not be read.
            Unknown,
        }

        impl MethodKind {
            /// Every kind, in the order of the indexes.
            pub const ALL: &'static [MethodKind] = &[
                $(MethodKind::$variant,)*
                MethodKind::OtherNotification,
                MethodKind::Response,
                MethodKind::Batch,
                MethodKind::Get,
                MethodKind::Delete,
                MethodKind::Unknown,
            ];

            /// The kind of a method's name.
            pub fn parse(name: &str) -> MethodKind {
                match name {
                    $($name => MethodKind::$variant,)*
                    _ if name.starts_with("notifications/") => MethodKind::OtherNotification,
                    _ => MethodKind::Unknown,
                }
            }

            /// The metric label: the method's name, or a word for what has none.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(MethodKind::$variant => $name,)*
                    MethodKind::OtherNotification => "notification",
                    MethodKind::Response => "response",
                    MethodKind::Batch => "batch",
                    MethodKind::Get => "http_get",
                    MethodKind::Delete => "http_delete",
                    MethodKind::Unknown => "unknown",
                }
            }
        }
    };
}

methods! {
    ToolsCall "tools/call";
    ToolsList "tools/list";
    ServerDiscover "server/discover";
    SubscriptionsListen "subscriptions/listen";
    Initialize "initialize";
    Ping "ping";
    LoggingSetLevel "logging/setLevel";
    CompletionComplete "completion/complete";
    PromptsGet "prompts/get";
    PromptsList "prompts/list";
    ResourcesList "resources/list";
    ResourcesRead "resources/read";
    ResourcesSubscribe "resources/subscribe";
    ResourcesTemplatesList "resources/templates/list";
    ResourcesUnsubscribe "resources/unsubscribe";
    TasksCancel "tasks/cancel";
    TasksGet "tasks/get";
    TasksList "tasks/list";
    TasksResult "tasks/result";
    TasksUpdate "tasks/update";
    NotificationsCancelled "notifications/cancelled";
    NotificationsInitialized "notifications/initialized";
    NotificationsProgress "notifications/progress";
    NotificationsRootsListChanged "notifications/roots/list_changed";
}

impl MethodKind {
    /// How many kinds there are.
    pub const COUNT: usize = Self::ALL.len();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_kinds() {
        for (index, kind) in MethodKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, index);
            if kind.as_str().contains('/') || matches!(kind, MethodKind::Ping | MethodKind::Initialize) {
                assert_eq!(MethodKind::parse(kind.as_str()), *kind);
            }
        }
        assert_eq!(MethodKind::parse("notifications/other"), MethodKind::OtherNotification);
        assert_eq!(MethodKind::parse("Tools/call"), MethodKind::Unknown);
    }
}
