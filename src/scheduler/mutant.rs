//! Faults that the simulation puts in, to see that it finds them.

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "only the simulation puts faults in"))]
pub(super) enum Mutant {
    /// What is heard last counts, whatever its token.
    NoFence,
    /// What a silent peer held stays with it.
    NoTakeOver,
    /// A draw of distances goes to whoever computes it.
    OwnerDraw,
    /// A draw of counters changes nothing.
    TokenDraw,
}

/// Whether this fault is in; never outside of tests.
pub(super) fn is(mutant: Option<Mutant>, fault: Mutant) -> bool {
    cfg!(test) && mutant == Some(fault)
}
