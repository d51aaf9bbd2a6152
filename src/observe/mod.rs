//! Metrics, probes, logs and the service manager's notifications.

mod logging;
pub use logging::LogFormat;
