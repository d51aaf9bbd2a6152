//! The client: one server, in whichever revision it speaks, over one [`Transport`].
//!
//! [`Client::connect`] finds out what the server speaks; then tools, resources and prompts are methods. What the
//! server asks back goes to the callbacks of [`ClientOptions`]. Everything runs in the caller's
//! [`Scope`](crate::runtime::Scope).
//!
//! ```no_run
//! # async fn example(scope: &ringmesh::runtime::Scope) -> Result<(), ringmesh::client::ClientError> {
//! use ringmesh::client::{Client, ClientOptions};
//!
//! let client = Client::connect(scope, "http://127.0.0.1:8000/mcp", ClientOptions::new("example", "1.0.0")).await?;
//! let result = client.call_tool("echo", serde_json::json!({ "message": "hello" })).await?;
//! println!("{}", result.text());
//! client.close().await
//! # }
//! ```
//!
//! # The map
//!
//! | topic | where |
//! |---|---|
//! | what users call | `handle`, `primitives`, `run`, `options`, `limits`, `retry`, `error` |
//! | what servers ask and tell | `handlers/` |
//! | what requests return | `results/` |
//! | messages, and what answers mean: no sockets, no clock | `protocol/` |
//! | requests, streams, sessions, subscriptions on their way | `wire/` |
//! | the seam to what carries messages | `transport` |
//! | that over HTTP and https | [`http`], and `http_sse` for servers of 2024-11-05 |
//! | that over libp2p | [`p2p`] |

mod error;
mod handle;
mod handlers;
pub mod http;
mod http_sse;
mod limits;
mod options;
pub mod p2p;
mod primitives;
pub(crate) mod protocol;
mod results;
mod retry;
mod run;
pub mod transport;
mod wire;

pub use crate::mcp::Revision;
pub use error::{ClientError, ProtocolError};
pub use handle::Client;
pub use handlers::{
    Change, ElicitMode, ElicitReply, ElicitRequest, LogMessage, Progress, Root, SampleReply, SampleRequest,
};
pub use limits::ClientLimits;
pub use options::{CallOptions, ClientOptions};
pub use results::{
    Completion, CompletionTarget, ContentBlock, PromptArgumentDescription, PromptDescription, PromptMessage,
    PromptResult, RawJson, ReadResult, ResourceContents, ResourceDescription, ResourceTemplateDescription,
    ServerDescription, ToolDescription, ToolHints, ToolResult,
};
pub use retry::RetryPolicy;
pub(crate) use retry::random;
pub use run::run;
pub use transport::{
    Event, EventSource, Incoming, IncomingContent, LocalBoxFuture, Outgoing, OutgoingHead, Transport,
    TransportError, Verb,
};
pub use wire::{ListenFilter, Subscription};
