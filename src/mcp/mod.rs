//! The Model Context Protocol: JSON-RPC messages in, answers out.
//!
//! No sockets, no clock (`now` is passed in) and no runtime: a [`Dispatcher`] is plain code that any transport can
//! drive and any test can call. The main path reads top down: [`Dispatcher::post`] checks and parses
//! (`serve/dispatcher`, `message/envelope`), the era is chosen (`message/era`), one of `serve/modern` and
//! `serve/legacy` runs its checks, `serve/tools_call`, `serve/resources`, `serve/prompts` or `serve/completion` starts a
//! handler, and the [`Call`] that comes back is polled by the connection that took the request.
//!
//! | room | holds |
//! |---|---|
//! | `message` | one JSON-RPC message: scanner, envelope, heads and headers, methods, eras, the error table |
//! | `serve` | from a message to its answer: dispatcher, the two eras, the methods, the snapshot that cores read |
//! | `ask` | questions to the client from inside a call, and what travels between their rounds |
//! | `offer` | what authors register: tools, resources, templates and prompts with their handlers, and what these return |
//! | `schema` | JSON Schemas: read, listed, enforced, explained; parameters mirrored in headers |
//! | `call` | a running call: context, events, cancellation, outcome |
//! | `listen` | who is told of changes |
//! | `session` | sessions of the revisions before 2026-07-28 |
//! | `peer` | one stream of messages in both directions, with whatever revision the peer speaks |

mod ask;
mod call;
#[doc(hidden)]
pub mod fuzz;
mod listen;
mod message;
mod offer;
pub(crate) mod peer;
mod schema;
mod serve;
mod session;

pub use ask::answers::Answers;
pub use ask::elicitation::{ElicitAction, Elicitation, Elicited};
pub use ask::keys::RequestStateKeys;
pub use ask::questions::Question;
pub use ask::roots::Root;
pub use ask::sampled::{Sampled, SampledContent};
pub use ask::sampling::{IncludeContext, Sampling};
pub use ask::sampling_tools::{SamplingTool, ToolChoice, ToolUseResult};
pub use call::batch::Batch;
pub use call::context::Context;
pub use call::running::Call;
pub use listen::feed::{EventHead, Feed};
pub use message::answer::{Answer, Label, Outcome};
pub use message::capability::{Capability, ClientCapabilities};
pub use message::era::{Era, Revision};
pub use message::errors::{ErrorInfo, ErrorKind};
pub use message::head::{Access, At, HeaderLookup, NoHeaders, RequestHead, Transport};
pub use message::level::LogLevel;
pub use message::method::MethodKind;
pub use offer::blocking::{Offload, OffloadFull};
pub use offer::cache::CacheScope;
pub use offer::call_error::CallError;
pub use offer::completion::{Completion, CompletionRequest};
pub use offer::content::{Content, ContentAnnotations, Role};
pub use offer::contents::{Contents, IntoContents};
pub use offer::icon::{Icon, IconTheme};
pub use offer::prompt::Prompt;
pub use offer::prompt_argument::PromptArgument;
pub use offer::prompt_reply::{IntoPromptReply, PromptMessage, PromptReply};
pub use offer::registry::{Registry, RegistryError};
pub use offer::registry_handle::RegistryHandle;
pub use offer::reply::{IntoReply, Json, Reply};
pub use offer::resource::Resource;
pub use offer::resource_template::ResourceTemplate;
pub use offer::tool::{Tool, ToolAnnotations, ToolGroup};
pub(crate) use schema::document::Schema;
pub use schema::document::{MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH, SchemaSource};
pub(crate) use schema::input::OutputCheck;
pub(crate) use schema::param_headers::{HeaderParam, find as header_params};
pub use serve::dispatcher::Dispatcher;
pub use serve::options::{McpOptions, ServerInfo};
pub use session::entry::SessionId;
pub use session::event_id::EventId;
pub use session::table::SessionTotals;

pub(crate) use message::envelope::TOKEN_KEY;
pub(crate) use message::json;
pub(crate) use message::scan::{ScanError, Scanner, text as scanned_text};
pub(crate) use message::small_text::SmallText;
pub(crate) use serve::channel::Posted;
pub(crate) use session::entry::same_id;
pub(crate) use session::writer::SessionStream;

use std::sync::{Mutex, MutexGuard};

/// Takes a lock that is shared between cores. A panic while it was held left what it guards in an unknown state, and
/// no request can be served on that: the process ends.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|_| {
        tracing::error!("a thread panicked while it held a shared lock");
        std::process::abort()
    })
}
