//! The worker at work: what the machine wants is done, and what comes of it is told to the machine.

use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_lite::future;

use super::asks;
use super::groups::Groups;
use super::kinds::Kinds;
use super::link::Link;
use super::machine::{Action, End, Input, Machine, Pace};
use super::mailbox::Mailbox;
use super::outcome::Outcome;
use super::runner::{RunLimits, Runner};
use super::task::Task;
use crate::client::ClientOptions;
use crate::runtime::{Scope, ScopeOptions, StopFlag, Timer};

/// Beyond the wait that it was asked for, a claim's answer may take this long.
const CLAIM_MARGIN: Duration = Duration::from_secs(15);
/// How long saying goodbye to the server may take.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// What a worker is.
#[derive(Clone)]
pub struct Settings {
    /// The server's URL, or a peer's multiaddr.
    pub target: String,
    /// How the server is spoken to. The time of a request is that of each call but claims, which wait.
    pub client: ClientOptions,
    /// The worker's name, which leases belong to.
    pub worker_id: String,
    /// The types of tasks that it claims; none means all.
    pub types: Vec<String>,
    /// The session whose tasks it may have as well.
    pub session: Option<String>,
    /// How long the server should hold a claim back until there is a task.
    pub wait: Duration,
    /// How many at once, and when.
    pub pace: Pace,
    /// What a command may take.
    pub limits: RunLimits,
    /// What is run for a task.
    pub kinds: Kinds,
}

/// Runs a worker until it is told to stop and has ended its tasks, or the server will not have it.
///
/// # Errors
/// When not even the first resources are there.
pub async fn work(settings: Settings, groups: Groups, stop: StopFlag) -> io::Result<End> {
    let mailbox = Mailbox::default();
    let runner = Runner::new(settings.limits, groups, mailbox.clone())?;
    let ended = Scope::run(ScopeOptions::named("worker"), |scope| async move {
        let link = Rc::new(Link::new(settings.target.clone(), settings.client.clone()));
        let machine = Machine::new(settings.pace.clone(), Instant::now());
        let settings = Rc::new(settings);
        let mut worker =
            Worker { settings, link: Rc::clone(&link), machine, runner, mailbox, scope: scope.clone() };
        let end = worker.run(stop).await;
        future::or(link.close(), Timer::after(CLOSE_TIME)).await;
        scope.cancel();
        Ok::<_, Infallible>(end)
    });
    ended.await.map_err(|error| io::Error::other(error.to_string()))
}

struct Worker {
    settings: Rc<Settings>,
    link: Rc<Link>,
    machine: Machine,
    runner: Runner,
    mailbox: Mailbox,
    scope: Scope,
}

impl Worker {
    async fn run(&mut self, stop: StopFlag) -> End {
        let mut told = false;
        loop {
            while let Some(action) = self.machine.next(Instant::now()) {
                match action {
                    Action::Finish(end) => return end,
                    action => self.perform(action),
                }
            }
            let wake = self.machine.wake_at();
            let timer = async {
                match wake {
                    Some(at) => Timer::at(at).await,
                    None => future::pending().await,
                }
            };
            let stopped = async {
                match told {
                    false => stop.stopped().await,
                    true => future::pending().await,
                }
            };
            future::or(self.mailbox.filled(), future::or(stopped, timer)).await;
            let now = Instant::now();
            if stop.is_stopped() && !told {
                told = true;
                tracing::info!(tasks = self.machine.tasks(), "finishing what runs");
                self.machine.take(Input::Stop, now);
            }
            for input in self.mailbox.take() {
                if let Input::Ended(task, outcome) = &input {
                    tell_end(task, outcome);
                    self.runner.ended(task);
                }
                self.machine.take(input, now);
            }
        }
    }

    fn perform(&mut self, action: Action) {
        let settings = Rc::clone(&self.settings);
        let brief = settings.client.request_timeout;
        let worker = settings.worker_id.as_str();
        match action {
            Action::Connect => {
                let (link, mailbox, scope) =
                    (Rc::clone(&self.link), self.mailbox.clone(), self.scope.clone());
                self.spawn(async move { mailbox.put(link.connect(&scope).await) });
            }
            Action::Claim(max) => {
                let times = (settings.pace.lease.as_secs_f64(), settings.wait.as_secs_f64());
                let arguments = asks::claim(worker, &settings.types, settings.session.as_deref(), times, max);
                let within = settings.wait + CLAIM_MARGIN.max(brief);
                self.ask(asks::CLAIM, arguments, within, |answer| {
                    Input::Claimed(answer.map(|answer| asks::claimed(&answer)))
                });
            }
            Action::Adopt(id) => {
                let worker = worker.to_owned();
                let arguments = serde_json::json!({ "task_id": id });
                self.ask(asks::GET, arguments, brief, move |answer| {
                    Input::Adopted(answer.map(|answer| asks::own(&answer, &worker)))
                });
            }
            Action::Heartbeat(reports) => {
                let arguments = asks::heartbeat(worker, &reports);
                self.ask(asks::HEARTBEAT, arguments, brief, |answer| {
                    Input::Beaten(answer.map(|answer| asks::beat(&answer)))
                });
            }
            Action::Report(id, token, outcome) => {
                let arguments = asks::complete(&id, token, &outcome);
                self.ask(asks::COMPLETE, arguments, brief, move |answer| {
                    Input::Reported(id, answer.map(drop))
                });
            }
            Action::Start(task) => self.start(&task),
            Action::Kill(id) => self.runner.kill(&id),
            Action::Finish(_) => {}
        }
    }

    fn start(&mut self, task: &Task) {
        tracing::info!(task = task.id, task_type = task.task_type, attempt = task.attempt, "begun");
        match self.settings.kinds.plan(task) {
            Ok(plan) => self.runner.start(&task.id, plan),
            Err(why) => self.mailbox.put(Input::Ended(task.id.clone(), Outcome::failed(why, false))),
        }
    }

    fn ask(
        &self,
        tool: &'static str,
        arguments: serde_json::Value,
        within: Duration,
        read: impl FnOnce(Result<serde_json::Value, super::machine::Trouble>) -> Input + 'static,
    ) {
        let (link, mailbox) = (Rc::clone(&self.link), self.mailbox.clone());
        self.spawn(async move { mailbox.put(read(link.call(tool, arguments, within).await)) });
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        // A scope that is closed belongs to a worker that has ended.
        let _ = self.scope.spawn("ask", task);
    }
}

fn tell_end(task: &str, outcome: &Outcome) {
    match outcome {
        Outcome::Completed(_) => tracing::info!(task, "completed"),
        Outcome::Failed { error, retryable, .. } => tracing::warn!(task, retryable, "failed: {error}"),
    }
}
