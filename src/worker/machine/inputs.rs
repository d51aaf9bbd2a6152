//! What the machine makes of what happened.

use std::time::Instant;

use super::super::asks::{Beat, is_busy, is_lost};
use super::super::notes::Notes;
use super::super::outcome::Outcome;
use super::super::task::Task;
use super::held::{Held, Phase, Why};
use super::{IDLE_TIME, Input, Link, MAX_STRAYS, Machine, REPORT_TIME, Stopping, Trouble};

impl Machine {
    /// Takes what happened.
    pub fn take(&mut self, input: Input, now: Instant) {
        match input {
            Input::Connected(number) => self.link = Link::Up(number),
            Input::NotConnected { why, hopeless } => self.not_connected(why, hopeless, now),
            Input::Claimed(answer) => self.claimed(answer, now),
            Input::Adopted(answer) => self.adopted(answer, now),
            Input::Beaten(answer) => self.beaten(answer, now),
            Input::Reported(id, answer) => self.reported(&id, answer, now),
            Input::Said(id, notes) => {
                if let Some(held) = self.held.get_mut(&id) {
                    held.notes.append(notes);
                }
            }
            Input::Ended(id, outcome) => self.ended(&id, outcome, now),
            Input::Stop => self.stop(now),
        }
    }

    fn stop(&mut self, now: Instant) {
        let kill_at = now + self.pace.drain;
        self.stopping.get_or_insert(Stopping { kill_at, give_up_at: kill_at + REPORT_TIME });
    }

    fn not_connected(&mut self, why: String, hopeless: bool, now: Instant) {
        if hopeless && !self.accepted {
            self.refused = Some(why.clone());
        }
        tracing::warn!(tries = self.tries + 1, "not connected: {why}");
        self.link = Link::Down { at: now + self.pause(self.tries) };
        self.tries = self.tries.saturating_add(1);
    }

    /// An answer that did not come. Others on the same connection may be lost as well; only the first one counts.
    fn broken(&mut self, number: u64, why: &str, now: Instant) {
        if matches!(self.link, Link::Up(current) if current == number) {
            tracing::warn!(tasks = self.held.len(), "the server is gone: {why}");
            self.link = Link::Down { at: now + self.pause(self.tries) };
            self.tries = self.tries.saturating_add(1);
        }
    }

    fn claimed(&mut self, answer: Result<Vec<Task>, Trouble>, now: Instant) {
        let began = self.claiming.take().unwrap_or(now);
        self.claims_ended += 1;
        match answer {
            Ok(tasks) => {
                (self.accepted, self.tries, self.claim_tries) = (true, 0, 0);
                self.claim_at = if tasks.is_empty() { (began + IDLE_TIME).max(now) } else { now };
                tasks.into_iter().for_each(|task| self.hold(task, now));
            }
            Err(Trouble::Broken(number, why)) => self.broken(number, &why, now),
            Err(Trouble::Refused(why)) => {
                tracing::warn!("the server hands out nothing: {why}");
                if !self.accepted && !is_busy(&why) {
                    self.refused = Some(why);
                }
                self.claim_at = now + self.pause(self.claim_tries);
                self.claim_tries = self.claim_tries.saturating_add(1);
            }
        }
    }

    fn adopted(&mut self, answer: Result<Option<Task>, Trouble>, now: Instant) {
        self.adopting = false;
        match answer {
            Ok(task) => task.into_iter().for_each(|task| {
                tracing::info!(task = task.id, "adopted: the server takes it for this worker's");
                self.hold(task, now);
            }),
            Err(Trouble::Broken(number, why)) => self.broken(number, &why, now),
            Err(Trouble::Refused(why)) => tracing::warn!("a task cannot be adopted: {why}"),
        }
    }

    fn hold(&mut self, task: Task, now: Instant) {
        if self.held.is_empty() {
            self.last_beat = now;
        }
        match self.held.get_mut(&task.id) {
            // The lease ran out unheard and the task came back: its command goes on under the new token.
            Some(held) if held.kill.is_none() => held.task = task,
            Some(held) => held.again = Some(task),
            None => {
                let mut held = Held::new(task, now);
                if self.stopping.is_some() {
                    held.phase = Phase::Ended(Outcome::failed("the worker is stopping", true));
                }
                self.held.insert(held.task.id.clone(), held);
            }
        }
    }

