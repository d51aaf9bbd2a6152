//! HTTP/1.1 as plain state machines: bytes in, bytes out, no socket, no clock, no task.
//!
//! [`RequestReader`] turns bytes into requests and refuses whatever could be read in two ways. [`write_response`] and
//! [`write_sse_head`] append answers to a buffer. [`AccessPolicy`] says which Host and Origin may ask at all.
//!
//! The path of one request: `feed` → `scan` (line ends and the end of the head) → `head` (httparse, the known fields)
//! → `target`, `framing` → `chunked` where there is such a body → [`Request`].

mod access;
mod buffers;
mod chunked;
pub mod client;
mod cors;
mod date;
mod fields;
mod framing;
mod head;
mod origin;
mod reader;
mod reject;
mod request;
mod response;
mod scan;
mod sse;
mod target;

pub use access::{AccessError, AccessOptions, AccessPolicy};
pub use cors::write_options;
pub use date::HttpDate;
pub use fields::Fields;
pub use reader::{HttpLimits, Progress, RequestReader};
pub use reject::{Reject, write_reject};
pub use request::{Method, Request};
pub use response::{CONTINUE, CorsGrant, JSON, ResponseHead, reason, write_head, write_response};
pub use sse::{EventStream, write_sse_head};
