//! ringmesh
pub mod cli;
pub mod config;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod limits;
pub mod mcp;
pub mod observe;
pub mod runtime;
pub mod server;
pub mod tools;
