//! What the libp2p node of one core counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::histogram::{Histogram, Measured, bump};

/// Which side opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Direction {
    /// The peer.
    Accepted,
    /// This node.
    Dialled,
}

impl Direction {
    pub(super) const ALL: [(Direction, &'static str); 2] =
        [(Direction::Accepted, "accepted"), (Direction::Dialled, "dialled")];
}

/// Why an accepted connection did not come to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum HandshakeFailure {
    /// The time was over.
    Timeout,
    /// The connection ended in the middle.
    Ended,
    /// The peer did not agree on Noise or Yamux, or spoke something else.
    Protocol,
    /// The peer proved nothing: garbage, or a bad signature.
    Noise,
    /// The peer is not let in, by the lists of peers.
    Denied,
    /// A limit was hit.
    Limit,
}

impl HandshakeFailure {
    pub(super) const ALL: [(HandshakeFailure, &'static str); 6] = [
        (HandshakeFailure::Timeout, "timeout"),
        (HandshakeFailure::Ended, "ended"),
        (HandshakeFailure::Protocol, "protocol"),
        (HandshakeFailure::Noise, "noise"),
        (HandshakeFailure::Denied, "denied"),
        (HandshakeFailure::Limit, "limit"),
    ];
}

/// Why a dial failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum DialFailure {
    /// The time was over.
    Timeout,
    /// The name has no address that can be used.
    Resolve,
    /// Nobody answers at the address.
    Connect,
    /// The handshake failed.
    Handshake,
    /// Somebody else is there.
    WrongPeer,
    /// A limit was hit.
    Limit,
}

impl DialFailure {
    pub(super) const ALL: [(DialFailure, &'static str); 6] = [
        (DialFailure::Timeout, "timeout"),
        (DialFailure::Resolve, "resolve"),
        (DialFailure::Connect, "connect"),
        (DialFailure::Handshake, "handshake"),
        (DialFailure::WrongPeer, "wrong_peer"),
        (DialFailure::Limit, "limit"),
    ];
}

/// One core's block. Only that core's thread may call the methods that count.
#[derive(Debug)]
pub struct P2pMetrics {
    connections: [AtomicU64; Direction::ALL.len()],
    connections_open: [AtomicU64; Direction::ALL.len()],
    handshakes_failed: [AtomicU64; HandshakeFailure::ALL.len()],
    dials: AtomicU64,
    dials_failed: [AtomicU64; DialFailure::ALL.len()],
    dial_time: Histogram,
    pool: AtomicU64,
    streams: Box<[AtomicU64]>,
    streams_open: Box<[AtomicU64]>,
    operations: Box<[Histogram]>,
    operation_errors: Box<[AtomicU64]>,
}

fn zeros(count: usize) -> Box<[AtomicU64]> {
    std::iter::repeat_with(|| AtomicU64::new(0)).take(count).collect()
}

impl P2pMetrics {
    /// Each count includes the entry for everything else, which is the last.
    pub(super) fn new(protocols: usize, operations: usize) -> Self {
        Self {
            connections: [const { AtomicU64::new(0) }; _],
            connections_open: [const { AtomicU64::new(0) }; _],
            handshakes_failed: [const { AtomicU64::new(0) }; _],
            dials: AtomicU64::new(0),
            dials_failed: [const { AtomicU64::new(0) }; _],
            dial_time: Histogram::new(),
            pool: AtomicU64::new(0),
            streams: zeros(protocols),
            streams_open: zeros(protocols),
            operations: std::iter::repeat_with(Histogram::new).take(operations).collect(),
            operation_errors: zeros(operations),
        }
    }

    /// A connection is secured and multiplexed.
    pub fn connection_opened(&self, direction: Direction) {
        bump(&self.connections[direction as usize], 1);
        bump(&self.connections_open[direction as usize], 1);
    }

    /// A connection that was opened on this core has closed.
    pub fn connection_closed(&self, direction: Direction) {
        lower(&self.connections_open[direction as usize]);
    }

    /// An accepted connection did not come to be.
    pub fn handshake_failed(&self, why: HandshakeFailure) {
        bump(&self.handshakes_failed[why as usize], 1);
    }

    /// A dial ended, well or not, after this time.
    pub fn dialled(&self, failed: Option<DialFailure>, duration: Duration) {
        bump(&self.dials, 1);
        match failed {
            Some(why) => bump(&self.dials_failed[why as usize], 1),
            None => self.dial_time.record(Measured::new(duration)),
        }
    }

    /// So many dialled connections are kept.
    pub fn pooled(&self, connections: usize) {
        self.pool.store(connections as u64, Relaxed);
    }

    /// A stream of a peer agreed on the protocol with this index among the names; one without a name counts as `_other`.
    pub fn stream_opened(&self, protocol: usize) {
        let protocol = protocol.min(self.streams.len() - 1);
        bump(&self.streams[protocol], 1);
        bump(&self.streams_open[protocol], 1);
    }

    /// A stream that was opened on this core has ended.
    pub fn stream_closed(&self, protocol: usize) {
        lower(&self.streams_open[protocol.min(self.streams_open.len() - 1)]);
    }

    /// An operation ended: its index among the names, whether it failed, and how long it took.
    pub fn operation(&self, operation: usize, error: bool, duration: Duration) {
        let operation = operation.min(self.operations.len() - 1);
        self.operations[operation].record(Measured::new(duration));
        bump(&self.operation_errors[operation], u64::from(error));
    }

    /// Connections open on this core now, of both directions.
    pub fn connections_open(&self) -> u64 {
        self.connections_open.iter().map(|count| count.load(Relaxed)).sum()
    }

    pub(super) fn connections_of(&self, direction: Direction) -> (u64, u64) {
        let index = direction as usize;
        (self.connections_open[index].load(Relaxed), self.connections[index].load(Relaxed))
    }

    pub(super) fn handshakes_failed(&self, why: HandshakeFailure) -> u64 {
        self.handshakes_failed[why as usize].load(Relaxed)
    }

    pub(super) fn dials(&self) -> u64 {
        self.dials.load(Relaxed)
    }

    pub(super) fn dials_failed(&self, why: DialFailure) -> u64 {
        self.dials_failed[why as usize].load(Relaxed)
    }

    pub(super) fn dial_time(&self) -> &Histogram {
        &self.dial_time
    }

    pub(super) fn pool(&self) -> u64 {
        self.pool.load(Relaxed)
    }

    pub(super) fn streams(&self, protocol: usize) -> (u64, u64) {
        (self.streams_open[protocol].load(Relaxed), self.streams[protocol].load(Relaxed))
    }

    pub(super) fn operation_time(&self, operation: usize) -> &Histogram {
        &self.operations[operation]
    }

    pub(super) fn operation_errors(&self, operation: usize) -> u64 {
        self.operation_errors[operation].load(Relaxed)
    }
}

/// Takes one off a gauge. A caller that ends more than it started would wrap it, so it stops at 0.
fn lower(gauge: &AtomicU64) {
    gauge.store(gauge.load(Relaxed).saturating_sub(1), Relaxed);
}
