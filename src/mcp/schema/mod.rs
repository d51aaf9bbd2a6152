//! JSON Schemas of tools: read, listed word for word, enforced, explained.

pub(crate) mod coverage;
pub(crate) mod document;
pub(crate) mod explain;
pub(crate) mod input;
pub(crate) mod param_headers;
