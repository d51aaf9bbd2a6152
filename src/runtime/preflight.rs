//! What the machine must offer before the server may start.
