//! Streamable HTTP over connections of our own.
