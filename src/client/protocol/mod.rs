//! The protocol as plain code: messages, and the decisions that answers lead to. It knows no sockets and no clock.

pub(crate) mod answer;
pub(crate) mod defaults;
pub(crate) mod era;
pub(crate) mod fuzz;
pub(crate) mod headers;
pub(crate) mod message;
pub(crate) mod rounds;
pub(crate) mod stream;
