//! Every limit of the server: its name, default, range and meaning, in one table.
//!
//! A limit keeps one name everywhere: in the configuration file, in the environment (`RINGMESH_<NAME>`), in error
//! messages and as the `limit` label of the metric `ringmesh_limit_hits_total`.

mod bounded;

use std::time::Duration;

pub(crate) use bounded::{Bounded, Place};

/// What one limit is: the row that configuration, documentation and metrics share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitInfo {
    /// The limit itself.
    pub limit: Limit,
    /// Its name, units last, as in the configuration file.
    pub name: &'static str,
    /// The value that is used when nothing is configured.
    pub default: u64,
    /// The smallest value allowed.
    pub min: u64,
    /// The largest value allowed.
    pub max: u64,
    /// What it bounds and what a client sees when it is hit.
    pub doc: &'static str,
}

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $variant:ident, $field:ident, $default:expr, $min:expr, $max:expr;)*) => {
        /// The identity of a limit, as an index into per-core counters.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Limit { $($(#[doc = $doc])+ $variant,)* }

        impl Limit {
            /// Every limit, in the order of their indexes.
            pub const ALL: &'static [LimitInfo] = &[$(LimitInfo {
                limit: Limit::$variant,
                name: stringify!($field),
                default: $default,
                min: $min,
                max: $max,
                doc: concat!($($doc),+).trim_ascii_start(),
            },)*];
            /// How many limits there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The limit's row in the table.
            pub fn info(self) -> &'static LimitInfo {
                &Self::ALL[self as usize]
            }

            /// The limit's name, as configured and as a metric label.
            pub fn name(self) -> &'static str {
                self.info().name
            }
        }

        /// The values in force, one field a limit.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits { $($(#[doc = $doc])+ pub $field: u64,)* }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Limits {
            /// The value in force for one limit.
            pub fn value(&self, limit: Limit) -> u64 {
                match limit { $(Limit::$variant => self.$field,)* }
            }

            /// Sets one limit, or says what is allowed.
            ///
            /// # Errors
            /// A value outside the limit's range is refused with a sentence that names the range.
            pub fn set(&mut self, limit: Limit, value: u64) -> Result<(), String> {
                let info = limit.info();
                if value < info.min || value > info.max {
                    return Err(format!("{} must be from {} to {}, not {value}", info.name, info.min, info.max));
                }
                match limit { $(Limit::$variant => self.$field = value,)* }
                Ok(())
            }

            /// A limit that counts milliseconds, as a duration.
            pub fn duration(&self, limit: Limit) -> Duration {
                debug_assert!(limit.name().ends_with("_ms"), "{} is no duration", limit.name());
                Duration::from_millis(self.value(limit))
            }
        }
    };
}

