//! `/ipfs/id/1.0.0` and its push: the message, bytes in and bytes out, and the two sides of an exchange.
