//! Heartbeats, both ways, and what a claim tells of its claimant.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::codes::ErrorCode;
use super::fields::{Field, Fields};
use super::members::Report;
use super::operations::Operation;
use super::queue::{TaskQueue, changes_need};
use super::refusal::Refusal;
use super::workflow::Said;
use super::{Caller, Now, Services, renewals, status, workflow};
use crate::limits::Limit;
use crate::mcp::{json, lock};
use crate::p2p::Remote;
use crate::scheduler::{Beat, PeerClock};
use crate::store::LocalStore;

/// The longest name of a peer or worker.
const MAX_NAME_BYTES: usize = 256;
/// What is kept of the types of tasks that a worker can do.
const MAX_TASK_TYPES: usize = 64;
const MAX_TASK_TYPES_BYTES: usize = 1_024;

/// What became of a report of a peer.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// What is wrong with its clock, if anything is: a peer is alive whatever its clock.
    message: Option<String>,
    /// The limit that cost the clock an entry, or another peer its place.
    pub(super) limit: Option<Limit>,
}

/// Why a heartbeat of ours was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeartbeatError {
    /// The answer is no JSON object with `ok`.
    NoAnswer,
    /// The peer refused it with this error.
    Refused(String),
}

impl std::fmt::Display for HeartbeatError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HeartbeatError::NoAnswer => f.write_str("the answer is no JSON object with ok"),
            HeartbeatError::Refused(error) => write!(f, "the peer refused it: {error}"),
        }
    }
}

impl std::error::Error for HeartbeatError {}

impl TaskQueue {
    /// Answers a heartbeat, and renews the leases of who sends it. Who may only read gets the answer, and nothing is
    /// changed by it: such a peer does not count among those that tasks are shared out to, and it may speak for nobody
    /// else.
    pub(super) async fn heartbeat(
        &self,
        fields: &Fields<'_>,
        caller: &Caller<'_>,
        services: &Services<'_>,
        full_access: bool,
    ) -> Result<(String, Option<Limit>), Refusal> {
        let transport = caller.transport();
        let hint = name(fields, &[Field::Peer, Field::PeerId])?;
        let worker = name(fields, &[Field::WorkerId])?;
        let peer = hint.as_deref().or((!transport.is_empty()).then_some(transport)).or(worker.as_deref());
        let peer = peer.unwrap_or_default();
        if peer.is_empty() {
            let message = "peer_id says which peer or worker is alive";
            return Err(Refusal::new(ErrorCode::MissingPeerId, message));
        }
        let mut heard = Heard::default();
        if full_access {
            heard = self.hear(peer, hint.as_deref(), None, fields.raw(Field::Clock), caller);
        } else if peer != transport {
            return Err(changes_need(Operation::Heartbeat));
        }
        let told = match services.store.filter(|_| full_access) {
            Some(store) => Some(renewals::renew(fields, peer, worker.as_deref(), store).await?),
            None => None,
        };
        let said = if full_access { workflow::hear_beat(fields, caller, services) } else { Said::default() };
        let scheduler = self.scheduler(caller.now);
        let json = self.object(|object| {
            status::write_heartbeat(object, peer, &scheduler);
            told.iter().for_each(|told| told.write(object));
            if let Some(beat) = &said.beat {
                object.value("workflow", beat);
            }
            object.maybe("message", heard.message.or(said.message).as_deref());
        });
        Ok((json, heard.limit.or(said.limit)))
    }

    /// Takes note of who claims, with what it says of its clock.
    pub(super) fn note_claim(&self, fields: &Fields<'_>, caller: &Caller<'_>) -> Result<Heard, Refusal> {
        let hint = name(fields, &[Field::Peer, Field::PeerId])?;
        let worker = name(fields, &[Field::WorkerId])?.unwrap_or_default();
        let transport = caller.transport();
        let peer = hint.as_deref().unwrap_or(if transport.is_empty() { &worker } else { transport });
        let types = [Field::SupportedTaskTypes, Field::TaskTypes];
        let types = fields.list(&types, MAX_TASK_TYPES, MAX_TASK_TYPES_BYTES);
        let clock = fields.raw(Field::Clock);
        Ok(self.hear(peer, hint.as_deref(), Some((&worker, types)), clock, caller))
    }

