//! A tool as its author describes it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::mcp::call::context::Context;
use crate::mcp::offer::call_error::CallError;
use crate::mcp::offer::handler::{Blocking, Handler, Raw, Typed};
use crate::mcp::offer::metadata::{Metadata, metadata_setters, single_use_setter};
use crate::mcp::offer::reply::IntoReply;
use crate::mcp::schema::document::SchemaSource;

/// A family of tools that one flag switches on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ToolGroup {
    /// Switched by `p2p_tools`.
    P2p,
    /// Switched by `taskqueue_tools`.
    Taskqueue,
    /// Switched by `workflow_tools`.
    Workflow,
}

/// Hints about what a tool does, for clients; nothing is enforced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolAnnotations {
    /// A title for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The tool changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only_hint: Option<bool>,
    /// The tool may destroy something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destructive_hint: Option<bool>,
    /// Calling it twice with the same arguments changes nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotent_hint: Option<bool>,
    /// It reaches out of the server's own world.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_world_hint: Option<bool>,
}

/// A tool with everything that can be said about it. Plain ones need only [`Registry::tool`](crate::mcp::Registry::tool).
///
/// Mistakes in it (a bad name, a bad schema) are reported when it is put on offer.
pub struct Tool {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) metadata: Metadata,
    pub(crate) input: SchemaSource,
    pub(crate) output: Option<SchemaSource>,
    /// Whether structured content is checked: it is where the schema is not the type's own.
    pub(crate) check_output: bool,
    pub(crate) annotations: Option<ToolAnnotations>,
    pub(crate) group: Option<ToolGroup>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) blocking: bool,
    pub(crate) single_use: bool,
    pub(crate) handler: Box<dyn Handler>,
}

metadata_setters!(Tool);
single_use_setter!(Tool);

impl Tool {
    /// A tool whose arguments are a type: an async function of them and the call's [`Context`].
    pub fn new<A, F, Fut, R>(name: impl Into<String>, description: impl Into<String>, handler: F) -> Tool
    where
        A: DeserializeOwned + JsonSchema + 'static,
        F: Fn(A, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, CallError>> + 'static,
        R: IntoReply + 'static,
    {
        let handler = Box::new(Typed(handler, PhantomData));
        Tool::with_handler(name, description, input_schema::<A>(), R::output_schema(), handler)
    }

    /// A tool that blocks its thread: it runs on the bounded pool, and when that is full the call is answered as
    /// overloaded. Its context's async functions can be waited for with any `block_on`.
    pub fn blocking<A, F, R>(name: impl Into<String>, description: impl Into<String>, handler: F) -> Tool
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(A, Context) -> Result<R, CallError> + Send + Sync + 'static,
        R: IntoReply + 'static,
    {
        let handler = Box::new(Blocking(Arc::new(handler), PhantomData));
        let tool = Tool::with_handler(name, description, input_schema::<A>(), R::output_schema(), handler);
        Tool { blocking: true, ..tool }
    }

    /// A tool whose input schema is given as JSON, which is listed word for word; its arguments come as they are,
    /// after validation.
    pub fn raw<F, Fut, R>(
        name: impl Into<String>,
        description: impl Into<String>,
        input_schema: impl Into<SchemaSource>,
        handler: F,
    ) -> Tool
    where
        F: Fn(Value, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, CallError>> + 'static,
        R: IntoReply + 'static,
    {
        Tool::with_handler(name, description, input_schema.into(), R::output_schema(), Box::new(Raw(handler)))
    }

    fn with_handler(
        name: impl Into<String>,
        description: impl Into<String>,
        input: SchemaSource,
        output: Option<Value>,
        handler: Box<dyn Handler>,
    ) -> Tool {
        Tool {
            name: name.into(),
            description: description.into(),
            metadata: Metadata::default(),
            input,
            output: output.map(|schema| untitled(schema).into()),
            check_output: false,
            annotations: None,
            group: None,
            timeout: None,
            blocking: false,
            single_use: false,
            handler,
        }
    }

    /// Hints for clients of 2025-03-26 and later.
    #[must_use]
    pub fn annotations(mut self, annotations: ToolAnnotations) -> Tool {
        self.annotations = Some(annotations);
        self
    }

    /// The schema of the structured content, as JSON, listed word for word. Each result is checked against it; one
    /// that does not fit is an internal error.
    ///
    /// Before 2026-07-28 it is listed only if its root type is `object`, before 2025-06-18 not at all.
    #[must_use]
    pub fn output_schema(mut self, schema: impl Into<SchemaSource>) -> Tool {
        self.output = Some(schema.into());
        self.check_output = true;
        self
    }

    /// The time one call may take, instead of the limit `tool_timeout_ms`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Tool {
        self.timeout = Some(timeout);
        self
    }

    /// The family that the tool belongs to.
    #[must_use]
    pub fn group(mut self, group: ToolGroup) -> Tool {
        self.group = Some(group);
        self
    }
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool").field("name", &self.name).finish_non_exhaustive()
    }
}

fn input_schema<A: JsonSchema>() -> SchemaSource {
    let generator = SchemaSettings::draft2020_12().into_generator();
    untitled(generator.into_root_schema_for::<A>().to_value()).into()
}

/// Without the title, which is the name of a Rust type and helps nobody.
fn untitled(mut schema: Value) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.remove("title");
    }
    schema
}
