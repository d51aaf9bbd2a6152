//! Records (after-images as JSON), replay in any order, and snapshots in bounded pieces.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::machine::Scheduler;
use super::task::Image;
use crate::queue::{BadRecord, Now};

/// What the journal is told that a record of workflow tasks is.
pub const KIND_WORKFLOWS: u8 = 3;
/// The version that every record begins with.
const VERSION: u8 = 1;
/// A chunk of a snapshot is not longer than this by much.
const CHUNK_BYTES: usize = 1 << 20;

/// What one change leaves behind.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    wall_ms: u64,
    tasks: Vec<Kept>,
    gone: Vec<(u64, Box<str>)>,
    clock: BTreeMap<Box<str>, u64>,
    peers: Vec<KeptPeer>,
}

/// A task after a change.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    sequence: u64,
    image: Image,
    /// What was left at `wall_ms` until it is given out again.
    left_ms: i64,
}

/// A peer that was heard of.
#[derive(Debug, Serialize, Deserialize)]
struct KeptPeer {
    sequence: u64,
    peer_id: Box<str>,
    last_seen_ms: u64,
    announces: bool,
}

impl Record {
    pub(super) fn put(&mut self, sequence: u64, image: &Image, until_ms: i64, now: Now) {
        let left_ms = until_ms.saturating_sub(now.mono_ms);
        self.tasks.push(Kept { sequence, image: image.clone(), left_ms });
    }

    pub(super) fn remove(&mut self, sequence: u64, id: &str) {
        self.gone.push((sequence, id.into()));
    }

    /// Adds what is known of a node.
    pub(super) fn count(&mut self, node_id: &str, count: u64) {
        self.clock.insert(node_id.into(), count);
    }

    pub(super) fn peer(&mut self, sequence: u64, peer_id: &str, last_seen_ms: u64, announces: bool) {
        self.peers.push(KeptPeer { sequence, peer_id: peer_id.into(), last_seen_ms, announces });
    }

    pub(super) fn bytes(&mut self, now: Now) -> Vec<u8> {
        self.wall_ms = now.wall_ms;
        let mut bytes = vec![VERSION];
        // Texts and numbers under text keys: writing them to memory does not fail.
        let written = serde_json::to_writer(&mut bytes, self);
        debug_assert!(written.is_ok());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Record, BadRecord> {
        let Some((&VERSION, json)) = bytes.split_first() else {
            return Err(BadRecord("its version is not 1"));
        };
        serde_json::from_slice(json).map_err(|_| BadRecord("it is no record of workflow tasks"))
    }
}

impl Scheduler {
    /// Applies a record of the journal or of a snapshot; what is older than what is known already is skipped, so records
    /// may come in any order and more than once. Call [`Scheduler::replayed`] after the last one.
    ///
    /// Peers count as heard of now: their silence cannot be told from that of this node. What was given out here is due at
    /// least `recovery_grace_ms` from now on.
    ///
    /// # Errors
    /// A record that is damaged, of another version, or not of workflow tasks.
    pub fn replay(&mut self, sequence: u64, kind: u8, bytes: &[u8], now: Now) -> Result<(), BadRecord> {
        if kind != KIND_WORKFLOWS {
            return Err(BadRecord("it is of another kind"));
        }
        let record = Record::read(bytes)?;
        self.sequencer.advance(sequence);
        self.clock.restore(record.clock.iter().map(|(node, count)| (&**node, *count)));
        for peer in record.peers {
            self.sequencer.advance(peer.sequence);
            self.replay_peer(peer, now);
        }
        for (sequence, id) in record.gone {
            self.sequencer.advance(sequence);
            self.replay_removal(sequence, id.into());
        }
        for Kept { sequence, image, left_ms } in record.tasks {
            self.sequencer.advance(sequence);
            let until_ms =
                now.restore(left_ms, record.wall_ms).max(now.after(self.settings.recovery_grace_ms));
            self.replay_task(sequence, image, until_ms, now);
        }
        Ok(())
    }

    fn replay_peer(&mut self, kept: KeptPeer, now: Now) {
        let (peer, _) = self.peers.note(&kept.peer_id, now);
        if peer.sequence <= kept.sequence {
            peer.sequence = kept.sequence;
            peer.last_seen_ms = kept.last_seen_ms;
            peer.announces = kept.announces;
        }
    }

    fn replay_removal(&mut self, sequence: u64, id: Arc<str>) {
        if self.table.get(&id).is_some_and(|entry| entry.sequence < sequence) {
            self.table.remove(&id);
        }
        let last = self.gone.entry(id).or_default();
        *last = sequence.max(*last);
    }

    fn replay_task(&mut self, sequence: u64, image: Image, until_ms: i64, now: Now) {
        let id = &*image.task.task_id;
        let known = self.table.get(id).map(|entry| entry.sequence);
        if known.max(self.gone.get(id).copied()).is_some_and(|known| known >= sequence) {
            return;
        }
        if *image.holder() != *self.me {
            self.peers.note(image.holder(), now);
        }
        self.table.put(image, sequence, until_ms);
    }

    /// After the last record.
    pub fn replayed(&mut self) {
        self.gone = std::collections::HashMap::new();
    }

    /// A chunk of a snapshot: at most `max` tasks from the cursor on (`None` at first), and the next cursor.
    ///
    /// Changes may go on between chunks: each task carries the sequence of its last change.
    pub fn snapshot(&self, cursor: Option<&str>, max: usize, now: Now) -> (Vec<u8>, Option<Arc<str>>) {
        let mut record = Record::default();
        if cursor.is_none() {
            self.clock.entries().for_each(|(node, count)| record.count(node, count));
            let heard = self.peers.iter().filter(|(_, peer)| peer.last_seen_ms > 0);
            heard.for_each(|(id, peer)| record.peer(peer.sequence, id, peer.last_seen_ms, peer.announces));
        }
        let (mut count, mut bytes) = (0, 0);
        for (id, entry) in self.table.from(cursor.unwrap_or_default()) {
            if count >= max.max(1) || bytes >= CHUNK_BYTES {
                return (record.bytes(now), Some(id.clone()));
            }
            record.put(entry.sequence, &entry.image, entry.until_ms, now);
            count += 1;
            bytes += entry.bytes;
        }
        (record.bytes(now), None)
    }
}
