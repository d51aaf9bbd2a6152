//! `/ipfs/ping/1.0.0`: 32 bytes, sent back.
