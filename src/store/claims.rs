//! Claims, and everything else that waits: for a task, or for the end of one. Events wake it; time only ends it.

use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use event_listener::EventListener;
use futures_lite::future::yield_now;

use super::StoreError;
use super::local::LocalStore;
use crate::queue::{Answer, Candidate, Claim, Task, TaskId, Waiter, Wake};
use crate::runtime::Deadline;

/// Others may take what a claim has chosen; then it chooses again, so often.
const CHOICES: usize = 64;
/// And then it chooses so many more than it wants.
const SPARE: usize = 16;

/// What a claim came to.
struct Tried {
    tasks: Vec<Task>,
    /// There are tasks that it may not take yet, as they are kept for other peers until then.
    held_until_ms: Option<i64>,
    /// There is no task at all that it could take, now or later.
    found_nothing: bool,
}

/// Whether there is still something to wait for.
enum Wait {
    Woken,
    Over,
}

impl LocalStore {
    /// Takes tasks under a lease, at most as many as the claim says. `owns` says whether the claim's peer owns a task
    /// (deterministic claims): it gets the first that it owns, or that is not kept for its owner any more; without it
    /// the first. Where there is none, it waits for one for as long as `wait`.
    ///
    /// A claim that is dropped gives back what it would have got.
    ///
    /// # Errors
    /// `too_large`, `overloaded`, `disk_full`, and those of a journal that ends.
    pub async fn claim(
        &self,
        claim: &Claim,
        owns: Option<&dyn Fn(&Candidate) -> bool>,
        wait: Duration,
    ) -> Result<Vec<Task>, StoreError> {
        let tried = self.try_claim(claim, owns).await?;
        if !tried.tasks.is_empty() || wait.is_zero() {
            return Ok(tried.tasks);
        }
        let end = Instant::now().checked_add(wait);
        let mut woken = Vec::new();
        loop {
            let (drained, waiters) = (self.store().drained.listen(), self.claim_waiters(claim)?);
            let tried = self.try_claim(claim, owns).await?;
            if tried.found_nothing {
                // Nobody else would find what this claim did not.
                waiters.iter().chain(&woken).for_each(Waiter::settle_if_woken);
            }
            // Wakes that are not settled go on to the next: there may be more than was taken here.
            drop(woken);
            if !tried.tasks.is_empty() {
                return Ok(tried.tasks);
            }
            let held = tried.held_until_ms.map(|until| {
                let left = u64::try_from(until.saturating_sub(self.now().mono_ms)).unwrap_or(0);
                Instant::now() + Duration::from_millis(left)
            });
            if matches!(self.until(&waiters, drained, end, held).await, Wait::Over) {
                return Ok(Vec::new());
            }
            woken = waiters;
        }
    }

    fn claim_waiters(&self, claim: &Claim) -> Result<Vec<Waiter>, StoreError> {
        let waiters = &self.store().waiters;
        if claim.types.is_empty() {
            return Ok(vec![waiters.wait(Wake::AnyType)?]);
        }
        let waiters = claim.types.iter().map(|name| waiters.wait(Wake::Type(name.clone())));
        Ok(waiters.collect::<Result<_, _>>()?)
    }

    async fn try_claim(
        &self,
        claim: &Claim,
        owns: Option<&dyn Fn(&Candidate) -> bool>,
    ) -> Result<Tried, StoreError> {
        let Some(owns) = owns else {
            let tasks = claimed(self.ask(|queue, now| queue.claim(now, claim, None)).await?);
            return Ok(Tried { found_nothing: tasks.is_empty(), tasks, held_until_ms: None });
        };
        let wanted = claim.max_tasks.max(1);
        let mut most = wanted;
        for round in 0..CHOICES {
            let candidates = self.store().queue.lock().candidates(self.now(), claim, most)?;
            // The first ones are enough where the peer owns them, as it does when it is alone. Else all are looked at.
            let is_all = candidates.len() < most || most == usize::MAX;
            most = usize::MAX;
            let is_free = |candidate: &&Candidate| candidate.held_until_ms.is_none() || owns(candidate);
            // Finding an owner costs something, so no more are looked at than are wanted, unless others are faster.
            let free = candidates.iter().filter(is_free).map(|candidate| candidate.id);
            let spare = if round == 0 { 0 } else { SPARE };
            let chosen: Vec<TaskId> = free.take(wanted + spare).collect();
            if chosen.len() < wanted && !is_all {
                continue;
            }
            if chosen.is_empty() {
                let held_until_ms = candidates.iter().filter_map(|candidate| candidate.held_until_ms).min();
                let found_nothing = candidates.is_empty();
                return Ok(Tried { tasks: Vec::new(), held_until_ms, found_nothing });
            }
            let tasks = claimed(self.ask(|queue, now| queue.claim(now, claim, Some(&chosen))).await?);
            if !tasks.is_empty() {
                return Ok(Tried { tasks, held_until_ms: None, found_nothing: false });
            }
            yield_now().await;
        }
        // Others were faster each time, so there are tasks: it looks again at once if it waits.
        Ok(Tried { tasks: Vec::new(), held_until_ms: Some(i64::MIN), found_nothing: false })
    }

    /// The task as it stands once it has finished or the time is over; `None` at once for an id that is not known.
    ///
    /// # Errors
    /// `overloaded` when too many wait already.
    pub async fn wait(&self, id: TaskId, timeout: Duration) -> Result<Option<Task>, StoreError> {
        let done = |task: &Option<Task>| task.as_ref().is_none_or(|task| task.state.status.is_finished());
        let task = self.task(id);
        if done(&task) || timeout.is_zero() {
            return Ok(task);
        }
        let end = Instant::now().checked_add(timeout);
        loop {
            let (drained, waiter) =
                (self.store().drained.listen(), self.store().waiters.wait(Wake::Task(id))?);
            let task = self.task(id);
            if done(&task) {
                return Ok(task);
            }
            if matches!(self.until(&[waiter], drained, end, None).await, Wait::Over) {
                return Ok(self.task(id));
            }
        }
    }

    /// Waits until one of them is woken, a held task is free, or it is over: the time, or the server.
    async fn until(
        &self,
        waiters: &[Waiter],
        mut drained: EventListener,
        end: Option<Instant>,
        held: Option<Instant>,
    ) -> Wait {
        if self.store().draining.load(Ordering::Acquire) {
            return Wait::Over;
        }
        let (deadline, hold) = (Deadline::new(), Deadline::new());
        if let Some(end) = end {
            deadline.set(end);
        }
        if let Some(held) = held {
            hold.set(held);
        }
        poll_fn(|cx| {
            if waiters.iter().any(|waiter| waiter.poll_woken(cx).is_ready()) {
                return Poll::Ready(Wait::Woken);
            }
            let over = std::pin::Pin::new(&mut drained).poll(cx).is_ready();
            if over || end.is_some() && deadline.poll_expired(cx).is_ready() {
                return Poll::Ready(Wait::Over);
            }
            if held.is_some() && hold.poll_expired(cx).is_ready() {
                return Poll::Ready(Wait::Woken);
            }
            Poll::Pending
        })
        .await
    }
}

impl super::Store {
    /// The server shuts down: requests that wait are answered with what there is, and none waits from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.drained.notify(usize::MAX);
    }
}

fn claimed(answer: Answer) -> Vec<Task> {
    match answer {
        Answer::Claimed(tasks) => tasks,
        _ => Vec::new(),
    }
}
