//! Workflow tasks between nodes: `workflow.fetch`, `workflow.ack`, and what heartbeats carry of them.

use std::fmt;

use serde::Deserialize;

use super::codes::ErrorCode;
use super::fields::{Field, Fields};
use super::operations::Operation;
use super::queue::TaskQueue;
use super::refusal::Refusal;
use super::tasks;
use super::{Caller, Services};
use crate::limits::Limit;
use crate::mcp::{json, scanned_text};
use crate::scheduler::{Ack, Beat, Fetch, Fetched, PeerBeat};
use crate::store::LocalStore;

/// The longest name of a feed, in bytes.
const MAX_FEED_BYTES: usize = 64;
/// What is repeated of a name that is refused, in characters.
const MAX_TOLD: usize = 64;
/// What is repeated of a peer's refusal, in characters.
const MAX_ERROR: usize = 256;

/// Why a peer's answer to `workflow.fetch` or `workflow.ack` is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchAnswerError {
    /// It is none; what is wrong with it.
    Malformed(&'static str),
    /// The peer refused with this error.
    Refused(String),
}

impl fmt::Display for FetchAnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchAnswerError::Malformed(what) => write!(f, "the answer is of no use: {what}"),
            FetchAnswerError::Refused(error) => write!(f, "the peer refused it: {error}"),
        }
    }
}

impl std::error::Error for FetchAnswerError {}

impl TaskQueue {
    /// Answers a peer that fetches workflow tasks, or has fetched some. It speaks for itself alone.
    pub(super) fn workflow_operation(
        &self,
        operation: Operation,
        fields: &Fields<'_>,
        caller: &Caller<'_>,
        store: &LocalStore,
    ) -> tasks::Answer {
        let peer_id: Box<str> = proved(fields, caller)?.into();
        let feed = feed(fields)?;
        let json = if operation == Operation::WorkflowFetch {
            let after = whole(fields, Field::After)?;
            let fetched = store.workflows().answer_fetch(&Fetch { peer_id, feed, after });
            self.object(|object| {
                object.raw("ok", "true");
                object.string("feed", &fetched.feed);
                object.number("after", fetched.after);
                object.value("tasks", &fetched.tasks);
                object.number("through", fetched.through);
                object.value("more", &fetched.more);
            })
        } else {
            let ack = Ack { peer_id, feed, through: whole(fields, Field::Through)? };
            store.workflows().take_ack(&ack);
            self.object(|object| {
                object.raw("ok", "true");
                object.string("feed", &ack.feed);
                object.number("through", ack.through);
            })
        };
        Ok((json, None))
    }

    /// The line of `workflow.fetch`, its newline included. `token` is the shared token where that peer may have it.
    pub fn fetch_request(&self, fetch: &Fetch, token: Option<&str>) -> Vec<u8> {
        self.line("workflow.fetch", &fetch.feed, ("after", fetch.after), token)
    }

    /// The line of `workflow.ack`, as [`TaskQueue::fetch_request`].
    pub fn ack_request(&self, ack: &Ack, token: Option<&str>) -> Vec<u8> {
        self.line("workflow.ack", &ack.feed, ("through", ack.through), token)
    }

    fn line(&self, op: &str, feed: &str, place: (&str, u64), token: Option<&str>) -> Vec<u8> {
        let line = json::object(|object| {
            object.string("op", op);
            object.string("peer_id", self.peer_id());
            object.string("feed", feed);
            object.number(place.0, place.1);
            object.maybe("token", token);
        });
        let mut line = line.into_bytes();
        line.push(b'\n');
        line
    }
}

/// Reads the answer to `workflow.fetch`.
///
/// # Errors
/// It is none, or a refusal.
pub fn fetch_answer(answer: &[u8]) -> Result<Fetched, FetchAnswerError> {
    #[derive(Deserialize)]
    struct Head {
        ok: bool,
        #[serde(default)]
        error: Option<String>,
    }
    let malformed = FetchAnswerError::Malformed;
    let text = std::str::from_utf8(answer).map_err(|_| malformed("it is not UTF-8"))?;
    let head: Head = serde_json::from_str(text).map_err(|_| malformed("it is no JSON object with ok"))?;
    if !head.ok {
        let error = head.error.unwrap_or_default();
        return Err(FetchAnswerError::Refused(error.chars().take(MAX_ERROR).collect()));
    }
    Fetched::read(text).map_err(malformed)
}