    /// Takes note of a peer.
    fn hear(
        &self,
        peer_id: &str,
        hint: Option<&str>,
        worker: Option<(&str, Vec<Box<str>>)>,
        clock: Option<&str>,
        caller: &Caller<'_>,
    ) -> Heard {
        let max = usize::try_from(self.options.limits.value(Limit::P2pClockEntries)).unwrap_or(usize::MAX);
        // Peers without a clock send null or nothing, and what is no object says nothing either.
        let clock = clock.filter(|raw| raw.starts_with('{')).map(|raw| PeerClock::read(raw, max));
        let report = Report {
            peer_id,
            transport_peer_id: caller.transport(),
            peer_hint: hint.unwrap_or_default(),
            worker,
        };
        let mut state = lock(&self.state);
        let forgets = state.members.hear(report, caller.now);
        let mut heard = Heard { message: None, limit: forgets.then_some(Limit::P2pPeers) };
        match clock {
            None => {}
            Some(Err(error)) => {
                heard.limit = error.is_over_limit.then_some(Limit::P2pClockEntries).or(heard.limit);
                heard.message = Some(format!("the clock was not merged: {}", error.message));
            }
            Some(Ok(clock)) => {
                let left_out = state.clock.merge(&clock);
                if left_out > 0 {
                    heard.limit = Some(Limit::P2pClockEntries);
                    heard.message = Some(format!("{left_out} entries of the clock found no room"));
                }
            }
        }
        heard
    }

    /// The line that tells another node that this one is alive, its newline included. `token` is the shared token where
    /// that peer may have it, `beat` what this node says of its workflow tasks.
    pub fn heartbeat_request(&self, token: Option<&str>, beat: Option<&Beat>) -> Vec<u8> {
        let clock = lock(&self.state).clock.clone();
        let line = json::object(|object| {
            object.string("op", "peer.heartbeat");
            object.string("peer_id", &self.options.peer_id);
            object.value("clock", &clock);
            if let Some(beat) = beat {
                object.value("workflow", beat);
            }
            object.maybe("token", token);
        });
        let mut line = line.into_bytes();
        line.push(b'\n');
        line
    }

    /// Takes the answer to a heartbeat of ours: its sender is alive. It counts among those that tasks are shared out to
    /// only where it may claim any. Its clock is not taken over: it sends that with the heartbeats of its own, and merging
    /// each answer too would keep both clocks running for ever. What it says of workflow tasks is heard in `store`; true
    /// where the peer has some to fetch.
    ///
    /// # Errors
    /// The answer is none, or a refusal.
    pub fn take_heartbeat_answer(
        &self,
        remote: &Remote,
        answer: &[u8],
        store: Option<&LocalStore>,
        now: Now,
    ) -> Result<bool, HeartbeatError> {
        #[derive(serde::Deserialize)]
        struct Answer<'a> {
            ok: bool,
            #[serde(borrow, default)]
            error: Option<Cow<'a, str>>,
            #[serde(borrow, default)]
            workflow: Option<&'a RawValue>,
        }
        let answer: Answer<'_> = serde_json::from_slice(answer).map_err(|_| HeartbeatError::NoAnswer)?;
        if !answer.ok {
            let error = answer.error.unwrap_or_default();
            return Err(HeartbeatError::Refused(error.chars().take(MAX_NAME_BYTES).collect()));
        }
        if !self.options.policy.access(remote, None) {
            return Ok(false);
        }
        let caller = Caller { remote: Some(remote), now };
        self.hear(&remote.principal, None, None, None, &caller);
        let said = answer.workflow.map(RawValue::get);
        Ok(store.is_some_and(|store| workflow::hear_answer(&remote.principal, said, store)))
    }

    /// The ids of the peers that count as alive, this node not among them, the last one heard of first.
    pub fn alive_peers(&self, now: Now) -> Vec<Box<str>> {
        self.scheduler(now).alive.iter().map(|member| member.peer_id.clone()).collect()
    }
}

/// A name that a peer gives to itself or its worker.
fn name<'a>(fields: &Fields<'a>, names: &[Field]) -> Result<Option<Cow<'a, str>>, Refusal> {
    let Some(text) = fields.text(names) else { return Ok(None) };
    if text.len() > MAX_NAME_BYTES {
        let message = format!("{} has {} bytes; {MAX_NAME_BYTES} are allowed", names[0].name(), text.len());
        return Err(Refusal::new(ErrorCode::InvalidField, message));
    }
    Ok(Some(text))
}
