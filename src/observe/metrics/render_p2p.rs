//! What the metrics of libp2p are called.

use super::Metrics;
use super::exposition::{Exposition, Type};
use super::histogram::Total;
use super::p2p::{DialFailure, Direction, HandshakeFailure, P2pMetrics};
use super::render::{Snapshot, used_histogram};

pub(super) fn render(out: &mut Exposition, metrics: &Metrics, snapshot: &Snapshot) {
    let Some(peers) = snapshot.p2p_peers else { return };
    let help = "libp2p peers that are remembered.";
    out.single("ringmesh_p2p_peers_known", Type::Gauge, help, peers);
    connections(out, metrics);
    dials(out, metrics);
    streams(out, metrics);
    operations(out, metrics);
}

fn connections(out: &mut Exposition, metrics: &Metrics) {
    let help = "libp2p connections open now, by core and by who opened them.";
    by_core(out, metrics, "ringmesh_p2p_connections_open", Type::Gauge, help, |(open, _)| open);
    let help = "libp2p connections that came to be, by core and by who opened them.";
    by_core(out, metrics, "ringmesh_p2p_connections_total", Type::Counter, help, |(_, total)| total);
    let help = "Accepted libp2p connections that did not come to be, by reason.";
    out.family("ringmesh_p2p_handshakes_failed_total", Type::Counter, help);
    for (why, name) in HandshakeFailure::ALL {
        out.sample(&[("reason", name)], sum(metrics, |core| core.handshakes_failed(why)));
    }
}

fn by_core(
    out: &mut Exposition,
    metrics: &Metrics,
    name: &'static str,
    kind: Type,
    help: &str,
    which: impl Fn((u64, u64)) -> u64,
) {
    out.family(name, kind, help);
    for (core, label) in metrics.cores.iter().zip(&metrics.core_labels) {
        for (direction, name) in Direction::ALL {
            let value = which(core.p2p().connections_of(direction));
            out.sample(&[("core", label), ("direction", name)], value);
        }
    }
}

fn dials(out: &mut Exposition, metrics: &Metrics) {
    let help = "Dials of libp2p peers, those that failed included.";
    out.single("ringmesh_p2p_dials_total", Type::Counter, help, sum(metrics, P2pMetrics::dials));
    out.family("ringmesh_p2p_dials_failed_total", Type::Counter, "Dials that failed, by reason.");
    for (why, name) in DialFailure::ALL {
        out.sample(&[("reason", name)], sum(metrics, |core| core.dials_failed(why)));
    }
    let help = "Duration of the dials that succeeded, handshakes included.";
    out.family("ringmesh_p2p_dial_duration_seconds", Type::Histogram, help);
    let mut total = Total::default();
    metrics.cores.iter().for_each(|core| total.add(core.p2p().dial_time()));
    out.histogram(&[], &total);
    let help = "Dialled libp2p connections that are kept now.";
    out.single("ringmesh_p2p_pool_connections", Type::Gauge, help, sum(metrics, P2pMetrics::pool));
}

fn streams(out: &mut Exposition, metrics: &Metrics) {
    out.family("ringmesh_p2p_streams_open", Type::Gauge, "Streams of libp2p peers open now, by protocol.");
    for (index, name) in metrics.p2p_protocols.iter().enumerate() {
        out.sample(&[("protocol", name)], sum(metrics, |core| core.streams(index).0));
    }
    let help = "Streams that libp2p peers opened, by protocol; `_other` agreed on none.";
    out.family("ringmesh_p2p_streams_total", Type::Counter, help);
    for (index, name) in metrics.p2p_protocols.iter().enumerate() {
        out.sample(&[("protocol", name)], sum(metrics, |core| core.streams(index).1));
    }
}

/// Series of operations that were never asked for are left out.
fn operations(out: &mut Exposition, metrics: &Metrics) {
    let help = "Duration of task queue operations and of heartbeats sent, by operation.";
    out.family("ringmesh_p2p_operation_duration_seconds", Type::Histogram, help);
    for (index, name) in metrics.p2p_operations.iter().enumerate() {
        used_histogram(out, ("operation", name), metrics, |core| core.p2p().operation_time(index));
    }
    let help = "Task queue operations and heartbeats that failed, by operation.";
    out.family("ringmesh_p2p_operation_errors_total", Type::Counter, help);
    for (index, name) in metrics.p2p_operations.iter().enumerate() {
        let errors = sum(metrics, |core| core.operation_errors(index));
        if errors > 0 {
            out.sample(&[("operation", name)], errors);
        }
    }
}

fn sum(metrics: &Metrics, value: impl Fn(&P2pMetrics) -> u64) -> u64 {
    metrics.cores.iter().map(|core| value(core.p2p())).sum()
}
