//! The shapes of answers, as clients are told. A failure has `success`, `error`, `message`, `tool` and `timestamp`; everything
//! else may be absent then.
#![allow(dead_code, reason = "they are here for their schemas, which are listed")]

use std::collections::BTreeMap;

use schemars::JsonSchema;

/// Defines answers: the members of every one, then its own.
macro_rules! answers {
    ($($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $about:literal])+ $field:ident: $type:ty,)* })*) => { $(
        $(#[doc = $doc])+
        #[derive(JsonSchema)]
        pub(super) struct $name {
            /// Whether it was done.
            success: bool,
            /// A stable code, where it was not.
            error: Option<String>,
            /// What to do then, or why there is nothing.
            message: Option<String>,
            /// The tool that answers.
            tool: String,
            /// When it answers, in seconds since 1970.
            timestamp: f64,
            $($(#[doc = $about])+ $field: Option<$type>,)*
        }
    )* };
}

answers! {
    /// The scheduler of a node.
    StatusShape {
        /// The node.
        peer_id: String,
        /// Its clock.
        merkle_clock: Clock,
        /// Tasks that nobody has.
        pending_tasks: u64,
        /// Tasks that somebody has.
        assigned_tasks: u64,
        /// Tasks that are done and still kept.
        completed_tasks: u64,
        /// Pending tasks that this node would give out.
        queue_size: u64,
        /// How many peers were heard of.
        known_peers: u64,
        /// At most 256 of them, by id.
        peers: Vec<Peer>,
    }

    /// A task that was submitted.
    SubmitShape {
        /// The task.
        task_id: String,
        /// The digest that stands for it.
        task_hash: String,
        /// Its priority.
        priority: u8,
        /// The peer that owns it and gives it out.
        owner: String,
        /// Tags that mean nothing here, as they were written.
        unknown_tags: Vec<String>,
    }

    /// The next task, or none.
    NextShape {
        /// The task; null where this node has none to give out.
        task: Task,
    }

    /// A task that is done.
    CompleteShape {
        /// The task.
        task_id: String,
        /// Whether it was done before.
        already_completed: bool,
    }

    /// What tags ask for.
    TagsShape {
        /// Whether peers may or must do it.
        should_bypass_github: bool,
        /// Whether only peers may.
        is_p2p_only: bool,
        /// The tags in their proper spelling.
        tags: Vec<String>,
        /// Tags that mean nothing here, as they were written.
        unknown_tags: Vec<String>,
    }

    /// A peer whose clock was noted.
    PeerStateShape {
        /// The peer.
        peer_id: String,
    }

    /// A clock.
    ClockShape {
        /// The node that keeps it.
        node_id: String,
        /// How many events it knows of each node.
        vector: BTreeMap<String, u64>,
        /// The digest of that.
        merkle_root: String,
    }
}

/// A clock.
#[derive(JsonSchema)]
pub(super) struct Clock {
    /// The node that keeps it.
    node_id: String,
    /// How many events it knows of each node.
    vector: BTreeMap<String, u64>,
    /// The digest of that.
    merkle_root: String,
}

/// A peer that was heard of.
#[derive(JsonSchema)]
pub(super) struct Peer {
    peer_id: String,
    /// When it was heard of last, in milliseconds since 1970.
    last_seen_ms: u64,
    /// Whether it may own tasks that are submitted now.
    is_member: bool,
}

/// A task that is given out.
#[derive(JsonSchema)]
pub(super) struct Task {
    task_id: String,
    workflow_id: String,
    name: String,
    tags: Vec<String>,
    /// 1 to 10.
    priority: u8,
    /// The digest that stands for it.
    task_hash: String,
    /// The node that gives it out, where it is completed.
    assigned_peer: String,
    /// The right to run it; of two the larger counts.
    fencing_token: Token,
}

/// The right to run a task.
#[derive(JsonSchema)]
pub(super) struct Token {
    /// Larger than that of every right before it.
    counter: u64,
    /// The node that has it.
    peer_id: String,
}
