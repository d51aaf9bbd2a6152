//! What `status` and `heartbeat` tell.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::Serialize;

use super::Scheduler;
use super::members::Member;
use crate::mcp::json::{self, Object};
use crate::store::QueueCounts;

/// Peers that the answer to a heartbeat names.
const MAX_HEARTBEAT_PEERS: usize = 256;
/// Each of the two lists of `status` ends before this many bytes.
const MAX_LIST_BYTES: usize = 256 << 10;
/// Each of the two counts by type ends before this many bytes of names.
const MAX_TYPES_BYTES: usize = 32 << 10;
/// Types of tasks that are run in containers.
const CONTAINER_TYPES: [&str; 3] = ["docker.execute", "docker.execute_docker_container", "docker.github"];
/// What this node runs itself: nothing.
const CAPABILITIES: &str = r#"{"task_types":[],"models":[],"endpoints_by_model":{},"endpoint_types_by_model":{},"hwtest":{},"resource_keys":[]}"#;
const NAT: &str = r#"{"autonat":{"supported":false,"status":"unavailable","code":null}}"#;
const LOCAL_WORKER: &str = r#"{"enabled":false,"docker_enabled":false,"supported_task_types":[]}"#;

/// How peers learn that this node keeps workflow tasks for others and hands them over.
const WORKFLOW: &str = r#"{"operations":["workflow.fetch","workflow.ack"]}"#;

/// The members of a `status` without detail, written once.
pub(super) fn head(session: &str) -> String {
    let object = json::object(|object| {
        object.raw("ok", "true");
        object.raw("capabilities", CAPABILITIES);
        object.raw("nat", NAT);
        object.string("session", session);
        object.raw("workflow", WORKFLOW);
    });
    object[1..object.len() - 1].to_owned()
}

/// Adds what `status` says with detail.
pub(super) fn write_detail(object: &mut Object<'_>, scheduler: &Scheduler, counts: &QueueCounts) {
    let queue = json::object(|object| {
        object.raw("queued", &counts.queued.to_string());
        object.raw("running", &counts.running.to_string());
        by_type(object, "queued_by_type", &counts.queued_by_type);
        by_type(object, "running_by_type", &counts.running_by_type);
    });
    object.raw("queue", &queue);
    let workers = || scheduler.alive.iter().filter(|member| !member.worker_id.is_empty());
    let in_containers: HashSet<&str> = workers()
        .filter(|member| member.supported_task_types.iter().any(|name| CONTAINER_TYPES.contains(&&**name)))
        .map(|member| &*member.worker_id)
        .collect();
    let counts = serde_json::json!({
        "peers": scheduler.alive.len(),
        "workers": workers().count(),
        "docker_workers": in_containers.len(),
        "docker_workers_configured": 0,
    });
    let text = json::object(|object| {
        object.value("clock", &scheduler.clock);
        list(object, "known_peers", scheduler.alive.iter().map(|member| &**member));
        list(object, "known_workers", workers().map(|member| &**member));
        object.value("counts", &counts);
    });
    object.raw("scheduler", &text);
    object.raw("local_worker", LOCAL_WORKER);
}

/// A member of the answer to a heartbeat.
#[derive(Serialize)]
struct Seen<'a> {
    peer_id: &'a str,
    last_seen: f64,
}

/// Adds what a heartbeat is answered with.
pub(super) fn write_heartbeat(object: &mut Object<'_>, peer: &str, scheduler: &Scheduler) {
    object.raw("ok", "true");
    object.string("peer", peer);
    let seen = |member: &Arc<Member>| {
        serde_json::to_string(&Seen { peer_id: &member.peer_id, last_seen: member.last_seen })
    };
    let text = json::object(|object| {
        object.value("clock", &scheduler.clock);
        let rows: Vec<_> =
            scheduler.alive.iter().take(MAX_HEARTBEAT_PEERS).filter_map(|member| seen(member).ok()).collect();
        object.raw("known_peers", &format!("[{}]", rows.join(",")));
    });
    object.raw("scheduler", &text);
}

/// How many tasks each type has, as far as there is room.
fn by_type(object: &mut Object<'_>, key: &str, counts: &BTreeMap<Arc<str>, usize>) {
    let mut bytes = 0;
    let fits = |(name, _): &(&Arc<str>, &usize)| {
        bytes += name.len() + 24;
        bytes <= MAX_TYPES_BYTES
    };
    let fitting: BTreeMap<&str, usize> =
        counts.iter().take_while(fits).map(|(name, count)| (&**name, *count)).collect();
    object.value(key, &fitting);
}

/// A list of members, as far as there is room.
fn list<'a>(object: &mut Object<'_>, key: &str, members: impl Iterator<Item = &'a Member>) {
    let out = object.place(key);
    let start = out.len();
    out.push(b'[');
    for member in members {
        let Ok(row) = json::line(member) else { continue };
        if out.len() - start + row.len() + 2 > MAX_LIST_BYTES {
            break;
        }
        if out.len() > start + 1 {
            out.push(b',');
        }
        out.extend_from_slice(row.as_bytes());
    }
    out.push(b']');
}
