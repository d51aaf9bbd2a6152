//! The shapes of answers, as clients are told and as answers of peers are held to. A failure has `ok`, `error` and
//! `message`; everything else may be absent then.
#![allow(dead_code, reason = "they are read for their shape, and their schemas are listed")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{AnyJson, AnyObject};

/// Defines answers: the members of every one, then its own.
macro_rules! answers {
    ($($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $about:literal])+ $field:ident: $type:ty,)* })*) => { $(
        $(#[doc = $doc])+
        #[derive(Deserialize, JsonSchema)]
        pub(super) struct $name {
            /// Whether it was done.
            ok: bool,
            /// A stable code, where it was not.
            error: Option<String>,
            /// What to do then.
            message: Option<String>,
            /// The node that answered.
            peer_id: Option<String>,
            $($(#[doc = $about])+ $field: Option<$type>,)*
        }
    )* };
}

answers! {
    /// A node.
    NodeAnswer {
        /// What it can do: `task_types`, `models` and more.
        capabilities: AnyObject,
        /// How it is reached from outside.
        nat: AnyJson,
        /// The session that it belongs to.
        session: AnyJson,
        /// With detail: how many tasks are `queued` and `running`, in all and by type.
        queue: AnyObject,
        /// With detail: its clock and the peers that it has heard of.
        scheduler: AnyObject,
    }

    /// A task that was named.
    TaskIdAnswer {
        /// The task.
        task_id: String,
    }

    /// A task, or none.
    TaskAnswer {
        /// The task; null where there is none.
        task: Task,
    }

    /// What was claimed.
    ClaimAnswer {
        /// The first task; null where there is none.
        task: Task,
        /// All of them, where several were asked for.
        tasks: Vec<Task>,
    }

    /// Tasks.
    TasksAnswer {
        /// The oldest first.
        tasks: Vec<Task>,
        /// Where there are more: the cursor that goes on behind the last one.
        cursor: String,
    }

    /// What a tool of a node came to.
    ToolAnswer {
        /// The tool.
        tool: String,
        /// What it does.
        description: String,
        /// What it returned.
        result: AnyJson,
    }

    /// Who was heard, and what the node knows of the others.
    HeartbeatAnswer {
        /// Whose heartbeat it was.
        peer: String,
        /// The node's clock, and the peers that it has heard of.
        scheduler: AnyObject,
        /// Tasks whose leases were renewed.
        renewed: Vec<String>,
        /// Tasks that need not be done any more.
        cancelled: Vec<String>,
        /// Progress that was refused: a `task_id` and an `error` each.
        progress_errors: Vec<AnyObject>,
    }

    /// A value of the cache.
    CacheAnswer {
        /// The key.
        key: String,
        /// Whether there is a value.
        hit: bool,
        /// The value.
        value: AnyJson,
    }

    /// The peers that a node knows.
    PeersAnswer {
        /// This node.
        self_peer_id: String,
        /// The TCP port where it takes peers.
        listen_port: u16,
        /// When it started, in seconds since 1970.
        started_at: f64,
        /// How many peers follow.
        count: u64,
        /// Bootstrap peers first, then the one heard last.
        peers: Vec<Peer>,
        /// By method asked for, what it came to.
        discovery: BTreeMap<String, Discovery>,
    }
}

/// A task.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Task {
    /// 32 hexadecimal digits.
    task_id: String,
    task_type: Option<String>,
    model_name: Option<String>,
    payload: Option<AnyJson>,
    /// queued, running, completed, failed or cancelled.
    status: Option<String>,
    /// Who claimed it.
    assigned_worker: Option<String>,
    /// Seconds since 1970.
    created_at: Option<f64>,
    /// Seconds since 1970.
    updated_at: Option<f64>,
    result: Option<AnyJson>,
    /// Why it failed.
    error: Option<AnyJson>,
    /// 1 to 10; 10 is claimed first.
    priority: Option<i64>,
    /// How often it was claimed.
    attempt: Option<u64>,
    max_attempts: Option<u64>,
    /// The key that it was submitted with.
    idempotency_key: Option<String>,
    /// Where it waits for its time: when that is, in seconds since 1970; 0 otherwise.
    next_attempt_at: Option<f64>,
    /// When the claim ends unless it is renewed, in seconds since 1970; null where nobody holds the task.
    lease_until: Option<f64>,
    /// When its holder was last heard of, where the node keeps that.
    heartbeat_at: Option<f64>,
    /// Proves this claim and no other; pass it to complete_task.
    fencing_token: Option<u64>,
    /// True once its attempts are used up.
    dead_letter: Option<bool>,
    /// Members that were too long for the answer: payload, result.
    omitted: Option<Vec<String>>,
}

/// A peer.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Peer {
    peer_id: String,
    /// Where to dial it; absent where that is not known.
    multiaddr: Option<String>,
    /// Everywhere it may be found.
    multiaddrs: Vec<String>,
    /// Whether the configuration names it.
    bootstrap: bool,
    connected: bool,
    /// When it was last heard of, in seconds since 1970; null: not yet.
    last_seen: Option<f64>,
    /// The program it says it is.
    agent: Option<String>,
    /// The protocols it says it speaks.
    protocols: Vec<String>,
    /// The last round trip.
    round_trip_ms: Option<f64>,
    /// Its answer to `status`, where that was asked for.
    status: Option<AnyObject>,
}

/// What a method of discovery came to.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Discovery {
    /// Whether this node has the method.
    available: bool,
    /// What that means.
    message: String,
}
