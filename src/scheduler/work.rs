//! What clients ask: submit a task, get the next one, complete it.

use std::sync::Arc;

use super::machine::{Draft, Scheduler};
use super::mutant::{Mutant, is};
use super::rank::ranked;
use super::request::{Answer, Asked, NextTask, Refusal, Step, Submit, Submitted};
use super::tags::{proper_tag, unknown_tags};
use super::task::{Completion, Image, Mark, Spec, State, Token, workflow_task_hash};
use crate::queue::Now;

impl Scheduler {
    /// Takes a task. Its epoch is the clock after this event and the members of now.
    ///
    /// # Errors
    /// `task_exists`, `workflow_full`, `too_large`, `too_many_tags`, `invalid_value`.
    pub fn submit(&mut self, now: Now, submit: Submit) -> Asked {
        self.check_submit(&submit)?;
        if let Some(sequence) = self.busy(&submit.task_id) {
            return Ok(Step::Wait(sequence));
        }
        if self.table.get(&submit.task_id).is_some() {
            return Err(Refusal::TaskExists);
        }
        let mut draft = Draft::refusable();
        self.room_for(&draft, 0).map_err(Refusal::Full)?;
        self.tick_clock(&mut draft);
        let unknown_tags = unknown_tags(submit.tags.iter().map(|tag| &**tag));
        let spec = self.spec(now, submit);
        let image = Image { task: Arc::new(spec), state: State::default() };
        self.room_for(&draft, image.bytes()).map_err(Refusal::Full)?;
        let answer = Submitted {
            task_id: image.task.task_id.clone(),
            task_hash: image.task.task_hash().into(),
            priority: image.task.priority,
            owner: image.task.owner().into(),
            unknown_tags,
        };
        self.put(&mut draft, image, 0, now);
        Ok(Step::Change(self.reserve(draft, Answer::Submitted(answer), now)))
    }

    fn check_submit(&self, submit: &Submit) -> Result<(), Refusal> {
        let max = self.settings.max_name_bytes;
        let names =
            [("task_id", &submit.task_id), ("workflow_id", &submit.workflow_id), ("name", &submit.name)];
        let tags = submit.tags.iter().map(|tag| ("a tag", tag));
        if let Some((what, _)) = names.into_iter().chain(tags).find(|(_, text)| text.len() > max) {
            return Err(Refusal::TooLarge { what, max });
        }
        if submit.tags.len() > self.settings.max_tags {
            return Err(Refusal::TooManyTags(self.settings.max_tags));
        }
        if submit.task_id.is_empty() {
            return Err(Refusal::Invalid("task_id must not be empty"));
        }
        if submit.tags.iter().any(|tag| tag.is_empty()) {
            return Err(Refusal::Invalid("a tag must not be empty"));
        }
        match (1..=10).contains(&submit.priority) {
            true => Ok(()),
            false => Err(Refusal::Invalid("priority must be from 1 to 10; 10 comes first")),
        }
    }

    fn spec(&self, now: Now, submit: Submit) -> Spec {
        let hash = workflow_task_hash(&submit.task_id, &submit.workflow_id);
        let members = self.peers.members(now).chain([&*self.me]);
        let favourite = is(self.mutant, Mutant::OwnerDraw).then_some(&*self.me);
        let max = self.settings.max_epoch_members;
        Spec {
            submitted_ms: now.wall_ms,
            submitter: (&*self.me).into(),
            members: ranked(self.clock.root(), &hash, members, max, favourite),
            clock_root: self.clock.root().into(),
            task_id: submit.task_id,
            workflow_id: submit.workflow_id,
            name: submit.name,
            tags: submit.tags.iter().map(|tag| proper_tag(tag)).collect(),
            priority: u8::try_from(submit.priority).unwrap_or(5),
        }
    }

    fn tick_clock(&mut self, draft: &mut Draft) {
        self.clock.tick();
        draft.record.count(&self.me, self.clock.count(&self.me).unwrap_or_default());
    }

    /// Gives out the first task that this node holds, under a new token.
    ///
    /// # Errors
    /// None.
    pub fn next_task(&mut self, now: Now) -> Asked {
        let Some(entry) = self.table.first_ready() else { return Ok(Step::Done(Answer::Next(None))) };
        let token = entry.image.next_token(&self.me);
        let mut image = entry.image.clone();
        image.state.mark = Some(Mark { token: token.clone(), assigned: true });
        let spec = &image.task;
        let next = NextTask {
            task_id: spec.task_id.clone(),
            workflow_id: spec.workflow_id.clone(),
            name: spec.name.clone(),
            tags: spec.tags.clone(),
            priority: spec.priority,
            task_hash: spec.task_hash().into(),
            assigned_peer: (&*self.me).into(),
            fencing_token: token,
        };
        let until_ms = now.after(self.settings.assignment_ms);
        let mut draft = Draft::default();
        self.put(&mut draft, image, until_ms, now);
        Ok(Step::Change(self.reserve(draft, Answer::Next(Some(next)), now)))
    }

    /// Notes that a task is done, under the token that this node has for it. Nothing undoes that.
    ///
    /// # Errors
    /// `task_not_found`, `not_holder`, `taken_over`.
    pub fn complete(&mut self, now: Now, task_id: &str) -> Asked {
        if let Some(sequence) = self.busy(task_id) {
            return Ok(Step::Wait(sequence));
        }
        let entry = self.table.get(task_id).ok_or(Refusal::TaskNotFound)?;
        let mut image = entry.image.clone();
        if image.state.completion.is_some() {
            return Ok(Step::Done(Answer::Completed { task_id: task_id.into(), already: true }));
        }
        let token = self.own_token(&image)?;
        let (at_ms, until_ms) = (now.wall_ms, entry.until_ms);
        image.state.completion = Some(Completion { token: token.clone(), at_ms });
        image.state.mark = Some(Mark { token, assigned: true }).max(image.state.mark);
        let mut draft = Draft::default();
        self.tick_clock(&mut draft);
        self.put(&mut draft, image, until_ms, now);
        let answer = Answer::Completed { task_id: task_id.into(), already: false };
        Ok(Step::Change(self.reserve(draft, answer, now)))
    }

    /// The token under which this node may complete a task: the fence.
    fn own_token(&self, image: &Image) -> Result<Token, Refusal> {
        match &image.state.mark {
            Some(mark) if mark.token.peer_id == self.me => Ok(mark.token.clone()),
            None if *image.task.owner() == *self.me => Ok(image.next_token(&self.me)),
            _ if is(self.mutant, Mutant::NoFence) => Ok(image.next_token(&self.me)),
            None => Err(Refusal::NotHolder(image.task.owner().into())),
            Some(mark) => match *image.task.owner() == *self.me {
                true => Err(Refusal::TakenOver((&*mark.token.peer_id).into())),
                false => Err(Refusal::NotHolder((&*mark.token.peer_id).into())),
            },
        }
    }
}
