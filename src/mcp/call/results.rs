//! The results of everything but tools: contents of resources, messages of prompts, suggestions.

use crate::mcp::call::context::{CallState, Target};
use crate::mcp::call::outcome::{close_result, open_result};
use crate::mcp::message::json;
use crate::mcp::offer::cache::Cache;
use crate::mcp::offer::completion::Completion;
use crate::mcp::offer::contents::Contents;
use crate::mcp::offer::prompt_reply::PromptReply;

/// Appends the response to a completion.
pub(crate) fn write_completion(out: &mut Vec<u8>, state: &CallState, completion: &Completion) {
    open_result(out, state);
    out.extend_from_slice(br#""completion":"#);
    completion.write(out);
    close_result(out, state, None);
}

/// Appends the response to a read, with how long it may be kept where clients know of that.
pub(crate) fn write_contents(out: &mut Vec<u8>, state: &CallState, contents: &[Contents]) {
    open_result(out, state);
    let catalog = state.snapshot.catalog();
    let (readable, cache) = match state.target {
        Target::Resource(index) => {
            let resource = catalog.resource(index);
            (Some(&resource.readable), resource.cache)
        }
        Target::Template(index) => {
            let template = &catalog.template(index).described;
            (Some(&template.readable), template.cache)
        }
        _ => (None, Cache::default()),
    };
    let mime_type = readable.and_then(|readable| readable.mime_type.as_deref());
    out.extend_from_slice(br#""contents":["#);
    for (index, one) in contents.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        one.write(out, state.revision, state.name(), mime_type);
    }
    out.push(b']');
    if state.revision.is_modern() {
        // What depends on answers of the client must not be kept (MCP, caching, "Cache Key").
        let cache = if state.asking.is_retry() { Cache::default() } else { cache };
        out.extend_from_slice(cache.members().as_bytes());
    }
    close_result(out, state, None);
}

/// Appends the response to a prompt.
pub(crate) fn write_prompt(out: &mut Vec<u8>, state: &CallState, reply: &PromptReply) {
    open_result(out, state);
    let own = match state.target {
        Target::Prompt(index) => state.snapshot.catalog().prompt(index).description.as_str(),
        _ => "",
    };
    let description = reply.description.as_deref().unwrap_or(own);
    if !description.is_empty() {
        out.extend_from_slice(br#""description":"#);
        json::string(out, description);
        out.push(b',');
    }
    out.extend_from_slice(br#""messages":"#);
    reply.write_messages(out, state.revision);
    close_result(out, state, reply.meta.as_ref());
}
