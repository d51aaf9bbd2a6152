//! The methods that both eras have.

use crate::mcp::message::answer::{Answer, Label, Outcome, Refusal, excerpt, write_result};
use crate::mcp::message::era::Revision;
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::method::MethodKind;
use crate::mcp::message::scan::text;
use crate::mcp::offer::pages::Pages;
use crate::mcp::serve::dispatcher::{Dispatcher, Request};
use crate::mcp::serve::tools_call::CallMeta;

/// True for the methods that run a handler, which [`Dispatcher::start_call`] starts.
pub(crate) fn is_call(method: MethodKind) -> bool {
    matches!(
        method,
        MethodKind::ToolsCall
            | MethodKind::ResourcesRead
            | MethodKind::PromptsGet
            | MethodKind::CompletionComplete
    )
}

/// True for the methods that [`Dispatcher::list`] answers.
pub(crate) fn is_list(method: MethodKind) -> bool {
    matches!(
        method,
        MethodKind::ToolsList
            | MethodKind::ResourcesList
            | MethodKind::ResourcesTemplatesList
            | MethodKind::PromptsList
    )
}

impl Dispatcher {
    /// Starts the handler that the request names.
    pub(crate) fn start_call(
        &self,
        request: &Request<'_>,
        id: &str,
        meta: CallMeta,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Refusal> {
        match request.kind {
            MethodKind::ToolsCall => self.call_tool(request, id, meta, out),
            MethodKind::ResourcesRead => self.read_resource(request, id, meta, out),
            MethodKind::PromptsGet => self.get_prompt(request, id, meta, out),
            MethodKind::CompletionComplete => self.complete(request, id, meta, out),
            _ => Err(method_not_found(request)),
        }
    }

    /// Answers with the page of the list that the request asks for.
    pub(crate) fn list(
        &self,
        request: &Request<'_>,
        id: &str,
        revision: Revision,
        label: Label,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Refusal> {
        let pages = request.snapshot.catalog().list(request.kind, revision);
        write_result(out, id, page(pages.ok_or_else(|| method_not_found(request))?, request)?);
        Ok(Outcome::Answer(Answer::with_body(200, label)))
    }
}

/// Refuses methods that nothing on offer needs, as was declared.
pub(crate) fn check_offered(request: &Request<'_>) -> Result<(), Refusal> {
    match request.snapshot.catalog().shelves().offered.serves(request.kind) {
        true => Ok(()),
        false => Err(method_not_found(request)),
    }
}

pub(crate) fn method_not_found(request: &Request<'_>) -> Refusal {
    Refusal::new(ErrorKind::MethodNotFound, format!("Method not found: {}", excerpt(request.method)))
}

/// A member of `params` that must be there and a string.
pub(crate) fn required<'a>(raw: Option<&'a str>, name: &str) -> Result<std::borrow::Cow<'a, str>, Refusal> {
    raw.and_then(text).ok_or_else(|| invalid(&format!("params.{name} is required and must be a string")))
}

/// Refuses parameters with a sentence about them.
pub(crate) fn invalid(sentence: &str) -> Refusal {
    Refusal::new(ErrorKind::InvalidParams, format!("Invalid params: {sentence}"))
}

/// The page that the request's cursor leads to.
fn page<'p>(pages: &'p Pages, request: &Request<'_>) -> Result<&'p [u8], Refusal> {
    let cursor = match request.message.params.cursor {
        None | Some("null") => None,
        Some(raw) => Some(text(raw).ok_or_else(bad_cursor)?),
    };
    pages.result(cursor.as_deref()).ok_or_else(bad_cursor)
}

fn bad_cursor() -> Refusal {
    let message = "Invalid params: params.cursor was not given out by this server, or the list has changed since; \
                   start again without one";
    Refusal::new(ErrorKind::InvalidParams, message)
}
