//! What the metrics are called. Every name here is explained in `docs/observability.md`.

use super::core::{Counter, STATUS_CLASSES};
use super::exposition::{Exposition, Type};
use super::histogram::{Histogram, Total};
use super::{CoreMetrics, Metrics, TaskStats, render_p2p, tasks};
use crate::limits::Limit;
use crate::observe::probes::CoreState;
use crate::observe::process::ProcessStats;

/// Gauges of other rooms at the moment of the scrape.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Whether the server takes requests, as `/readyz` says it.
    pub ready: bool,
    /// Sessions of clients of the older revisions.
    pub sessions_open: u64,
    /// Sessions ended so far to make room for others.
    pub sessions_evicted: u64,
    /// Sessions ended so far because their time was over.
    pub sessions_expired: u64,
    /// Event streams that stay open: those of GET and of `subscriptions/listen`.
    pub event_streams: u64,
    /// Bytes of events kept for clients that resume a stream.
    pub replay_bytes: u64,
    /// Events dropped so far before their stream could be resumed from them.
    pub replay_dropped_events: u64,
    /// Bytes of bodies and write buffers that the process holds.
    pub buffered_bytes: u64,
    /// Calls of blocking tools that have a thread.
    pub blocking_running: u64,
    /// Calls of blocking tools that wait for one.
    pub blocking_waiting: u64,
    /// libp2p peers that are remembered; `None` where there is no libp2p, and then nothing is said of it.
    pub p2p_peers: Option<u64>,
    /// The task queue, where there is one.
    pub tasks: Option<TaskStats>,
    /// The cores as the watchdog sees them; empty without one.
    pub cores: Vec<CoreState>,
    /// The process as the kernel sees it, from [`ProcessStats::read`].
    pub process: ProcessStats,
}

pub(super) fn render(metrics: &Metrics, snapshot: &Snapshot) -> String {
    let mut out = Exposition::default();
    server(&mut out, snapshot);
    connections(&mut out, metrics);
    limits(&mut out, metrics);
    operations(&mut out, metrics);
    sessions(&mut out, snapshot);
    streams(&mut out, snapshot);
    render_p2p::render(&mut out, metrics, snapshot);
    if let Some(stats) = &snapshot.tasks {
        tasks::render(&mut out, stats);
    }
    cores(&mut out, metrics, snapshot);
    process(&mut out, &snapshot.process);
    out.finish()
}

fn server(out: &mut Exposition, snapshot: &Snapshot) {
    out.family("ringmesh_build_info", Type::Gauge, "The version that runs; always 1.");
    out.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    out.single("ringmesh_ready", Type::Gauge, "1 while the server takes requests.", u8::from(snapshot.ready));
    let help = "Bytes of bodies and write buffers held now.";
    out.single("ringmesh_buffered_bytes", Type::Gauge, help, snapshot.buffered_bytes);
    let help = "Calls of blocking tools that run now.";
    out.single("ringmesh_blocking_calls_running", Type::Gauge, help, snapshot.blocking_running);
    let help = "Calls of blocking tools that wait for a thread now.";
    out.single("ringmesh_blocking_calls_waiting", Type::Gauge, help, snapshot.blocking_waiting);
}

fn connections(out: &mut Exposition, metrics: &Metrics) {
    use Counter::*;
    per_core(out, metrics, "ringmesh_connections_open", Type::Gauge, "Connections open now.", |core| {
        core.connections_open()
    });
    let help = "Connections accepted.";
    per_core(out, metrics, "ringmesh_connections_accepted_total", Type::Counter, help, |core| {
        core.counter(ConnectionsAccepted)
    });
    let help = "Requests whose head and body were read.";
    per_core(out, metrics, "ringmesh_http_requests_total", Type::Counter, help, |core| {
        core.counter(RequestsStarted)
    });
    let help = "Requests being answered now.";
    out.single("ringmesh_http_requests_in_flight", Type::Gauge, help, metrics.requests_in_flight());

    out.family("ringmesh_http_responses_total", Type::Counter, "Responses by the class of their status.");
    for class in 0..STATUS_CLASSES {
        let name = ["1xx", "2xx", "3xx", "4xx", "5xx"][class];
        out.sample(&[("class", name)], sum(metrics, |core| core.responses(class)));
    }
    let help = "Bytes read from clients.";
    let bytes = sum(metrics, |core| core.counter(BytesReceived));
    out.single("ringmesh_http_received_bytes_total", Type::Counter, help, bytes);
    let help = "Bytes written to clients.";
    out.single(
        "ringmesh_http_sent_bytes_total",
        Type::Counter,
        help,
        sum(metrics, |core| core.counter(BytesSent)),
    );
}

fn limits(out: &mut Exposition, metrics: &Metrics) {
    out.family("ringmesh_limit_hits_total", Type::Counter, "Times a limit refused, cut or closed something.");
    for info in Limit::ALL {
        out.sample(&[("limit", info.name)], sum(metrics, |core| core.hits(info.limit)));
    }
}