limits! {
    /// Bytes of a request line and its headers together; more is answered 431.
    HeadBytes, max_head_bytes, 16 << 10, 512, 1 << 20;
    /// Headers of one request; more is answered 431.
    Headers, max_headers, 64, 8, 256;
    /// Bytes of one request body after decoding; more is answered 413.
    BodyBytes, max_body_bytes, 4 << 20, 1 << 10, 1 << 30;
    /// Open client connections of the process; one more is answered 503 and closed.
    Connections, max_connections, 10_000, 1, 1_000_000;
    /// Open connections to the address of the probes, where they have one of their own; one more is answered 503 and closed.
    ProbeConnections, max_probe_connections, 64, 1, 10_000;
    /// Requests of the process whose handler has not finished; one more is answered 503 with Retry-After.
    InflightRequests, max_inflight_requests, 4_096, 1, 1_000_000;
    /// Bytes of bodies and write buffers that the process holds; past it a request is answered 503 with Retry-After.
    BufferedBytes, max_buffered_bytes, 256 << 20, 1 << 20, 1 << 40;
    /// Bytes read ahead of the request being answered on one connection; past it the server stops reading.
    ReadAheadBytes, max_read_ahead_bytes, 64 << 10, 1 << 10, 16 << 20;
    /// Milliseconds from the first byte of a request head to its last; then 408 and the connection closes.
    HeaderTime, header_timeout_ms, 10_000, 10, 3_600_000;
    /// Milliseconds from the end of a head to the end of its body; then 408 and the connection closes.
    BodyTime, body_timeout_ms, 30_000, 10, 3_600_000;
    /// Milliseconds a kept-alive connection may wait for its next request; then it is closed.
    IdleTime, idle_timeout_ms, 75_000, 10, 86_400_000;
    /// Milliseconds a write may wait for a client that does not read; then the connection is reset.
    WriteTime, write_timeout_ms, 30_000, 10, 3_600_000;
    /// Depth of nested arrays and objects in a request body; deeper is answered 400.
    JsonDepth, max_json_depth, 64, 8, 120;
    /// Bytes of events queued on one response stream; past it the tool's next event waits.
    StreamQueueBytes, max_stream_queue_bytes, 256 << 10, 1 << 10, 64 << 20;
    /// Sessions of clients of the revisions before 2026-07-28; with no session to evict, one more is answered 503.
    Sessions, max_sessions, 10_000, 1, 1_000_000;
    /// Sessions of one principal; one more is answered 503.
    SessionsPerPrincipal, max_sessions_per_principal, 10_000, 1, 1_000_000;
    /// Milliseconds a session may stay unused; then it ends and its id is answered 404.
    SessionIdleTime, session_idle_timeout_ms, 1_800_000, 100, 86_400_000;
    /// Milliseconds a session may wait for `notifications/initialized`; then it ends.
    SessionInitTime, session_init_timeout_ms, 30_000, 100, 3_600_000;
    /// Milliseconds one tool call, resource read, prompt or completion may take unless it says otherwise; then it is cancelled and answered as failed.
    ToolTime, tool_timeout_ms, 30_000, 10, 86_400_000;
    /// Entries on one page of a list result; the rest follows with a cursor.
    PageEntries, max_page_entries, 100, 1, 10_000;
    /// Tools, resources, resource templates and prompts on offer, each kind by itself; one more is refused to the code that adds it.
    RegistryEntries, max_registry_entries, 10_000, 1, 1_000_000;
    /// Threads that run the tools registered as blocking.
    BlockingThreads, max_blocking_threads, 4, 1, 1_024;
    /// Calls of blocking tools that wait for a thread; one more is answered 503 with Retry-After.
    BlockingQueue, max_blocking_queue, 64, 1, 65_536;
    /// Event streams of the process that stay open (GET and `subscriptions/listen`); one more is answered 503 with Retry-After.
    EventStreams, max_event_streams, 4_096, 1, 1_000_000;
    /// Resources that one session or one `subscriptions/listen` may subscribe to; one more is refused with -32602.
    ResourceSubscriptions, max_resource_subscriptions, 256, 1, 65_536;
    /// Bytes of events that the process keeps for clients that resume a stream; past it the oldest are dropped.
    ReplayBytes, max_replay_bytes, 64 << 20, 1 << 10, 1 << 40;
    /// Bytes of events that one session keeps for resumption; past it its oldest are dropped.
    SessionReplayBytes, max_session_replay_bytes, 1 << 20, 1 << 10, 1 << 30;
    /// Streams of one session that can be resumed; past it the one that ended first is forgotten.
    SessionStreams, max_session_streams, 32, 1, 1_024;
    /// Milliseconds a stream that has ended, or lost its client, can still be resumed.
    ReplayTime, replay_ttl_ms, 300_000, 10, 86_400_000;
    /// Milliseconds that clients are asked to wait before they resume a stream (`retry`).
    RetryTime, sse_retry_ms, 1_000, 10, 600_000;
    /// Messages of one batch (2025-03-26); more are refused with 400.
    BatchMessages, max_batch_messages, 64, 1, 1_024;
    /// Bytes of a resource's URI; more are refused with -32602.
    UriBytes, max_uri_bytes, 2_048, 64, 65_536;
    /// Questions that one call may ask its client at once; more is an internal error.
    Questions, max_questions, 32, 1, 256;
    /// Milliseconds a call may wait for its client's answer in the revisions before 2026-07-28; the call's own time stands still meanwhile.
    ClientRequestTime, client_request_timeout_ms, 300_000, 10, 86_400_000;
    /// Bytes of the sealed `requestState` of a call that asks its client; a call that needs more is refused with -33413.
    RequestStateBytes, max_request_state_bytes, 16 << 10, 1 << 10, 16 << 10;
    /// Milliseconds a `requestState` can be used.
    RequestStateTime, request_state_ttl_ms, 600_000, 10, 86_400_000;
    /// States of `single_use` handlers that are remembered until they expire; with no room for one more, a retry is answered 503.
    SingleUseStates, max_single_use_states, 65_536, 16, 16_777_216;
    /// Milliseconds between keep-alive comments on a quiet event stream.
    KeepAliveTime, sse_keepalive_ms, 15_000, 100, 3_600_000;
    /// Open libp2p connections of the process, dialled ones included; one more is closed at once.
    P2pConnections, max_p2p_connections, 16_384, 1, 1_000_000;
    /// Open libp2p connections of one peer id; one more is closed after its handshake.
    P2pConnectionsPerPeer, max_p2p_connections_per_peer, 256, 1, 1_000_000;
    /// libp2p connections accepted a second, by the process; those beyond are closed before their handshake.
    P2pAcceptRate, max_p2p_accepts_per_s, 4_096, 1, 1_000_000;
    /// Handshakes of libp2p connections in progress on one core; one more is closed at once.
    P2pHandshakes, max_p2p_handshakes, 256, 1, 65_536;
    /// Streams open on one libp2p connection; one more is reset.
    P2pConnectionStreams, max_p2p_connection_streams, 1_024, 8, 4_096;
    /// Bytes that have come on the streams of one libp2p connection and that nobody has read yet; more ends the connection.
    P2pConnectionUnreadBytes, max_p2p_connection_unread_bytes, 16 << 20, 256 << 10, 1 << 30;
    /// Streams open on the libp2p connections of the process; one more is reset.
    P2pStreams, max_p2p_streams, 16_384, 8, 1_000_000;
    /// Bytes of one frame of `/mcp+p2p/1.0.0`; more ends the stream.
    P2pFrameBytes, max_p2p_frame_bytes, 16 << 20, 1 << 10, 1 << 30;
    /// Bytes of one line of the task queue RPC, its newline included; more is answered `frame_too_large`.
    P2pLineBytes, max_p2p_line_bytes, 1 << 20, 1 << 10, 1 << 20;
    /// Requests in progress on one stream of `/mcp+p2p/1.0.0`; the next one waits until one has ended.
    P2pStreamRequests, max_p2p_stream_requests, 128, 1, 4_096;
    /// Requests a second of one peer id over libp2p; those beyond are refused.
    P2pRequestRate, max_p2p_requests_per_s, 1_000_000, 1, 1_000_000_000;
    /// Requests that one peer id may send at once before `max_p2p_requests_per_s` holds it back.
    P2pRequestBurst, max_p2p_request_burst, 1_000_000, 1, 1_000_000_000;
    /// Requests a second of all peers together over libp2p; those beyond are refused.
    P2pTotalRate, max_p2p_total_requests_per_s, 10_000_000, 1, 1_000_000_000;
    /// Milliseconds from the first byte of a libp2p connection to the end of its handshake; then it is closed.
    P2pHandshakeTime, p2p_handshake_timeout_ms, 10_000, 10, 3_600_000;
    /// Milliseconds a libp2p connection may be without a stream; then it is closed.
    P2pIdleTime, p2p_idle_timeout_ms, 300_000, 10, 86_400_000;
    /// Milliseconds a stream of `/mcp+p2p/1.0.0` may be without a request in progress, or one of `/ipfs/ping/1.0.0` without a ping; then it is closed.
    P2pStreamIdleTime, p2p_stream_idle_timeout_ms, 300_000, 10, 86_400_000;
    /// Milliseconds from the opening of a stream to its protocol, and from the first byte of a request to its last; then the stream is reset.
    P2pRequestTime, p2p_request_timeout_ms, 30_000, 10, 3_600_000;
    /// Milliseconds a dial may take, its handshake included; then it has failed.
    P2pDialTime, p2p_dial_timeout_ms, 10_000, 10, 3_600_000;
    /// Connections that one core keeps to the peers it dialled; for one more, the one unused for longest is closed.
    P2pPoolConnections, max_p2p_pool_connections, 256, 1, 65_536;
    /// Peers that are remembered; for one more, the one not heard of for longest is forgotten.
    P2pPeers, max_p2p_peers, 4_096, 16, 1_000_000;
    /// Entries of a peer's logical clock, and of this node's; more are refused.
    P2pClockEntries, max_p2p_clock_entries, 4_096, 16, 65_536;
    /// Bytes of one record of the journal; a change that needs more is refused.
    JournalRecordBytes, max_journal_record_bytes, 5 << 20, 4 << 10, 64 << 20;
    /// Bytes of changes that wait for the journal of one core; one more is answered 503 with Retry-After.
    JournalWaitingBytes, max_journal_waiting_bytes, 64 << 20, 64 << 10, 4 << 30;
    /// Bytes written to the journal after which a snapshot is taken, or as many as the last one had, if that is more; recovery reads no more than both.
    JournalSnapshotBytes, journal_snapshot_bytes, 128 << 20, 1 << 20, 64 << 30;
    /// Tasks of the queue, finished ones included; one more is refused with `queue_full`.
    QueueTasks, max_queue_tasks, 4_000_000, 1, 1_000_000_000;
    /// Bytes of the payloads, results and errors of all tasks; past seven eighths of it the oldest finished tasks go, and a submit past it is refused with `queue_full`.
    QueueBytes, max_queue_bytes, 4 << 30, 1 << 20, 1 << 44;
    /// Types that the tasks of the queue may have at one time; a submit of one more is refused with `queue_full`.
    QueueTypes, max_queue_types, 1_024, 1, 65_536;
    /// Bytes of a task's payload as JSON text; more is refused with `too_large`.
    TaskPayloadBytes, max_task_payload_bytes, 960 << 10, 1 << 10, 960 << 10;
    /// Bytes of a task's result as JSON text, with its logs and progress; more is refused with `too_large`.
    TaskResultBytes, max_task_result_bytes, 960 << 10, 1 << 10, 960 << 10;
    /// Bytes of the names of a task: its type, model, session, worker, peer and idempotency key, each; more is refused with `too_large`.
    TaskNameBytes, max_task_name_bytes, 512, 16, 4_096;
    /// Tasks that one claim gives; a greater wish is lowered to it.
    ClaimTasks, max_claim_tasks, 128, 1, 1_024;
    /// Requests that wait for a task or for its end, each of them once for each type that it names; one more is refused with `overloaded`.
    TaskWaiters, max_task_waiters, 65_536, 1, 10_000_000;
    /// Milliseconds that a request may wait for a task or for its end; a longer wish is lowered to it.
    TaskWaitTime, max_task_wait_ms, 3_600_000, 1_000, 86_400_000;
    /// Milliseconds that a lease lasts which is claimed without a wish.
    TaskLeaseTime, task_lease_ms, 1_800_000, 1_000, 86_400_000;
    /// Milliseconds of the longest lease; a longer wish is lowered to it.
    TaskMaxLeaseTime, max_task_lease_ms, 86_400_000, 1_000, 864_000_000;
    /// Attempts that a task gets which does not say.
    TaskAttempts, task_max_attempts, 3, 1, 1_000;
    /// Milliseconds below which the delay of a first retry is drawn; the bound doubles with each attempt.
    TaskBackoffTime, task_backoff_ms, 1_000, 1, 3_600_000;
    /// Milliseconds below which the delay of any retry stays.
    TaskMaxBackoffTime, max_task_backoff_ms, 300_000, 1, 86_400_000;
    /// Milliseconds that a task is kept for the peer that owns it; then any peer may claim it.
    OwnershipHoldTime, task_ownership_hold_ms, 30_000, 1, 86_400_000;
    /// Milliseconds that an idempotency key names its task; a finished task is kept at least as long.
    IdempotencyTime, idempotency_window_ms, 86_400_000, 1_000, 2_592_000_000;
    /// Milliseconds that a finished task is kept.
    TaskRetentionTime, task_retention_ms, 604_800_000, 1_000, 31_536_000_000;
    /// Finished tasks that are kept; past it the oldest go.
    FinishedTasks, max_finished_tasks, 100_000, 0, 1_000_000_000;
    /// Bytes of the cache, 128 for each value included; past it the values used least recently go.
    CacheBytes, max_cache_bytes, 256 << 20, 1 << 20, 1 << 40;
    /// Bytes of a key of the cache; more is refused with `too_large`.
    CacheKeyBytes, max_cache_key_bytes, 1 << 10, 16, 65_536;
    /// Bytes of a value of the cache; more is refused with `too_large`.
    CacheValueBytes, max_cache_value_bytes, 960 << 10, 1 << 10, 960 << 10;
    /// Tasks of workflows that this node keeps, completed ones included; one more is refused with `workflow_full`.
    WorkflowTasks, max_workflow_tasks, 100_000, 1, 10_000_000;
    /// Bytes of all tasks of workflows; a submit past it is refused with `workflow_full`.
    WorkflowBytes, max_workflow_bytes, 256 << 20, 1 << 20, 1 << 40;
    /// Completed tasks of workflows that are kept; past it the oldest go.
    CompletedWorkflowTasks, max_completed_workflow_tasks, 10_000, 0, 10_000_000;
    /// Milliseconds that a completed task of a workflow is kept.
    WorkflowRetentionTime, workflow_retention_ms, 604_800_000, 1_000, 31_536_000_000;
    /// Milliseconds after which a task of a workflow that was given out and not completed is given out again.
    WorkflowAssignmentTime, workflow_assignment_ms, 1_800_000, 100, 864_000_000;
    /// Milliseconds of silence after which a peer owns no task of a workflow any more, and what it held is taken over.
    WorkflowPeerTime, workflow_peer_timeout_ms, 300_000, 100, 86_400_000;
    /// Bytes reserved on the disk for each segment of the journal; a quarter is the reserve that a full disk leaves.
    JournalSegmentBytes, journal_segment_bytes, 32 << 20, 1 << 20, 1 << 30;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_inside_its_range_and_reachable_by_name() {
        let limits = Limits::default();
        for (index, info) in Limit::ALL.iter().enumerate() {
            assert_eq!(info.limit as usize, index);
            assert!((info.min..=info.max).contains(&info.default), "{}", info.name);
            assert_eq!(limits.value(info.limit), info.default, "{}", info.name);
        }
    }

    #[test]
    fn a_value_outside_the_range_is_refused_and_named() {
        let mut limits = Limits::default();
        let error = limits.set(Limit::JsonDepth, 1_000).unwrap_err();
        assert_eq!(error, "max_json_depth must be from 8 to 120, not 1000");
        assert_eq!(limits, Limits::default());
        limits.set(Limit::JsonDepth, 16).unwrap();
        assert_eq!(limits.max_json_depth, 16);
    }
}
