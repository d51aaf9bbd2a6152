//! What a JSON-RPC message is: its bytes, its head, its era, the methods and the error table.

pub(crate) mod answer;
pub(crate) mod capability;
pub(crate) mod envelope;
pub(crate) mod era;
pub(crate) mod errors;
pub(crate) mod head;
pub(crate) mod headers;
pub(crate) mod json;
pub(crate) mod level;
pub(crate) mod method;
pub(crate) mod scan;
pub(crate) mod small_text;
