//! `completion/complete`.

use serde_json::Value;

use crate::mcp::call::context::{Context, Target};
use crate::mcp::message::answer::{Outcome, Refusal, excerpt};
use crate::mcp::message::era::Revision;
use crate::mcp::offer::completion::{Completers, Completion, CompletionRequest};
use crate::mcp::offer::handler::{Produced, Started};
use crate::mcp::serve::dispatcher::{Dispatcher, Request};
use crate::mcp::serve::methods::invalid;
use crate::mcp::serve::prompts::{find_prompt, texts};
use crate::mcp::serve::tools_call::CallMeta;

impl Dispatcher {
    /// Starts the completer of the argument that the request names. An argument without one has no suggestions.
    pub(crate) fn complete(
        &self,
        request: &Request<'_>,
        id: &str,
        meta: CallMeta,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Refusal> {
        let target = self.completed(request)?;
        let wanted = wanted(request, meta.revision)?;
        let catalog = request.snapshot.catalog();
        let (completers, arguments): (&Completers, Vec<&str>) = match target {
            Target::PromptArgument(index) => {
                let prompt = catalog.prompt(index);
                let arguments = prompt.arguments().iter().map(|argument| argument.name.as_str());
                (&prompt.completers, arguments.collect())
            }
            Target::TemplateVariable(index) => {
                let template = catalog.template(index);
                (&template.described.completers, template.pattern.variables().collect())
            }
            _ => return Err(invalid("params.ref names nothing that has arguments")),
        };
        if !arguments.contains(&wanted.argument.as_str()) {
            let (unknown, known) = (excerpt(&wanted.argument), arguments.join(", "));
            return Err(invalid(&format!("there is no argument {unknown:?} to complete; there is {known}")));
        }
        let start = |context: Context| match completers.find(&wanted.argument) {
            Some(completer) => Started::Running(completer(wanted, context)),
            None => {
                let nothing = Produced::Completion(Completion::default());
                Started::Running(Box::pin(std::future::ready(Ok(nothing))))
            }
        };
        self.begin(request, id, (target, None), meta, start, out)
    }

    /// What `ref` leads to: a prompt by its name, or a template by its text or by a URI that it can make.
    fn completed(&self, request: &Request<'_>) -> Result<Target, Refusal> {
        let raw = request.message.params.reference.unwrap_or_default();
        let Ok(Value::Object(reference)) = serde_json::from_str(raw) else {
            return Err(invalid("params.ref is required and must be an object"));
        };
        let member = |key: &str| {
            let text = reference.get(key).and_then(Value::as_str);
            text.ok_or_else(|| invalid(&format!("params.ref.{key} is required and must be a string")))
        };
        match member("type")? {
            "ref/prompt" => find_prompt(request, member("name")?).map(Target::PromptArgument),
            "ref/resource" => {
                let uri = member("uri")?;
                Refusal::check_uri_length(uri, &self.shared.options.limits)?;
                self.find_template(request, uri).map(Target::TemplateVariable)
            }
            other => {
                let other = excerpt(other);
                Err(invalid(&format!("params.ref.type must be ref/prompt or ref/resource, not {other:?}")))
            }
        }
    }

    fn find_template(&self, request: &Request<'_>, uri: &str) -> Result<u32, Refusal> {
        let templates = &request.snapshot.catalog().shelves().templates;
        let by_uri = || {
            let mut entries = (0u32..).zip(templates.entries());
            entries.find(|(_, template)| template.pattern.matches(uri).is_some()).map(|(index, _)| index)
        };
        let unknown = || invalid(&format!("there is no resource template {}", excerpt(uri)));
        templates.find(uri).or_else(by_uri).ok_or_else(unknown)
    }
}

/// The argument, what was typed of it, and the other arguments.
fn wanted(request: &Request<'_>, revision: Revision) -> Result<CompletionRequest, Refusal> {
    let params = &request.message.params;
    let Ok(Value::Object(mut argument)) = serde_json::from_str(params.argument.unwrap_or_default()) else {
        return Err(invalid("params.argument is required and must be an object"));
    };
    let mut member = |key: &str| match argument.remove(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(invalid(&format!("params.argument.{key} is required and must be a string"))),
    };
    let (argument, value) = (member("name")?, member("value")?);
    // The member came with 2025-06-18; before, it has no meaning.
    let raw = params.completion_context.filter(|raw| *raw != "null" && revision >= Revision::V2025_06_18);
    let context = match raw.map(serde_json::from_str) {
        None => Default::default(),
        Some(Ok(Value::Object(context))) => {
            let arguments = context.get("arguments").map(Value::to_string);
            texts(arguments.as_deref(), "params.context.arguments")?
        }
        Some(_) => return Err(invalid("params.context must be an object")),
    };
    Ok(CompletionRequest { argument, value, context })
}
