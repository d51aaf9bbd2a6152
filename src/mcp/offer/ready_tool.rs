//! A tool that was checked and is ready to be called and listed.

use std::time::Duration;

use serde_json::json;

use crate::limits::Limit;
use crate::mcp::message::era::Revision;
use crate::mcp::message::json::{self, Object};
use crate::mcp::offer::handler::Handler;
use crate::mcp::offer::metadata::Metadata;
use crate::mcp::offer::shelf::Listed;
use crate::mcp::offer::tool::{Tool, ToolAnnotations, ToolGroup};
use crate::mcp::schema::coverage;
use crate::mcp::schema::document::Schema;
use crate::mcp::schema::input::{InputCheck, OutputCheck};
use crate::mcp::schema::param_headers::{self, HeaderParam};
use crate::mcp::serve::options::McpOptions;

/// A tool that is ready to be called.
pub(crate) struct ReadyTool {
    pub(crate) name: String,
    /// Its place among the tools that label metrics; those that came after the start have none.
    pub(crate) label: Option<u32>,
    pub(crate) group: Option<ToolGroup>,
    pub(crate) timeout: Duration,
    /// Whether a request state of it may be used once.
    pub(crate) single_use: bool,
    pub(crate) handler: Box<dyn Handler>,
    pub(crate) input: InputCheck,
    pub(crate) output_check: Option<OutputCheck>,
    pub(crate) header_params: Vec<HeaderParam>,
    /// Whether its author says that it changes nothing.
    pub(crate) read_only: bool,
    listing: Listing,
}

/// What lists say about a tool besides its name.
struct Listing {
    description: String,
    metadata: Metadata,
    annotations: Option<ToolAnnotations>,
    input: String,
    output: Option<OutputListing>,
}

struct OutputListing {
    schema: String,
    /// Before 2026-07-28 the root type must be `object`.
    is_object: bool,
}

impl ReadyTool {
    /// What it does, as it is listed.
    pub(crate) fn description(&self) -> &str {
        &self.listing.description
    }

    /// The error is a sentence without its subject, the tool.
    pub(crate) fn new(tool: Tool, options: &McpOptions) -> Result<ReadyTool, String> {
        check_name(&tool.name)?;
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
        tool.metadata.check()?;
        let output =
            output.map(|schema| OutputListing { is_object: schema.is_object(), schema: schema.text });
        Ok(ReadyTool {
            timeout: tool.timeout.unwrap_or_else(|| options.limits.duration(Limit::ToolTime)),
            label: None,
            single_use: tool.single_use,
            read_only: tool.annotations.as_ref().is_some_and(|hints| hints.read_only_hint == Some(true)),
            group: tool.group,
            name: tool.name,
            handler: tool.handler,
            input: check,
            output_check,
            header_params,
            listing: Listing {
                description: tool.description,
                metadata: tool.metadata,
                annotations: tool.annotations,
                input: input.text,
                output,
            },
        })
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let fits = (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    match fits {
        true => Ok(()),
        false => Err("cannot have that name: use 1 to 128 of A-Z, a-z, 0-9, _, . and -".to_owned()),
    }
}

impl Listed for ReadyTool {
    const MEMBER: &'static str = "tools";

    fn key(&self) -> &str {
        &self.name
    }

    fn entry(&self, revision: Revision) -> String {
        let listing = &self.listing;
        json::object(|object: &mut Object<'_>| {
            object.string("name", &self.name);
            listing.metadata.write_title(object, revision);
            object.string("description", &listing.description);
            object.raw("inputSchema", &listing.input);
            let known = |output: &&OutputListing| {
                revision.is_modern() || (output.is_object && revision >= Revision::V2025_06_18)
            };
            if let Some(output) = listing.output.as_ref().filter(known) {
                object.raw("outputSchema", &output.schema);
            }
            if let Some(annotations) =
                listing.annotations.as_ref().filter(|_| revision >= Revision::V2025_03_26)
            {
                object.value("annotations", annotations);
            }
            listing.metadata.write_rest(object, revision);
        })
    }
}