    fn beaten(&mut self, answer: Result<Beat, Trouble>, now: Instant) {
        let Some(sent) = self.beating.take() else { return };
        let beat = match answer {
            Ok(beat) => beat,
            Err(trouble) => {
                for (id, news) in sent.news {
                    if let Some(held) = self.held.get_mut(&id) {
                        let later = std::mem::replace(&mut held.notes, news);
                        held.notes.append(later);
                    }
                }
                match trouble {
                    Trouble::Broken(number, why) => self.broken(number, &why, now),
                    Trouble::Refused(why) => {
                        tracing::warn!("the server refused a heartbeat: {why}");
                        // Its log must not keep a task from being reported.
                        self.held.values_mut().for_each(|held| held.notes = Notes::default());
                    }
                }
                return;
            }
        };
        self.tries = 0;
        let lost = |id: &String| beat.lost.contains(id);
        let renewed = |id: &String| beat.renewed.as_ref().is_none_or(|renewed| renewed.contains(id));
        for (id, token) in &sent.held {
            let Some(held) = self.held.get_mut(id).filter(|held| held.task.token == *token) else { continue };
            if beat.cancelled.contains(id) {
                Self::unwanted(held, Why::Cancelled);
            } else if lost(id) || (!renewed(id) && !held.reporting) {
                Self::unwanted(held, Why::Lost);
            }
        }
        self.forget_unwanted();
        let known = |id: &String| self.held.contains_key(id) || sent.held.iter().any(|(held, _)| held == id);
        let renewed = beat.renewed.unwrap_or_default();
        let strays = renewed.into_iter().filter(|id| !known(id)).take(MAX_STRAYS);
        let seen = |id: String| (self.strays.get(&id).copied().unwrap_or(self.claims_begun), id);
        self.strays = strays.map(seen).map(|(seen, id)| (id, seen)).collect();
    }

    fn unwanted(held: &mut Held, why: Why) {
        if held.is_wanted() {
            let task = &held.task.id;
            match why {
                Why::Cancelled => tracing::info!(task, "cancelled"),
                _ => tracing::warn!(task, "the lease was lost; the command is killed"),
            }
            held.kill = Some(why);
        }
    }

    /// Tasks that nobody wants and that have no command are let go.
    fn forget_unwanted(&mut self) {
        self.held.retain(|_, held| held.is_wanted() || held.phase == Phase::Running || held.reporting);
    }

    fn ended(&mut self, id: &str, outcome: Outcome, now: Instant) {
        let Some(held) = self.held.get_mut(id) else { return };
        let again = held.again.take();
        held.phase = Phase::Ended(outcome);
        self.forget_unwanted();
        if let Some(task) = again {
            self.held.remove(id);
            self.hold(task, now);
        }
    }

    fn reported(&mut self, id: &str, answer: Result<(), Trouble>, now: Instant) {
        let pause = self.held.get(id).map_or(IDLE_TIME, |held| self.pause(held.report_tries));
        let Some(held) = self.held.get_mut(id) else { return };
        held.reporting = false;
        match answer {
            Ok(()) => {
                self.tries = 0;
                self.held.remove(id);
            }
            Err(Trouble::Broken(number, why)) => self.broken(number, &why, now),
            Err(Trouble::Refused(why)) if is_lost(&why) => {
                tracing::warn!(task = id, "the end came too late: {why}");
                self.held.remove(id);
            }
            Err(Trouble::Refused(why)) if is_busy(&why) => {
                held.report_at = now + pause;
                held.report_tries = held.report_tries.saturating_add(1);
            }
            Err(Trouble::Refused(why)) if !held.poorer => {
                tracing::warn!(task = id, "the server refused the result: {why}");
                held.poorer = true;
                let error = format!("the server refused what the command returned: {why}");
                held.phase = Phase::Ended(Outcome::failed(error, false));
            }
            Err(Trouble::Refused(why)) => {
                tracing::error!(
                    task = id,
                    "the server refused the end twice; it is left to its lease: {why}"
                );
                self.held.remove(id);
            }
        }
        self.forget_unwanted();
    }
}
