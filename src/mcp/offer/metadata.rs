//! What anything on offer may say about itself, and what each revision lets it say.

use serde_json::{Map, Value};

use crate::mcp::message::era::Revision;
use crate::mcp::message::json::Object;
use crate::mcp::offer::content::ContentAnnotations;
use crate::mcp::offer::icon::{Icon, check_mime_type};

/// The metadata that tools, resources, templates and prompts share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metadata {
    pub(crate) title: Option<String>,
    pub(crate) icons: Vec<Icon>,
    pub(crate) meta: Option<Map<String, Value>>,
}

impl Metadata {
    /// Checks the metadata; the error is a sentence without its subject.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.icons.iter().try_for_each(Icon::check)
    }

    /// The name for people, known since 2025-06-18.
    pub(crate) fn write_title(&self, object: &mut Object<'_>, revision: Revision) {
        object.maybe("title", self.title.as_deref().filter(|_| revision >= Revision::V2025_06_18));
    }

    /// The icons, known since 2025-11-25, and `_meta`, which entries have since 2025-06-18.
    pub(crate) fn write_rest(&self, object: &mut Object<'_>, revision: Revision) {
        if !self.icons.is_empty() && revision >= Revision::V2025_11_25 {
            object.value("icons", &self.icons);
        }
        if let Some(meta) = self.meta.as_ref().filter(|_| revision >= Revision::V2025_06_18) {
            object.value("_meta", meta);
        }
    }
}

/// What resources and templates say about what reading them yields.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readable {
    pub(crate) description: Option<String>,
    pub(crate) mime_type: Option<String>,
    pub(crate) annotations: Option<ContentAnnotations>,
    /// Of its changes only callers with full access hear.
    pub(crate) is_private: bool,
}

impl Readable {
    pub(crate) fn check(&self) -> Result<(), String> {
        self.mime_type.as_deref().map_or(Ok(()), check_mime_type)?;
        self.annotations.as_ref().map_or(Ok(()), ContentAnnotations::check)
    }

    pub(crate) fn write(&self, object: &mut Object<'_>, revision: Revision) {
        object.maybe("description", self.description.as_deref());
        object.maybe("mimeType", self.mime_type.as_deref());
        if let Some(annotations) = self.annotations.as_ref().and_then(|own| own.for_revision(revision)) {
            object.value("annotations", &annotations);
        }
    }
}

/// The setters that every type with a field `metadata` has.
macro_rules! metadata_setters {
    ($type:ident) => {
        impl $type {
            /// A name for people, told to clients of 2025-06-18 and later.
            #[must_use]
            pub fn title(mut self, title: impl Into<String>) -> $type {
                self.metadata.title = Some(title.into());
                self
            }

            /// Adds an icon, told to clients of 2025-11-25 and later.
            #[must_use]
            pub fn icon(mut self, icon: $crate::mcp::offer::icon::Icon) -> $type {
                self.metadata.icons.push(icon);
                self
            }

            /// Adds an entry to its `_meta` in lists, told to clients of 2025-06-18 and later.
            #[must_use]
            pub fn meta(mut self, key: impl Into<String>, value: impl Into<serde_json::Value>) -> $type {
                self.metadata.meta.get_or_insert_default().insert(key.into(), value.into());
                self
            }
        }
    };
}

/// The setters of types with the fields `readable`, `cache` and `timeout`.
macro_rules! readable_setters {
    ($type:ident) => {
        impl $type {
            /// What it is, for people and models.
            #[must_use]
            pub fn description(mut self, description: impl Into<String>) -> $type {
                self.readable.description = Some(description.into());
                self
            }

            /// The MIME type, such as `text/plain`, of what a read yields; contents may name another.
            #[must_use]
            pub fn mime_type(mut self, mime_type: impl Into<String>) -> $type {
                self.readable.mime_type = Some(mime_type.into());
                self
            }

            /// Says who it is for and how much it matters.
            #[must_use]
            pub fn annotations(
                mut self,
                annotations: $crate::mcp::offer::content::ContentAnnotations,
            ) -> $type {
                self.readable.annotations = Some(annotations);
                self
            }

            /// Whether only callers with full access hear of its changes. What a read tells is up to the handler.
            #[must_use]
            pub(crate) fn private(mut self, is_private: bool) -> $type {
                self.readable.is_private = is_private;
                self
            }

            /// How long clients of 2026-07-28 may keep what a read yields, and who may share it. Without this nobody
            /// keeps it.
            #[must_use]
            pub fn cache(mut self, ttl: std::time::Duration, scope: $crate::mcp::CacheScope) -> $type {
                self.cache = $crate::mcp::offer::cache::Cache { ttl, scope };
                self
            }

            /// The time one read may take, instead of the limit `tool_timeout_ms`.
            #[must_use]
            pub fn timeout(mut self, timeout: std::time::Duration) -> $type {
                self.timeout = Some(timeout);
                self
            }
        }
    };
}

/// The setter of types with a field `single_use`.
macro_rules! single_use_setter {
    ($type:ident) => {
        impl $type {
            /// Takes each `requestState` once (2026-07-28): a retry that sends the same one again is refused with
            /// -32602, and only answers count that the state asked for. For what must not be repeated by replaying the
            /// client's messages; what is remembered is bounded by `max_single_use_states` and forgotten at a restart.
            #[must_use]
            pub fn single_use(mut self) -> $type {
                self.single_use = true;
                self
            }
        }
    };
}

pub(crate) use {metadata_setters, readable_setters, single_use_setter};
