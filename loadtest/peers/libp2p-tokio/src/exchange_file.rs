//! The requests and the check of answers: the very file that the load generator for our own server has.

#[path = "../../../src/p2p/exchange.rs"]
#[allow(dead_code, reason = "each side of the comparison uses its part")]
pub mod exchange;
