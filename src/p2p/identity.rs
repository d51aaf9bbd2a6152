//! The key of a node: made, kept in a file, shown.
