//! The Model Context Protocol: JSON-RPC messages in, answers out.
//!
//! No sockets, no clock (`now` is passed in) and no runtime: a [`Dispatcher`] is plain code that any transport can
//! drive and any test can call. The main path reads top down: [`Dispatcher::post`] checks and parses (`dispatcher`,
//! `envelope`), the era is chosen (`era`), one of `modern` and `legacy` runs its checks, `tools_call` starts a tool,
//! and the [`Call`] that comes back is polled by the connection that took the request.
//!
//! | topic | files |
//! |---|---|
//! | messages | `scan`, `envelope`, `head`, `headers`, `method`, `era`, `errors`, `answer`, `json` |
//! | serving | `dispatcher`, `modern`, `legacy`, `tools_call`, `lists`, `snapshot`, `options` |
//! | tools | `registry`, `tool`, `handler`, `blocking`, `reply`, `content`, `tool_error`, `capability` |
//! | schemas | `schema`, `coverage`, `input`, `explain`, `param_headers` |
//! | a running call | `call`, `context`, `signals`, `outcome`, `level`, `small_text` |
//! | sessions | `session`, `session_table`, `shard` |

mod answer;
mod blocking;
mod call;
mod capability;
mod content;
mod context;
mod coverage;
mod dispatcher;
mod envelope;
mod era;
mod errors;
mod explain;
#[doc(hidden)]
pub mod fuzz;
mod handler;
mod head;
mod headers;
mod input;
mod json;
mod legacy;
mod level;
mod lists;
mod method;
mod modern;
mod options;
mod outcome;
mod param_headers;
mod registry;
mod reply;
mod scan;
mod schema;
mod session;
mod session_table;
mod shard;
mod signals;
mod small_text;
mod snapshot;
mod tool;
mod tool_error;
mod tools_call;

pub use answer::{Answer, Label, Outcome};
pub use blocking::{Offload, OffloadFull};
pub use call::Call;
pub use capability::{Capability, ClientCapabilities};
pub use content::{Content, ContentAnnotations, Role};
pub use context::Context;
pub use dispatcher::Dispatcher;
pub use era::{Era, Revision};
pub use errors::{ErrorInfo, ErrorKind};
pub use head::{At, HeaderLookup, NoHeaders, RequestHead, Transport};
pub(crate) use input::OutputCheck;
pub use level::LogLevel;
pub use method::MethodKind;
pub use options::{McpOptions, ServerInfo};
pub(crate) use param_headers::{HeaderParam, find as header_params};
pub use registry::{Registry, RegistryError};
pub use reply::{IntoReply, Json, Reply};
pub(crate) use schema::Schema;
pub use schema::{MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH, SchemaSource};
pub use session::SessionId;
pub use session_table::SessionTotals;
pub use tool::{Tool, ToolAnnotations, ToolGroup};
pub use tool_error::ToolError;

use std::sync::{Mutex, MutexGuard};

/// Takes a lock that is shared between cores. A panic while it was held left what it guards in an unknown state, and
/// no request can be served on that: the process ends.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|_| {
        tracing::error!("a thread panicked while it held a shared lock");
        std::process::abort()
    })
}
