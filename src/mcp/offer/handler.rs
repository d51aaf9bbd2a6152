//! How a registered function is started: its arguments read, its future made.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::mcp::call::context::Context;
use crate::mcp::call::outcome::panicked;
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::offer::blocking::{OffloadFull, completion};
use crate::mcp::offer::call_error::{CallError, Failure};
use crate::mcp::offer::completion::Completion;
use crate::mcp::offer::contents::Contents;
use crate::mcp::offer::prompt_reply::PromptReply;
use crate::mcp::offer::reply::{IntoReply, Reply};
use crate::mcp::schema::input::InputCheck;

/// What a handler made.
pub(crate) enum Produced {
    /// The result of a tool.
    Tool(Reply),
    /// What reading a resource yielded.
    Contents(Vec<Contents>),
    /// The messages of a prompt.
    Prompt(PromptReply),
    /// Suggestions for an argument.
    Completion(Completion),
}

/// A started handler. It stays on the core that took the request, so it need not be `Send`.
pub(crate) type HandlerFuture = Pin<Box<dyn Future<Output = Result<Produced, CallError>>>>;

/// What came of starting a handler.
pub(crate) enum Started {
    /// It runs when polled.
    Running(HandlerFuture),
    /// The arguments do not fit; the sentence says why.
    Invalid(String),
    /// The blocking pool is full.
    Full,
}

/// A registered function, whatever its types.
pub(crate) trait Handler: Send + Sync {
    /// Reads `arguments`, a JSON object as text, and starts the function.
    fn start(&self, arguments: &str, input: &InputCheck, context: Context) -> Started;

    /// Whether the typed read takes these arguments; `None` where there is no type.
    fn accepts(&self, arguments: &Value) -> Option<bool>;
}

/// A typed async function.
pub(crate) struct Typed<F, A>(pub(crate) F, pub(crate) PhantomData<fn(A)>);

impl<F, A, Fut, R> Handler for Typed<F, A>
where
    F: Fn(A, Context) -> Fut + Send + Sync,
    A: DeserializeOwned,
    Fut: Future<Output = Result<R, CallError>> + 'static,
    R: IntoReply,
{
    fn start(&self, arguments: &str, input: &InputCheck, context: Context) -> Started {
        match input.read(arguments) {
            Ok(read) => running(self.0(read, context)),
            Err(problem) => Started::Invalid(problem),
        }
    }

    fn accepts(&self, arguments: &Value) -> Option<bool> {
        Some(reads::<A>(arguments))
    }
}

/// An async function that takes its arguments as they are.
pub(crate) struct Raw<F>(pub(crate) F);

impl<F, Fut, R> Handler for Raw<F>
where
    F: Fn(Value, Context) -> Fut + Send + Sync,
    Fut: Future<Output = Result<R, CallError>> + 'static,
    R: IntoReply,
{
    fn start(&self, arguments: &str, input: &InputCheck, context: Context) -> Started {
        match input.validated(arguments) {
            Ok(value) => running(self.0(value, context)),
            Err(problem) => Started::Invalid(problem),
        }
    }

    fn accepts(&self, _arguments: &Value) -> Option<bool> {
        None
    }
}

/// A typed function that blocks its thread.
pub(crate) struct Blocking<F, A>(pub(crate) Arc<F>, pub(crate) PhantomData<fn(A)>);

impl<F, A, R> Handler for Blocking<F, A>
where
    F: Fn(A, Context) -> Result<R, CallError> + Send + Sync + 'static,
    A: DeserializeOwned + Send + 'static,
    R: IntoReply,
{
    fn start(&self, arguments: &str, input: &InputCheck, context: Context) -> Started {
        let read: A = match input.read(arguments) {
            Ok(read) => read,
            Err(problem) => return Started::Invalid(problem),
        };
        // Its thread cannot be taken from it, so a question has to be an error there.
        context.state.asking.set_blocking();
        let (completer, completion) = completion();
        let (function, own) = (self.0.clone(), context.clone());
        let job = Box::new(move || {
            if own.is_cancelled() {
                let (kind, message) =
                    (ErrorKind::ShuttingDown, "The call was cancelled before it began".into());
                return completer.complete(Err(CallError(Failure::Known { kind, message })));
            }
            let name = own.clone();
            let run = AssertUnwindSafe(|| finished(function(read, own)));
            let result = catch_unwind(run).unwrap_or_else(|panic| Err(panicked(name.name(), &*panic)));
            drop(name);
            completer.complete(result);
        });
        let pool = context.state.snapshot.shared().options.offload.as_ref();
        match pool.map_or(Err(OffloadFull), |pool| pool.submit(job)) {
            Ok(()) => Started::Running(Box::pin(completion)),
            Err(OffloadFull) => Started::Full,
        }
    }

    fn accepts(&self, arguments: &Value) -> Option<bool> {
        Some(reads::<A>(arguments))
    }
}

fn running<Fut, R>(future: Fut) -> Started
where
    Fut: Future<Output = Result<R, CallError>> + 'static,
    R: IntoReply,
{
    Started::Running(Box::pin(async move { finished(future.await) }))
}

fn finished<R: IntoReply>(result: Result<R, CallError>) -> Result<Produced, CallError> {
    result.and_then(IntoReply::into_reply).map(Produced::Tool)
}

/// Tries the typed read; an author's own `Deserialize` may panic.
fn reads<A: DeserializeOwned>(arguments: &Value) -> bool {
    let text = arguments.to_string();
    catch_unwind(|| serde_json::from_str::<A>(&text).is_ok()).unwrap_or(false)
}
