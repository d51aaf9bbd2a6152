//! What the machine does next, and when it wants to be asked again.

use std::time::Instant;

use super::super::notes::Notes;
use super::held::{Held, Phase, Why};
use super::{Action, BEAT_BYTES, End, Link, MAX_CLAIM, Machine, NEWS_TIME, OnItsWay};

impl Machine {
    /// The next thing to do, `None` until something happens or [`Machine::wake_at`] has come.
    pub fn next(&mut self, now: Instant) -> Option<Action> {
        if self.finished {
            return None;
        }
        self.kill_what_runs_too_long(now);
        let action = self.local(now).or_else(|| self.finish(now)).or_else(|| self.remote(now));
        self.finished = matches!(action, Some(Action::Finish(_)));
        action
    }

    fn kill_what_runs_too_long(&mut self, now: Instant) {
        if self.stopping.as_ref().is_some_and(|stopping| now >= stopping.kill_at) {
            for held in self.held.values_mut().filter(|held| held.phase == Phase::Running) {
                held.kill.get_or_insert(Why::Stopping);
            }
        }
    }

    /// Kills and starts need no server.
    fn local(&mut self, _now: Instant) -> Option<Action> {
        for (id, held) in &mut self.held {
            if held.kill.is_some() && held.phase == Phase::Running && !held.killed {
                held.killed = true;
                return Some(Action::Kill(id.clone()));
            }
            if held.phase == Phase::New {
                held.phase = Phase::Running;
                return Some(Action::Start(held.task.clone()));
            }
        }
        None
    }

    fn finish(&self, now: Instant) -> Option<Action> {
        if let Some(why) = self.refused.as_ref().filter(|_| self.held.is_empty()) {
            return Some(Action::Finish(End::Refused(why.clone())));
        }
        let stopping = self.stopping.as_ref()?;
        match self.held.len() {
            0 => Some(Action::Finish(End::Drained)),
            tasks if now >= stopping.give_up_at => Some(Action::Finish(End::Unreported(tasks))),
            _ => None,
        }
    }

    fn remote(&mut self, now: Instant) -> Option<Action> {
        match self.link {
            Link::Down { at } if now >= at => {
                self.link = Link::Connecting;
                return Some(Action::Connect);
            }
            Link::Up(_) => {}
            Link::Down { .. } | Link::Connecting => return None,
        }
        if self.beat_at().is_some_and(|at| now >= at) {
            return Some(self.beat(now));
        }
        if let Some(report) = self.report(now) {
            return Some(report);
        }
        if let Some(adopt) = self.adopt() {
            return Some(adopt);
        }
        let room = self.room();
        (room > 0 && now >= self.claim_at).then(|| {
            self.claiming = Some(now);
            self.claims_begun += 1;
            Action::Claim(room)
        })
    }

    /// How many tasks to ask for now.
    fn room(&self) -> usize {
        if self.claiming.is_some() || self.stopping.is_some() || self.refused.is_some() {
            return 0;
        }
        self.pace.concurrency.saturating_sub(self.held.len()).min(MAX_CLAIM)
    }

    /// When the next heartbeat is due. News are told sooner, those of an ended command at once.
    fn beat_at(&self) -> Option<Instant> {
        let wanted = || self.held.values().filter(|held| held.is_wanted());
        if self.beating.is_some() || wanted().next().is_none() {
            return None;
        }
        let news = |held: &Held| match (held.notes.is_empty(), &held.phase) {
            (true, _) => self.beat_every(),
            (false, Phase::Ended(_)) => std::time::Duration::ZERO,
            (false, _) => NEWS_TIME.min(self.beat_every()),
        };
        wanted().map(news).min().map(|after| self.last_beat + after)
    }

    fn beat(&mut self, now: Instant) -> Action {
        self.last_beat = now;
        let mut sent = OnItsWay { news: Default::default(), held: Vec::new() };
        let (mut reports, mut bytes) = (Vec::new(), 0);
        for (id, held) in self.held.iter_mut().filter(|(_, held)| held.is_wanted()) {
            let token = held.task.token;
            let fits = bytes == 0 || bytes + held.notes.bytes() <= BEAT_BYTES;
            let news = if fits { std::mem::take(&mut held.notes) } else { Notes::default() };
            bytes += news.bytes();
            if !news.is_empty() {
                sent.news.insert(id.clone(), news.clone());
            }
            sent.held.push((id.clone(), token));
            reports.push((id.clone(), token, news));
        }
        self.beating = Some(sent);
        Action::Heartbeat(reports)
    }

    /// Whether the server may hear of the task's end: it has the log, which a finished task takes no more of.
    fn is_reportable(&self, id: &str, held: &Held) -> bool {
        let told = self.beating.as_ref().is_some_and(|beating| beating.news.contains_key(id));
        let ended = matches!(held.phase, Phase::Ended(_));
        ended && held.notes.is_empty() && !told && !held.reporting && held.is_wanted()
    }

    fn report(&mut self, now: Instant) -> Option<Action> {
        let due = |id: &String, held: &Held| now >= held.report_at && self.is_reportable(id, held);
        let id = self.held.iter().find(|(id, held)| due(id, held)).map(|(id, _)| id.clone())?;
        let held = self.held.get_mut(&id)?;
        let Phase::Ended(outcome) = &held.phase else { return None };
        held.reporting = true;
        Some(Action::Report(id, held.task.token, outcome.clone()))
    }

    /// A task that the server takes for this worker's, though no claim brought it: an answer was lost on its way, or an
    /// earlier process had the same name. Without an owner, it would be renewed for ever.
    fn adopt(&mut self) -> Option<Action> {
        let may = self.held.len() < self.pace.concurrency && !self.adopting;
        let ended = self.claims_ended;
        let ripe = self.strays.iter().find(|(_, seen)| may && **seen <= ended).map(|(id, _)| id.clone())?;
        self.strays.remove(&ripe);
        self.adopting = true;
        Some(Action::Adopt(ripe))
    }

    /// When to ask for the next thing to do, if nothing happens before.
    pub fn wake_at(&self) -> Option<Instant> {
        let stopping = self.stopping.iter().flat_map(|stopping| {
            let runs = self.held.values().any(|held| held.phase == Phase::Running && !held.killed);
            [runs.then_some(stopping.kill_at), Some(stopping.give_up_at)].into_iter().flatten()
        });
        let link = match self.link {
            Link::Down { at } => Some(at),
            Link::Connecting | Link::Up(_) => None,
        };
        let is_up = matches!(self.link, Link::Up(_));
        let claim = (is_up && self.room() > 0).then_some(self.claim_at);
        let beat = self.beat_at().filter(|_| is_up);
        let reports = self.held.iter().filter(|(id, held)| is_up && self.is_reportable(id, held));
        let reports = reports.map(|(_, held)| held.report_at);
        stopping.chain(link).chain(claim).chain(beat).chain(reports).min()
    }
}
