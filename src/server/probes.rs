//! `/health`, `/livez`, `/readyz` and `/metrics`: for supervisors, balancers and scrapers, without Host, Origin or
//! authentication checks.

use super::core::CoreState;
use super::exchange::Reply;
use super::p2p;
use super::shared::Shared;
use crate::http::{JSON, Method, Reject, Request, ResponseHead, write_reject, write_response};
use crate::observe::{self, ProcessStats, ServerState, Snapshot};
use crate::runtime::CoreHealth;

/// The methods of a probe.
const ALLOW: &str = "GET, HEAD";

/// Answers a probe; false when the path is not one.
pub(super) fn answer(core: &CoreState, request: &Request<'_>, reply: &Reply, out: &mut Vec<u8>) -> bool {
    let probe: fn(&Shared) -> (u16, &'static str, String) = match request.path {
        "/health" => |shared| json(state(shared).health()),
        "/livez" => |shared| json(state(shared).livez()),
        "/readyz" => |shared| json(state(shared).readyz()),
        "/metrics" => {
            |shared| (200, observe::metrics::CONTENT_TYPE, shared.metrics.render(&snapshot(shared)))
        }
        _ => return false,
    };
    let date = core.date();
    if !matches!(request.method, Method::Get | Method::Head) {
        core.metrics().response(405);
        write_reject(out, &Reject::method_not_allowed(ALLOW), &reply.head(405, &date));
        return true;
    }
    let (status, content_type, body) = probe(&core.shared);
    core.metrics().response(status);
    let extra = [("Cache-Control", "no-store")];
    let head = ResponseHead { content_type: Some(content_type), extra: &extra, ..reply.head(status, &date) };
    write_response(out, &head, body.as_bytes());
    true
}

fn json(answer: observe::ProbeAnswer) -> (u16, &'static str, String) {
    (answer.status, JSON, answer.body)
}

fn cores(shared: &Shared) -> Vec<observe::CoreState> {
    let report = shared.watchdog.as_ref().map(|watchdog| watchdog.report()).unwrap_or_default();
    let core = |health: CoreHealth| observe::CoreState {
        core: health.core,
        tick_age: health.last_tick_age,
        stalled: health.stalled,
        stalls: health.stalls,
        ticks: health.ticks,
        busy: health.busy,
        activity: health.activity,
    };
    report.into_iter().map(core).collect()
}

fn state(shared: &Shared) -> ServerState {
    ServerState {
        name: shared.config.server_name.clone(),
        phase: shared.life.phase(),
        uptime: shared.started_at.elapsed(),
        cores: cores(shared),
        connections: shared.metrics.connections_open(),
        sessions: shared.dispatcher.sessions() as u64,
        tools: shared.dispatcher.tools().len(),
        p2p: shared.p2p.as_ref().map(|p2p| p2p.state()),
    }
}

fn snapshot(shared: &Shared) -> Snapshot {
    let ended = shared.dispatcher.session_totals();
    Snapshot {
        ready: shared.life.phase() == observe::Phase::Ready,
        sessions_open: shared.dispatcher.sessions() as u64,
        sessions_evicted: ended.evicted,
        sessions_expired: ended.never_initialized + ended.idle,
        event_streams: shared.dispatcher.event_streams() as u64,
        replay_bytes: shared.dispatcher.replay_bytes(),
        replay_dropped_events: shared.dispatcher.dropped_events(),
        buffered_bytes: shared.budget.held(),
        blocking_running: shared.threads.running(),
        blocking_waiting: shared.threads.waiting(),
        p2p_peers: p2p::peers_known(shared),
        tasks: shared.store.as_ref().map(|store| store.stats()),
        cores: cores(shared),
        process: ProcessStats::read(),
    }
}

/// Whether every core ticked lately, as `/livez` says it.
pub(super) fn is_alive(shared: &Shared) -> bool {
    state(shared).livez().status == 200
}
