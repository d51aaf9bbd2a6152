//! The tools of a server, in the order in which they are listed.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use globset::{Glob, GlobSet, GlobSetBuilder};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::limits::Limit;
use crate::mcp::call::context::Context;
use crate::mcp::message::json;
use crate::mcp::offer::call_error::CallError;
use crate::mcp::offer::handler::Handler;
use crate::mcp::offer::reply::IntoReply;
use crate::mcp::offer::tool::{Tool, ToolGroup};
use crate::mcp::schema::coverage;
use crate::mcp::schema::document::Schema;
use crate::mcp::schema::input::{InputCheck, OutputCheck};
use crate::mcp::schema::param_headers::{self, HeaderParam};
use crate::mcp::serve::options::McpOptions;

/// Why a dispatcher cannot be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryError(String);

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RegistryError {}

/// The tools of a server. They are listed in the order of their registration.
///
/// ```
/// use ringmesh::mcp::{Context, Dispatcher, Json, LogLevel, McpOptions, Registry};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Add {
///     a: i64,
///     /// At most a hundred.
///     #[schemars(range(max = 100))]
///     b: i64,
/// }
///
/// let registry = Registry::new().tool("add", "Adds two numbers", |args: Add, context: Context| async move {
///     context.log(LogLevel::Info, None, "adding").await;
///     Ok(Json(args.a.saturating_add(args.b)))
/// });
/// let dispatcher = Dispatcher::new(registry, McpOptions::default())?;
/// assert_eq!(dispatcher.tools().collect::<Vec<_>>(), ["add"]);
/// # Ok::<(), ringmesh::mcp::RegistryError>(())
/// ```
#[derive(Debug, Default)]
pub struct Registry {
    tools: Vec<Tool>,
}

