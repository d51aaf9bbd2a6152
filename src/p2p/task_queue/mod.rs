//! The task queue RPC: from a request to its answer, without a stream.
