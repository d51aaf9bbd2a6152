//! Metrics, probes, logs and the service manager's notifications.

mod logging;
pub mod metrics;
mod process;

pub use logging::LogFormat;
pub use metrics::{CoreMetrics, Metrics};
pub use process::ProcessStats;
