//! The results of everything but tools: contents of resources, messages of prompts, suggestions.

use crate::mcp::call::context::{CallState, Target};
use crate::mcp::call::outcome::{close_result, open_result};
use crate::mcp::message::json;
use crate::mcp::offer::cache::Cache;
use crate::mcp::offer::contents::Contents;
use crate::mcp::offer::handler::Produced;
use crate::mcp::offer::prompt_reply::PromptReply;

/// Appends the response that carries what a handler made.
pub(crate) fn write(out: &mut Vec<u8>, state: &CallState, produced: &Produced) {
    open_result(out, state);
    let meta = match produced {
        Produced::Contents(contents) => {
            write_contents(out, state, contents);
            None
        }
        Produced::Prompt(reply) => {
            write_prompt(out, state, reply);
            reply.meta.as_ref()
        }
        Produced::Completion(completion) => {
            out.extend_from_slice(br#""completion":"#);
            completion.write(out);
            None
        }
        Produced::Tool(_) => unreachable!("invariant: the results of tools are written apart"),
    };
    close_result(out, state, meta);
}

fn write_contents(out: &mut Vec<u8>, state: &CallState, contents: &[Contents]) {
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
        out.extend_from_slice(cache.members().as_bytes());
    }
}

fn write_prompt(out: &mut Vec<u8>, state: &CallState, reply: &PromptReply) {
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
}
