//! Replay of records after a start, and snapshots in bounded pieces.

use super::codec::{BadRecord, Image, Reader, Writer};
use super::machine::Queue;
use super::task::{State, Status, Task};
use super::time::Now;

/// What the journal is told that a record of tasks is.
pub const KIND_TASKS: u8 = 1;
/// A chunk of a snapshot is not longer than this, unless one task is.
const CHUNK_BYTES: usize = 1 << 20;

impl Queue {
    /// Applies a record of the journal or of a snapshot; what is older than the task stands already is skipped.
    ///
    /// Leases last at least `recovery_grace_ms` from now on.
    ///
    /// # Errors
    /// A record that is damaged, of another version, or not of tasks.
    pub fn replay(&mut self, sequence: u64, kind: u8, bytes: &[u8], now: Now) -> Result<(), BadRecord> {
        if kind != KIND_TASKS {
            return Err(BadRecord("it is of another kind"));
        }
        self.sequencer.advance(sequence);
        let mut reader = Reader::new(bytes, now)?;
        while let Some((sequence, image)) = reader.image()? {
            self.sequencer.advance(sequence);
            self.apply(sequence, image, now);
        }
        Ok(())
    }

    fn apply(&mut self, sequence: u64, image: Image, now: Now) {
        let id = match &image {
            Image::Removed(id) | Image::Changed(id, _) | Image::Lease(id, ..) => *id,
            Image::Whole(task) => task.id(),
        };
        let known = self.find(id).ok();
        if known.as_ref().is_some_and(|(_, entry)| entry.sequence >= sequence) {
            return;
        }
        let mut task = match (image, known) {
            (Image::Removed(_), Some((slot, _))) => return self.store.remove(slot),
            (Image::Whole(task), _) => self.shared(task),
            (Image::Changed(_, state), Some((_, entry))) => Task { core: entry.task.core.clone(), state },
            (Image::Lease(_, lease_until_ms, lease_ms), Some((_, entry))) => {
                let state = State { lease_until_ms, lease_ms, ..entry.task.state.clone() };
                Task { core: entry.task.core.clone(), state }
            }
            // The task was removed after the snapshot began and before its turn came: its removal follows.
            (_, None) => return,
        };
        if task.state.status == Status::Running {
            let grace = now.after(self.settings.recovery_grace_ms);
            task.state.lease_until_ms = task.state.lease_until_ms.max(grace);
        }
        self.store.put(task, sequence, now);
    }

    /// The task with a type's name that it shares with the others.
    fn shared(&self, mut task: Task) -> Task {
        let name = self.store.interned(&task.core.task_type);
        if let Some(core) = std::sync::Arc::get_mut(&mut task.core) {
            core.task_type = name;
        }
        task
    }

    /// A chunk of a snapshot: at most `max` tasks from the cursor on (0 at first), and the next cursor.
    ///
    /// Changes may go on between chunks: each task carries the sequence of its last change.
    pub fn snapshot(&self, cursor: u32, max: usize, now: Now) -> (Vec<u8>, Option<u32>) {
        let mut writer = Writer::new(now);
        let (mut slot, mut count) = (cursor, 0);
        while slot < self.store.slots() && count < max.max(1) && writer.bytes.len() < CHUNK_BYTES {
            if let Some(entry) = self.store.entry(slot) {
                writer.whole(entry.sequence, &entry.task);
                count += 1;
            }
            slot += 1;
        }
        (writer.bytes, (slot < self.store.slots()).then_some(slot))
    }
}
