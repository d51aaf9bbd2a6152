//! The peers that are known: seen, connected, how far away, what they speak. Shared by the cores.
