//! ringmesh
pub mod cli;
pub mod config;
pub mod http;
pub mod limits;
pub mod mcp;
pub mod observe;
pub mod runtime;
pub mod server;
pub mod tools;
