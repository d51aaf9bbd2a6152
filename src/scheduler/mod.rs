//! Who does what among peers, decided by each of them alone and by all of them alike: clocks, ownership, workflow tasks.
//!
//! No sockets, no files and no clock of its own; what is computed here is the same on every peer, whatever program it runs.
//!
//! # Workflow tasks
//!
//! Every node keeps every task. [`Scheduler`] has the two phases of [`crate::queue`]: a request reserves a change and gives
//! its record; the caller journals the record and commits the change; until then nobody sees it, clients and peers alike.
//!
//! - **Epoch.** The root of the clock and the members at the submission go with the task, the owner first, so that all
//!   nodes name the same owner whatever they hear later. Members are this node and the peers that it heard of within the
//!   time-out and that announce `workflow.fetch` and `workflow.ack`.
//! - **Hand-over.** A node's changes have an order, its feed. A peer asks for what lies behind the place that it knows
//!   (`workflow.fetch`), makes that durable, and says so (`workflow.ack`). The one who asks keeps its place in memory only: an
//!   owner that fetched a task and crashed before or after its acknowledgement starts again at the beginning, which
//!   changes nothing where it has everything. The giver keeps the task until it is completed, acknowledged or not.
//! - **State.** A task's state is the largest token drawn for it and the completion of the largest token that completed it.
//!   Nodes join states by maximum, so they agree once each has heard of the same changes, in whatever order, however often.
//! - **Tokens.** `(counter, peer id)`, ordered so. Giving a task out draws the next one; so does taking it over. The holder is
//!   the owner until there is a token, then the peer of the largest. A node completes a task under its own token only, and
//!   only while it knows of no larger one: that is the fence. A completion that was accepted is never undone, also when a larger
//!   token was drawn elsewhere in the meantime: of two completions the larger token wins, on all nodes.
//! - **Take-over.** When the holder has been silent for `peer_timeout_ms`, the first member of the epoch that is there takes the
//!   task with a new token. Two halves of a split network may both do so; their tokens decide once they meet: the loser's
//!   right to run the task is gone, unless it has completed it already. An owner that returns finds the larger token and
//!   is told `taken_over`. Silence counts from when this node could have heard: after its start, and after it
//!   first saw a peer named, not before.
//! - **One id, two submissions.** Nodes that took the same id before they heard of each other keep the earlier submission (then
//!   the smaller by its other fields); its tokens and completions are joined like those of one task. Both may run.
//!
//! Guaranteed: a submitted task survives every crash of a node that has it, and it completes as long as one node that
//! knows it goes on and somebody asks that node for tasks; after a split heals, all nodes hold the same status and the same
//! winning token for it. It is given out at least once: exactly once where no node is silent for longer than the time-out,
//! none restarts, and who gets it completes it in time (`assignment_ms`). Not guaranteed: that a node which was away for longer
//! than `retention_ms` does not bring back a task that the others completed and forgot.
//!
//! - `tags.rs`, `task.rs`, `rank.rs`, `request.rs`, `answers.rs`, `settings.rs`: the words. `wire.rs`: those between nodes, and their bounds.
//! - `machine.rs`: reservation and commit; `work.rs` is what clients ask, `exchange.rs` what peers ask, `due.rs` what time does.
//! - `table.rs`, `peers.rs`: what is known. `record.rs`: records, replay, snapshots.
//! - `clock.rs`, `peer_clock.rs`, `python.rs`, `owner.rs`: the clock and ownership, also those of the task queue.
//! - `fuzz.rs`: what any bytes from a peer must not do. `sim/`: several nodes on a wire that loses, delays and splits; `mutant.rs`: the faults it must find.

mod answers;
mod clock;
mod due;
mod exchange;
pub(crate) mod fuzz;
mod machine;
mod mutant;
mod owner;
mod peer_clock;
mod peers;
mod python;
mod rank;
mod record;
mod request;
mod settings;
mod shared;
#[cfg(test)]
mod sim;
mod table;
mod tags;
mod task;
#[cfg(test)]
mod tests;
mod wire;
mod work;

pub use answers::{
    CompleteAnswer, FailedAnswer, KnownPeer, NextAnswer, PeerStateAnswer, StatusAnswer, SubmitAnswer,
};
pub use clock::{MAX_COUNT, MAX_NODE_ID_BYTES, MerkleClock};
pub use exchange::Heard;
pub use machine::Scheduler;
pub use owner::{Owners, owner, task_hash};
pub use peer_clock::{ClockError, PeerClock};
pub use record::KIND_WORKFLOWS;
pub use request::{Answer, Asked, Committed, Merged, NextTask, Refusal, Step, Submit, Submitted, Ticked};
pub use settings::Settings;
pub use table::Counts;
pub use tags::{KNOWN_TAGS, TagCheck, proper_tag, unknown_tags};
pub use task::{Completion, Image, Mark, Spec, State, Status, Token, workflow_task_hash};
pub use wire::{Ack, Beat, Fetch, Fetched, News, PeerBeat, Verified, Verifier};

use sha2::{Digest, Sha256};

/// The SHA-256 of a text, in lower-case hexadecimal digits.
pub fn sha256_hex(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod digest_tests {
    #[test]
    fn a_digest_is_written_in_hexadecimal_digits() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(super::sha256_hex("abc"), expected);
    }
}
