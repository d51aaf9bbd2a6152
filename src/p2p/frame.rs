//! The frames of `/mcp+p2p/1.0.0`: a length and that many bytes, bytes in and frames out.