/// Series of methods and tools that were never used are left out, so that the answer stays short.
fn operations(out: &mut Exposition, metrics: &Metrics) {
    let help = "Duration of MCP requests and notifications by method.";
    out.family("mcp_server_operation_duration_seconds", Type::Histogram, help);
    for (index, method) in metrics.methods.iter().enumerate() {
        used_histogram(out, ("mcp_method_name", method), metrics, |core| core.method(index));
    }
    out.family(
        "ringmesh_operation_errors_total",
        Type::Counter,
        "MCP operations that failed, by method and error.",
    );
    for (index, method) in metrics.methods.iter().enumerate() {
        errors(out, ("mcp_method_name", method), metrics, |core, error| core.method_errors(index, error));
    }
    out.family("ringmesh_tool_duration_seconds", Type::Histogram, "Duration of tool calls by tool.");
    for (index, tool) in metrics.tools.iter().enumerate() {
        used_histogram(out, ("gen_ai_tool_name", tool), metrics, |core| core.tool(index));
    }
    out.family("ringmesh_tool_errors_total", Type::Counter, "Tool calls that failed, by tool and error.");
    for (index, tool) in metrics.tools.iter().enumerate() {
        errors(out, ("gen_ai_tool_name", tool), metrics, |core, error| core.tool_errors(index, error));
    }
}

pub(super) fn used_histogram<'m>(
    out: &mut Exposition,
    label: (&'static str, &str),
    metrics: &'m Metrics,
    histogram: impl Fn(&'m CoreMetrics) -> &'m Histogram,
) {
    let mut total = Total::default();
    metrics.cores.iter().for_each(|core| total.add(histogram(core)));
    if total.count() > 0 {
        out.histogram(&[label], &total);
    }
}

fn errors(
    out: &mut Exposition,
    label: (&'static str, &str),
    metrics: &Metrics,
    count: impl Fn(&CoreMetrics, usize) -> u64,
) {
    for (index, error) in metrics.errors.iter().enumerate() {
        let total = sum(metrics, |core| count(core, index));
        if total > 0 {
            out.sample(&[label, ("error_type", error)], total);
        }
    }
}

fn sessions(out: &mut Exposition, snapshot: &Snapshot) {
    let help = "Sessions of clients of the older revisions, now.";
    out.single("ringmesh_sessions_open", Type::Gauge, help, snapshot.sessions_open);
    let help = "Sessions ended to make room for others.";
    out.single("ringmesh_sessions_evicted_total", Type::Counter, help, snapshot.sessions_evicted);
    let help = "Sessions ended because their time was over.";
    out.single("ringmesh_sessions_expired_total", Type::Counter, help, snapshot.sessions_expired);
}

fn streams(out: &mut Exposition, snapshot: &Snapshot) {
    let help = "Event streams of GET and subscriptions/listen open now.";
    out.single("ringmesh_event_streams_open", Type::Gauge, help, snapshot.event_streams);
    let help = "Bytes of events kept for clients that resume a stream.";
    out.single("ringmesh_replay_bytes", Type::Gauge, help, snapshot.replay_bytes);
    let help = "Events dropped for a limit, so that no client can resume before them.";
    out.single("ringmesh_replay_dropped_events_total", Type::Counter, help, snapshot.replay_dropped_events);
}

fn cores(out: &mut Exposition, metrics: &Metrics, snapshot: &Snapshot) {
    let panics = sum(metrics, |core| core.counter(Counter::Panics));
    out.single(
        "ringmesh_panics_total",
        Type::Counter,
        "Panics caught and answered as internal errors.",
        panics,
    );
    watched(out, snapshot, "ringmesh_core_ticks_total", Type::Counter, "Runs of the core's tick.", |core| {
        core.ticks as f64
    });
    let help = "Times the core did not tick for longer than the stall threshold.";
    watched(out, snapshot, "ringmesh_core_stalls_total", Type::Counter, help, |core| core.stalls as f64);
    let help = "Time the core spent working.";
    let busy = |core: &CoreState| core.busy.as_secs_f64();
    watched(out, snapshot, "ringmesh_core_busy_seconds_total", Type::Counter, help, busy);
    let help = "Time since the core's last tick.";
    let age = |core: &CoreState| core.tick_age.as_secs_f64();
    watched(out, snapshot, "ringmesh_core_tick_age_seconds", Type::Gauge, help, age);
}

fn watched(
    out: &mut Exposition,
    snapshot: &Snapshot,
    name: &'static str,
    kind: Type,
    help: &str,
    value: impl Fn(&CoreState) -> f64,
) {
    out.family(name, kind, help);
    for core in &snapshot.cores {
        out.sample(&[("core", &core.core.to_string())], value(core));
    }
}

fn process(out: &mut Exposition, process: &ProcessStats) {
    let help = "Processor time used, user and system.";
    out.single("process_cpu_seconds_total", Type::Counter, help, process.cpu.as_secs_f64());
    let help = "Resident memory.";
    out.single("process_resident_memory_bytes", Type::Gauge, help, process.resident_bytes);
    let help = "Virtual memory.";
    out.single("process_virtual_memory_bytes", Type::Gauge, help, process.virtual_bytes);
    out.single("process_open_fds", Type::Gauge, "Open file descriptors.", process.open_fds);
    let help = "File descriptors that may be open.";
    out.single("process_max_fds", Type::Gauge, help, process.max_fds);
    out.single("process_threads", Type::Gauge, "Threads.", process.threads);
    let help = "Start of the process, in seconds since 1970.";
    out.single("process_start_time_seconds", Type::Gauge, help, process.started_unix_s);
}

fn sum(metrics: &Metrics, value: impl Fn(&CoreMetrics) -> u64) -> u64 {
    metrics.cores.iter().map(|core| value(core)).sum()
}

fn per_core(
    out: &mut Exposition,
    metrics: &Metrics,
    name: &'static str,
    kind: Type,
    help: &str,
    value: impl Fn(&CoreMetrics) -> u64,
) {
    out.family(name, kind, help);
    for (core, label) in metrics.cores.iter().zip(&metrics.core_labels) {
        out.sample(&[("core", label)], value(core));
    }
}