/// What hearing a heartbeat's `workflow` came to.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// What the answer says of this node's workflow tasks.
    pub(super) beat: Option<Beat>,
    /// What was wrong, if anything was: a peer is alive whatever else it says.
    pub(super) message: Option<String>,
    /// The limit that was hit.
    pub(super) limit: Option<Limit>,
}

/// Hears what a heartbeat says of workflow tasks. Nothing comes of one that says nothing of them, or that no connection
/// proves the sender of.
pub(super) fn hear_beat(fields: &Fields<'_>, caller: &Caller<'_>, services: &Services<'_>) -> Said {
    let (Some(remote), Some(store)) = (caller.remote, services.store) else { return Said::default() };
    // Clients that are no nodes send heartbeats too, each under an id of its own: without the field nothing is noted.
    let Some(said) = fields.raw(Field::Workflow).filter(|raw| *raw != "null") else { return Said::default() };
    let workflows = store.workflows();
    match PeerBeat::read(said, workflows.max_clock_entries()) {
        Ok(beat) => {
            if workflows.hear_beat(&remote.principal, &beat) {
                services.fetches.iter().for_each(|fetches| fetches.fetch_from(remote));
            }
            Said { beat: Some(workflows.beat()), ..Said::default() }
        }
        Err(error) => Said {
            message: Some(format!("workflow was not heard: {}", error.message)),
            limit: error.is_over_limit.then_some(Limit::P2pClockEntries),
            ..Said::default()
        },
    }
}

/// Hears what the answer to a heartbeat of this node says of workflow tasks; true where there is something to fetch.
pub(super) fn hear_answer(peer_id: &str, said: Option<&str>, store: &LocalStore) -> bool {
    let workflows = store.workflows();
    let beat = said.map(|said| PeerBeat::read(said, workflows.max_clock_entries()));
    match beat {
        Some(Ok(beat)) => workflows.hear_beat(peer_id, &beat),
        // It is there and does not take tasks of others, or not in words that are understood here.
        Some(Err(_)) | None => {
            workflows.hear(peer_id, Some(false), None);
            false
        }
    }
}

/// Who asks: the peer that the connection proved, and no other.
fn proved<'a>(fields: &Fields<'_>, caller: &Caller<'a>) -> Result<&'a str, Refusal> {
    let Some(remote) = caller.remote else {
        let message = "workflow tasks are handed over to peers, which a connection proves; the tools of this node's \
                       clients are p2p_get_next_task and p2p_mark_task_complete";
        return Err(Refusal::new(ErrorCode::MissingPeerId, message));
    };
    match fields.text(&[Field::PeerId]) {
        Some(named) if *named != *remote.principal => {
            let named: String = named.chars().take(MAX_TOLD).collect();
            let message = format!(
                "peer_id is {named}, and the connection proves {}; a node fetches and acknowledges for itself alone",
                remote.principal
            );
            Err(Refusal::new(ErrorCode::PeerMismatch, message))
        }
        _ => Ok(&remote.principal),
    }
}

fn feed(fields: &Fields<'_>) -> Result<Box<str>, Refusal> {
    let Some(raw) = fields.raw(Field::Feed).filter(|raw| *raw != "null") else { return Ok("".into()) };
    match scanned_text(raw) {
        Some(feed) if feed.len() <= MAX_FEED_BYTES => Ok((&*feed).into()),
        _ => Err(Refusal::invalid(format!("feed is a text of at most {MAX_FEED_BYTES} bytes"))),
    }
}

/// A place in a feed; 0 where the field is absent.
fn whole(fields: &Fields<'_>, field: Field) -> Result<u64, Refusal> {
    let Some(raw) = fields.raw(field).filter(|raw| *raw != "null") else { return Ok(0) };
    raw.parse().map_err(|_| Refusal::invalid(format!("{} is a whole number, 0 or more", field.name())))
}
