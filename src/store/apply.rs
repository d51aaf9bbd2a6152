//! What becomes of a change whose fate is known: it is committed or undone, and everybody hears of it whom it concerns.

use super::Store;
use super::commits::Machine;
use super::reply::Answer;
use crate::journal::AppendError;
use crate::queue::{Committed, Now, Queue, Wake};

impl Store {
    /// Commits or undoes changes whose fates are known; the answers, in the same order.
    pub(super) fn commit_all<'a>(
        &self,
        fates: impl Iterator<Item = (Machine, u64, &'a Result<(), AppendError>)>,
    ) -> Vec<Option<Answer>> {
        let now = self.now();
        let (mut answers, mut wakes) = (Vec::new(), Vec::new());
        let (mut queue, mut due) = (None, None::<i64>);
        for (machine, sequence, fate) in fates {
            let is_kept = match fate {
                Ok(()) => true,
                Err(error) if is_refusal(error) => false,
                // Nobody knows whether it is kept, so nobody sees it before the next start.
                Err(_) => {
                    answers.push(None);
                    continue;
                }
            };
            answers.push(match machine {
                Machine::Queue => {
                    let queue = queue.get_or_insert_with(|| self.queue.lock());
                    apply_to_queue(queue, sequence, is_kept, now, &mut wakes)
                }
                Machine::Cache(shard) => {
                    wakes.push(Wake::Sequence(sequence));
                    due = due.into_iter().chain(self.apply_to_cache(shard, sequence, is_kept)).min();
                    None
                }
                Machine::Workflows => {
                    wakes.push(Wake::Sequence(sequence));
                    self.apply_to_workflows(sequence, is_kept).map(Answer::Workflows)
                }
            });
        }
        let due = due.into_iter().chain(queue.as_ref().and_then(|queue| queue.next_due())).min();
        drop(queue);
        self.due.note(due);
        self.wake(wakes);
        answers
    }

    /// When something in the shard is due next.
    fn apply_to_cache(&self, shard: usize, sequence: u64, is_kept: bool) -> Option<i64> {
        let mut cache = self.caches[shard].lock();
        if is_kept {
            cache.commit(sequence);
        } else {
            cache.abort(sequence);
        }
        cache.next_due()
    }

    pub(super) fn commit(&self, machine: Machine, sequence: u64) -> Option<Answer> {
        self.commit_all([(machine, sequence, &Ok(()))].into_iter()).pop().flatten()
    }

    /// Undoes a change whose record no log has taken.
    pub(super) fn give_up(&self, machine: Machine, sequence: u64) {
        self.commit_all([(machine, sequence, &Err(AppendError::Busy))].into_iter());
    }

    /// Tells everybody whom changes concern.
    pub(super) fn wake(&self, wakes: Vec<Wake>) {
        self.changes.say(wakes.iter().filter_map(|wake| match wake {
            Wake::Changed(task) => Some(*task),
            _ => None,
        }));
        let (waited_for, met) = (self.waiters.count() > 0, self.meeting.count() > 0);
        if !waited_for && !met {
            return;
        }
        for wake in wakes {
            match wake {
                Wake::Sequence(_) if met => self.meeting.wake(&wake),
                Wake::Type(task_type) if waited_for => self.waiters.wake_one(&task_type),
                Wake::Some(task_type) if waited_for => {
                    self.waiters.wake(&Wake::Type(task_type));
                    self.waiters.wake(&Wake::AnyType);
                }
                Wake::Task(_) if waited_for => self.waiters.wake(&wake),
                _ => {}
            }
        }
    }
}

fn apply_to_queue(
    queue: &mut Queue,
    sequence: u64,
    is_kept: bool,
    now: Now,
    wakes: &mut Vec<Wake>,
) -> Option<Answer> {
    if !is_kept {
        wakes.extend(queue.abort(sequence, now));
        return None;
    }
    let Committed { answer, wakes: more } = queue.commit(sequence, now)?;
    wakes.extend(more);
    Some(Answer::Queue(answer))
}

/// Whether nothing was written of the record.
fn is_refusal(error: &AppendError) -> bool {
    matches!(error, AppendError::DiskFull | AppendError::Busy | AppendError::TooLarge(_))
}
