//! What the server tells about itself: metrics, probes, logs, and notifications to the service manager.

mod logging;
pub mod metrics;
mod probes;
mod process;
pub mod systemd;
mod trace;

pub use logging::{LogError, LogFormat, init_tracing};
pub use metrics::{CoreMetrics, Metrics, Names, Snapshot, TaskStats, WorkflowStats};
pub use probes::{CoreState, P2pState, Phase, ProbeAnswer, ServerState};
pub use process::ProcessStats;
pub use trace::{RequestId, RequestIds, TraceContext};
