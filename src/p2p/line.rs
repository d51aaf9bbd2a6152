//! The lines of the task queue RPC: one in, one out.
