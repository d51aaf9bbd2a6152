//! What is read: one task, pages of them, counts.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::machine::Queue;
use super::ready::{Merge, Place};
use super::request::Refusal;
use super::task::{Status, Task, TaskId};
use super::time::Now;

/// Some tasks of a list, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// Where the list goes on; `None` at its end.
    pub cursor: Option<String>,
}

impl Queue {
    /// The task as it is durable.
    pub fn task(&self, id: TaskId) -> Option<Task> {
        self.find(id).ok().map(|(_, entry)| entry.task.clone())
    }

    /// Tasks in the order of their creation, at most `limit` of them and about `max_bytes` of payloads and results.
    ///
    /// The cost does not depend on how many tasks there are.
    ///
    /// # Errors
    /// `invalid_value` for a cursor that no list gave, `too_large` for too many types.
    pub fn list(
        &self,
        status: Option<Status>,
        types: &[Arc<str>],
        cursor: Option<&str>,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Page, Refusal> {
        if types.len() > self.settings.max_claim_types {
            return Err(Refusal::TooLarge { what: "task_types", max: self.settings.max_claim_types });
        }
        let after = match cursor {
            Some(cursor) => Bound::Excluded(parse(cursor).ok_or(Refusal::InvalidJson("cursor"))?),
            None => Bound::Unbounded,
        };
        let limit = limit.clamp(1, self.settings.max_list_tasks);
        let (mut page, mut bytes) = (Page { tasks: Vec::new(), cursor: None }, 0);
        for (_, _, slot) in self.merged(status, types, after) {
            let Some(entry) = self.store.entry(slot) else { continue };
            let size = entry.task.bytes();
            if page.tasks.len() == limit || (bytes + size > max_bytes && !page.tasks.is_empty()) {
                page.cursor = page.tasks.last().map(cursor_after);
                break;
            }
            bytes += size;
            page.tasks.push(entry.task.clone());
        }
        Ok(page)
    }

    fn merged(&self, status: Option<Status>, types: &[Arc<str>], after: Bound<Place>) -> Merge<'_> {
        let mut merge = Merge::default();
        for (index, lists) in self.store.lists.iter().enumerate() {
            if status.is_some_and(|status| status as usize != index) {
                continue;
            }
            for (name, list) in lists {
                if types.is_empty() || types.contains(name) {
                    merge.add_range(list.range((after, Bound::Unbounded)));
                }
            }
        }
        merge
    }

    /// How many tasks of each type have a status.
    pub fn counts_by_type(&self, status: Status) -> BTreeMap<Arc<str>, usize> {
        self.store.lists[status as usize].iter().map(|(name, list)| (name.clone(), list.len())).collect()
    }

    /// How many tasks may be claimed now.
    pub fn ready(&self) -> usize {
        self.store.ready.len()
    }

    /// How many tasks there are, of every status.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether there is no task at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of payloads, results and errors.
    pub fn bytes(&self) -> usize {
        self.store.bytes
    }

    /// Milliseconds since the creation of the oldest task that may be claimed, as far as a few looks find it.
    pub fn oldest_ready_ms(&self, now: Now) -> Option<u64> {
        let first = |list: &'_ std::collections::BTreeSet<Place>| {
            let entries = list.iter().take(64).filter_map(|(.., slot)| self.store.entry(*slot));
            let mut ready = entries.filter(|entry| entry.ready_since_ms.is_some());
            ready.next().map(|entry| entry.task.core.created_mono_ms)
        };
        let oldest = self.store.lists[Status::Queued as usize].values().filter_map(first).min()?;
        Some(u64::try_from(now.mono_ms.saturating_sub(oldest)).unwrap_or(0))
    }
}

/// The cursor of a list that goes on after this task.
pub fn cursor_after(task: &Task) -> String {
    format!("{:x}-{:x}", task.core.created_ms, task.core.created_sequence)
}

/// A cursor names the last task that was listed.
fn parse(cursor: &str) -> Option<Place> {
    let (created, sequence) = cursor.split_once('-')?;
    Some((u64::from_str_radix(created, 16).ok()?, u64::from_str_radix(sequence, 16).ok()?, u32::MAX))
}
