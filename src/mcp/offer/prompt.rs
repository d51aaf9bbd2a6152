//! A prompt as its author describes it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::mcp::call::context::Context;
use crate::mcp::message::era::Revision;
use crate::mcp::message::json::{self, Object};
use crate::mcp::offer::call_error::CallError;
use crate::mcp::offer::completion::{Completers, Completion, CompletionRequest};
use crate::mcp::offer::handler::{HandlerFuture, Produced};
use crate::mcp::offer::metadata::{Metadata, metadata_setters, single_use_setter};
use crate::mcp::offer::prompt_argument::{self, PromptArgument};
use crate::mcp::offer::prompt_reply::IntoPromptReply;
use crate::mcp::offer::shelf::Listed;
use crate::mcp::offer::texts;

type Handler = Box<dyn Fn(&[(&str, String)], Context) -> Result<HandlerFuture, String> + Send + Sync>;

/// A prompt that clients offer to their users.
///
/// Mistakes in it (an argument that is no text, an icon with a bad scheme) are reported when it is put on offer.
///
/// ```
/// use ringmesh::mcp::{Completion, Context, Dispatcher, McpOptions, Prompt, Registry};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Review {
///     /// The code to review
///     code: String,
///     /// Its language
///     language: Option<String>,
/// }
///
/// let review = Prompt::new("review", "Asks for a review", |review: Review, _: Context| async move {
///     Ok(format!("Review this {}:\n{}", review.language.as_deref().unwrap_or("code"), review.code))
/// });
/// let review = review.complete("language", |request, _: Context| async move {
///     Ok(Completion::starting_with(&request.value, ["go", "python", "rust"]))
/// });
/// Dispatcher::new(Registry::new().prompt(review), McpOptions::default())?;
/// # Ok::<(), ringmesh::mcp::RegistryError>(())
/// ```
pub struct Prompt {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) metadata: Metadata,
    /// Or why the arguments' type cannot be that of a prompt.
    arguments: Result<Vec<PromptArgument>, String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) single_use: bool,
    pub(crate) completers: Completers,
    pub(crate) handler: Handler,
}

metadata_setters!(Prompt);
single_use_setter!(Prompt);

impl Prompt {
    /// A prompt whose arguments are the fields of a type: strings, numbers, flags or plain enums, because clients
    /// send texts. A field is required unless it is an `Option` or has a default; its doc comment describes it.
    pub fn new<A, F, Fut, R>(name: impl Into<String>, description: impl Into<String>, handler: F) -> Prompt
    where
        A: DeserializeOwned + JsonSchema + 'static,
        F: Fn(A, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, CallError>> + 'static,
        R: IntoPromptReply,
    {
        let handler = move |arguments: &[(&str, String)], context: Context| {
            texts::read(arguments).map(|read: A| asking(handler(read, context)))
        };
        Prompt::with_handler(name, description, prompt_argument::of_type::<A>(), Box::new(handler))
    }

    /// A prompt whose arguments are listed one by one and come as texts; those that were not given are absent.
    pub fn raw<F, Fut, R>(
        name: impl Into<String>,
        description: impl Into<String>,
        arguments: impl IntoIterator<Item = PromptArgument>,
        handler: F,
    ) -> Prompt
    where
        F: Fn(BTreeMap<String, String>, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, CallError>> + 'static,
        R: IntoPromptReply,
    {
        let handler = move |arguments: &[(&str, String)], context: Context| {
            let arguments = arguments.iter().map(|(name, text)| ((*name).to_owned(), text.clone()));
            Ok(asking(handler(arguments.collect(), context)))
        };
        Prompt::with_handler(name, description, Ok(arguments.into_iter().collect()), Box::new(handler))
    }

    fn with_handler(
        name: impl Into<String>,
        description: impl Into<String>,
        arguments: Result<Vec<PromptArgument>, String>,
        handler: Handler,
    ) -> Prompt {
        Prompt {
            name: name.into(),
            description: description.into(),
            metadata: Metadata::default(),
            arguments,
            timeout: None,
            single_use: false,
            completers: Completers::default(),
            handler,
        }
    }

    /// Suggests values for an argument.
    #[must_use]
    pub fn complete<F, Fut, C>(mut self, argument: impl Into<String>, completer: F) -> Prompt
    where
        F: Fn(CompletionRequest, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C, CallError>> + 'static,
        C: Into<Completion>,
    {
        self.completers.add(argument, completer);
        self
    }

    /// The time one `prompts/get` may take, instead of the limit `tool_timeout_ms`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Prompt {
        self.timeout = Some(timeout);
        self
    }

    /// The arguments, in order; none where [`Prompt::check`] fails.
    pub(crate) fn arguments(&self) -> &[PromptArgument] {
        self.arguments.as_deref().unwrap_or_default()
    }

    /// Checks the prompt; the error is a sentence without its subject.
    pub(crate) fn check(&self) -> Result<(), String> {
        prompt_argument::check_name(&self.name).map_err(|problem| format!("has a name that {problem}"))?;
        let arguments = self.arguments.as_ref().map_err(Clone::clone)?;
        prompt_argument::check(arguments)?;
        self.metadata.check()?;
        self.completers.check(arguments.iter().map(|argument| argument.name.as_str()))
    }
}

fn asking<Fut, R>(future: Fut) -> HandlerFuture
where
    Fut: Future<Output = Result<R, CallError>> + 'static,
    R: IntoPromptReply,
{
    Box::pin(async move { Ok(Produced::Prompt(future.await?.into_prompt_reply())) })
}

impl Listed for Prompt {
    const MEMBER: &'static str = "prompts";

    fn key(&self) -> &str {
        &self.name
    }

    fn entry(&self, revision: Revision) -> String {
        json::object(|object: &mut Object<'_>| {
            object.string("name", &self.name);
            self.metadata.write_title(object, revision);
            if !self.description.is_empty() {
                object.string("description", &self.description);
            }
            prompt_argument::write(object.place("arguments"), self.arguments(), revision);
            self.metadata.write_rest(object, revision);
        })
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt").field("name", &self.name).finish_non_exhaustive()
    }
}
