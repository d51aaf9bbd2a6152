//! The node of one core: its connections, whether accepted or dialled, and their limits.