impl Registry {
    /// A registry without tools.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// Registers a typed async function: its arguments' type gives the input schema, its result's type the rest.
    #[must_use]
    pub fn tool<A, F, Fut, R>(
        self,
        name: impl Into<String>,
        description: impl Into<String>,
        handler: F,
    ) -> Registry
    where
        A: DeserializeOwned + JsonSchema + 'static,
        F: Fn(A, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, CallError>> + 'static,
        R: IntoReply + 'static,
    {
        self.with(Tool::new(name, description, handler))
    }

    /// Registers a tool that was described in full.
    #[must_use]
    pub fn with(mut self, tool: Tool) -> Registry {
        self.tools.push(tool);
        self
    }

    /// Declares everything that may come to be on offer.
    #[must_use]
    pub fn dynamic(self) -> Registry {
        self
    }

    /// How many tools there are.
    pub fn len(&self) -> usize {
        self.tools.len()
    }

    /// True without tools.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// Checks every tool and keeps those that the options allow.
    pub(crate) fn build(self, options: &McpOptions) -> Result<Vec<Arc<Registered>>, RegistryError> {
        let filter = Filter::new(options)?;
        let mut names = HashSet::new();
        let mut registered = Vec::with_capacity(self.tools.len());
        for tool in self.tools {
            let name = tool.name.clone();
            check_name(&name)?;
            if !names.insert(name.clone()) {
                return Err(RegistryError(format!("the tool {name} is registered twice")));
            }
            // A tool that is switched off is checked all the same, so that switching it on holds no surprise.
            let allowed = filter.allows(&name, tool.group);
            let ready = Registered::new(tool, options)
                .map_err(|problem| RegistryError(format!("the tool {name} {problem}")))?;
            if allowed {
                let label = u32::try_from(registered.len()).ok();
                registered.push(Arc::new(Registered { label, ..ready }));
            }
        }
        Ok(registered)
    }
}

fn check_name(name: &str) -> Result<(), RegistryError> {
    let fits = (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if fits {
        return Ok(());
    }
    Err(RegistryError(format!("a tool cannot be named {name:?}: use 1 to 128 of A-Z, a-z, 0-9, _, . and -")))
}

/// Which tools the options allow.
struct Filter<'a> {
    options: &'a McpOptions,
    allow: GlobSet,
    deny: GlobSet,
}

impl<'a> Filter<'a> {
    fn new(options: &'a McpOptions) -> Result<Filter<'a>, RegistryError> {
        let set = |globs: &[String]| {
            let mut builder = GlobSetBuilder::new();
            for glob in globs {
                let glob = Glob::new(glob).map_err(|error| {
                    RegistryError(format!("{glob:?} is no pattern for tool names: {error}"))
                })?;
                builder.add(glob);
            }
            builder.build().map_err(|error| RegistryError(format!("the patterns for tool names: {error}")))
        };
        Ok(Filter { options, allow: set(&options.allow_tools)?, deny: set(&options.deny_tools)? })
    }

    fn allows(&self, name: &str, group: Option<ToolGroup>) -> bool {
        let group_on = match group {
            None => true,
            Some(ToolGroup::P2p) => self.options.p2p_tools,
            Some(ToolGroup::Taskqueue) => self.options.taskqueue_tools,
            Some(ToolGroup::Workflow) => self.options.workflow_tools,
        };
        group_on && (self.allow.is_empty() || self.allow.is_match(name)) && !self.deny.is_match(name)
    }
}

/// A tool that is ready to be called.
pub(crate) struct Registered {
    pub(crate) name: String,
    /// Its place among the tools that label metrics; those that came after the start have none.
    pub(crate) label: Option<u32>,
    pub(crate) timeout: Duration,
    pub(crate) handler: Box<dyn Handler>,
    pub(crate) input: InputCheck,
    pub(crate) output_check: Option<OutputCheck>,
    pub(crate) header_params: Vec<HeaderParam>,
    /// The entry in a list of 2026-07-28, as JSON.
    pub(crate) modern_entry: String,
    /// The entry in a list of an older revision.
    pub(crate) legacy_entry: String,
}

impl Registered {
    /// The error is a sentence without its subject, the tool.
    fn new(tool: Tool, options: &McpOptions) -> Result<Registered, String> {
        if tool.blocking && options.offload.is_none() {
            return Err("is registered as blocking, and there is no pool to run it on".to_owned());
        }
        let input =
            Schema::read(&tool.input).map_err(|problem| format!("has an input schema that {problem}"))?;
        if !input.is_object() {
            return Err("has an input schema whose type is not \"object\"".to_owned());
        }
        let header_params = param_headers::find(&input.value)?;
        let output = tool.output.as_ref().map(Schema::read).transpose();
        let output = output.map_err(|problem| format!("has an output schema that {problem}"))?;
        let output_check = match &output {
            Some(schema) if tool.check_output => Some(
                OutputCheck::new(schema).map_err(|problem| format!("has an output schema that {problem}"))?,
            ),
            _ => None,
        };
        let covered = tool.handler.accepts(&json!({})).is_some()
            && coverage::covers(&input.value, |value| tool.handler.accepts(value) == Some(true));
        let check = InputCheck::new(&input, covered)
            .map_err(|problem| format!("has an input schema that {problem}"))?;
        let legacy_output = output.as_ref().filter(|schema| schema.is_object());
        Ok(Registered {
            modern_entry: entry(&tool, &input, output.as_ref()),
            legacy_entry: entry(&tool, &input, legacy_output),
            timeout: tool.timeout.unwrap_or_else(|| options.limits.duration(Limit::ToolTime)),
            label: None,
            name: tool.name,
            handler: tool.handler,
            input: check,
            output_check,
            header_params,
        })
    }
}

/// The tool as JSON for a list.
fn entry(tool: &Tool, input: &Schema, output: Option<&Schema>) -> String {
    let mut out = Vec::new();
    let mut member = |key: &str, write: &dyn Fn(&mut Vec<u8>)| {
        out.push(if out.is_empty() { b'{' } else { b',' });
        json::string(&mut out, key);
        out.push(b':');
        write(&mut out);
    };
    member("name", &|out| json::string(out, &tool.name));
    if let Some(title) = &tool.title {
        member("title", &|out| json::string(out, title));
    }
    member("description", &|out| json::string(out, &tool.description));
    member("inputSchema", &|out| json::raw(out, &input.text));
    if let Some(output) = output {
        member("outputSchema", &|out| json::raw(out, &output.text));
    }
    if let Some(annotations) = &tool.annotations {
        let text = json::line(annotations).expect("invariant: strings and flags are always JSON");
        member("annotations", &|out| json::raw(out, &text));
    }
    if let Some(meta) = &tool.meta {
        let text = json::line(meta).expect("invariant: a map of values is always JSON");
        member("_meta", &|out| json::raw(out, &text));
    }
    out.push(b'}');
    String::from_utf8(out).expect("invariant: JSON text is UTF-8")
}
