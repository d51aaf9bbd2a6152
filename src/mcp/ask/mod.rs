//! Asking the client from inside a call: forms, links, model calls, roots.
//!
//! In 2026-07-28 the handler runs again from its start on each retry: what it did before a question is done again,
//! unless it is in [`Context::once`](crate::mcp::Context::once). In the older revisions it waits at the question.
//!
//! | file | holds |
//! |---|---|
//! | `questions` | what can be asked together; who may be asked what |
//! | `elicitation`, `form`, `sampling`, `roots` | the kinds of question, as authors write them |
//! | `answers` | what came back, read and checked |
//! | `context` | the author's functions on [`Context`](crate::mcp::Context) |
//! | `once` | side effects that happen once over all rounds |
//! | `asking` | what one call has asked and been answered: the state that all of these share |
//! | `round` | 2026-07-28: how a retry begins and how `input_required` is written |
//! | `waiting` | the older revisions: a request on the call's stream, and the wait for its answer |
//! | `memory`, `binding`, `seal`, `keys` | `requestState`: what is in it, what it is bound to, how it is sealed |
//! | `links` | 2025-11-25: the error that names links to follow first |
//! | `used` | states that may be used once |

/// Compiles the example of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/asking.md")]
struct Guide;

pub(crate) mod answers;
pub(crate) mod asking;
pub(crate) mod binding;
pub(crate) mod context;
pub(crate) mod elicitation;
pub(crate) mod form;
pub(crate) mod keys;
pub(crate) mod links;
pub(crate) mod memory;
pub(crate) mod once;
pub(crate) mod questions;
pub(crate) mod roots;
pub(crate) mod round;
pub(crate) mod sampled;
pub(crate) mod sampling;
pub(crate) mod sampling_tools;
pub(crate) mod seal;
pub(crate) mod used;
pub(crate) mod waiting;
