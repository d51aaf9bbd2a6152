//! The client.

mod client;
mod error;
mod handlers;
pub mod http;
mod limits;
mod options;
mod primitives;
mod protocol;
mod results;
mod retry;
mod revision;
mod transport;
mod wire;

pub use client::Client;
pub use error::{ClientError, ProtocolError};
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
pub use revision::Revision;
pub use transport::{
    Event, EventSource, Incoming, IncomingContent, LocalBoxFuture, Outgoing, OutgoingHead, Transport,
    TransportError, Verb,
};
pub use wire::{ListenFilter, Subscription};
