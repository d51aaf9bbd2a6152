//! A workflow task as all nodes hold it: what it is for good, and a state in which what is known only grows.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::mutant::{Mutant, is};
use super::{python, sha256_hex, shared};

/// The digest that stands for a workflow task when peers decide who owns it.
pub fn workflow_task_hash(task_id: &str, workflow_id: &str) -> String {
    sha256_hex(&format!("{task_id}:{workflow_id}"))
}

/// What a task is, from its submission on.
///
/// Two submissions of one id compare by their fields from the top: all nodes keep the smaller, which is the earlier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Spec {
    /// When it was submitted, in milliseconds since the epoch, by the wall clock of the node that took it.
    pub submitted_ms: u64,
    /// The node that took it.
    pub submitter: Box<str>,
    /// The Merkle root of that node's clock at the submission.
    pub clock_root: Box<str>,
    /// The members at the submission, the owner first: by distance to the task, then by id.
    pub members: Box<[Box<str>]>,
    /// Its id, the same on all nodes.
    pub task_id: Box<str>,
    /// The workflow that it belongs to.
    pub workflow_id: Box<str>,
    /// What it is called.
    pub name: Box<str>,
    /// Its tags in their proper spelling.
    pub tags: Box<[Box<str>]>,
    /// 1 to 10; 10 comes first.
    pub priority: u8,
}

impl Spec {
    /// The peer that owns it by its epoch.
    pub fn owner(&self) -> &str {
        self.members.first().map_or(&self.submitter, |owner| owner)
    }

    /// The digest that stands for it.
    pub fn task_hash(&self) -> String {
        workflow_task_hash(&self.task_id, &self.workflow_id)
    }

    /// At most so many bytes as JSON.
    pub(super) fn bytes(&self) -> usize {
        const NAMES_AND_NUMBERS: usize = 512;
        let single = [&self.submitter, &self.clock_root, &self.task_id, &self.workflow_id, &self.name];
        let all = single.into_iter().chain(&self.members).chain(&self.tags);
        all.map(|text| python::string_bytes(text) + 1).sum::<usize>() + NAMES_AND_NUMBERS
    }
}

/// A right to run a task: whoever has the largest that is known holds the task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token {
    /// One more than that of the token that it follows.
    pub counter: u64,
    /// The node that drew it; a draw of counters goes to the larger id by code points.
    #[serde(with = "shared")]
    pub peer_id: Arc<str>,
}

impl Token {
    /// No node counts further, so that every number stays exact in JSON.
    pub const MAX_COUNTER: u64 = 1 << 53;
}

/// The largest token that is known, and whether its holder gave the task out under it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// The token.
    pub token: Token,
    /// Whether somebody got the task under it.
    pub assigned: bool,
}

/// That a task is done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Completion {
    /// The token under which it was completed.
    pub token: Token,
    /// When, in milliseconds since the epoch, by the wall clock of the token's node.
    pub at_ms: u64,
}

/// What changes of a task. Nodes join their states; the order in which they meet makes no difference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The largest token that was drawn for it.
    pub mark: Option<Mark>,
    /// The completion of the largest token, once there is one. Nothing undoes it.
    pub completion: Option<Completion>,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nobody has it.
    Pending,
    /// Its holder gave it out.
    Assigned,
    /// It is done.
    Completed,
}

impl State {
    /// Where the task stands.
    pub fn status(&self) -> Status {
        match (&self.completion, &self.mark) {
            (Some(_), _) => Status::Completed,
            (None, Some(mark)) if mark.assigned => Status::Assigned,
            _ => Status::Pending,
        }
    }

    pub(super) fn join(&self, other: &State, mutant: Option<Mutant>) -> State {
        if is(mutant, Mutant::NoFence) {
            return other.clone();
        }
        if is(mutant, Mutant::TokenDraw) {
            return self.join_without_draws(other);
        }
        State {
            mark: self.mark.clone().max(other.mark.clone()),
            completion: self.completion.clone().max(other.completion.clone()),
        }
    }

    /// As it would be if a draw of counters were left as it is.
    fn join_without_draws(&self, other: &State) -> State {
        fn larger<T: Clone>(
            ours: &Option<T>,
            other: &Option<T>,
            rank: impl Fn(&T) -> (u64, bool),
        ) -> Option<T> {
            match other.as_ref().map(&rank) > ours.as_ref().map(&rank) {
                true => other.clone(),
                false => ours.clone(),
            }
        }
        State {
            mark: larger(&self.mark, &other.mark, |mark| (mark.token.counter, mark.assigned)),
            completion: larger(&self.completion, &other.completion, |done| (done.token.counter, false)),
        }
    }
}

/// All that a node tells another of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// What the task is.
    #[serde(with = "shared")]
    pub task: Arc<Spec>,
    /// How it stands.
    #[serde(default)]
    pub state: State,
}

impl Image {
    /// The node that holds the task: it has the largest token, or owns the task and nobody took it over.
    pub fn holder(&self) -> &str {
        self.state.mark.as_ref().map_or_else(|| self.task.owner(), |mark| &mark.token.peer_id)
    }

    pub(super) fn join(&self, other: &Image, mutant: Option<Mutant>) -> Image {
        let task = if other.task < self.task { &other.task } else { &self.task };
        Image { task: task.clone(), state: self.state.join(&other.state, mutant) }
    }

    /// The token after the largest one known.
    pub(super) fn next_token(&self, peer_id: &Arc<str>) -> Token {
        let last = self.state.mark.as_ref().map_or(0, |mark| mark.token.counter);
        Token { counter: (last + 1).min(Token::MAX_COUNTER), peer_id: peer_id.clone() }
    }

    /// At most so many bytes as JSON.
    pub(super) fn bytes(&self) -> usize {
        let token = |token: Option<&Token>| token.map_or(0, |token| python::string_bytes(&token.peer_id));
        self.task.bytes()
            + token(self.state.mark.as_ref().map(|mark| &mark.token))
            + token(self.state.completion.as_ref().map(|done| &done.token))
    }
}
