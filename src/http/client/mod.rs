//! The client's side of HTTP/1.1: bytes of answers in, heads, bodies and events out. No socket and no clock.
//!
//! [`ResponseReader`] turns the bytes of one connection into one answer, [`EventReader`] the bytes of a body into
//! server-sent events.

mod events;
mod fault;
mod head;
mod reader;

pub use events::{EventReader, ServerEvent};
pub use fault::ResponseFault;
pub use head::AnswerHead;
pub use reader::{Asked, ResponseReader, Step};
