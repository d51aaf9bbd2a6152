//! The commands that run: one thread each, which ends with its command.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use super::groups::Groups;
use super::machine::Input;
use super::mailbox::Mailbox;
use super::notes::Notes;
use super::outcome::{Exit, Outcome, Output};
use super::plan::{Plan, Step};
use super::process::reserve_progress_fd;
use super::pump::{self, Bounds};

/// How long each program that tidies up may take.
const CLEANUP_TIME: Duration = Duration::from_secs(30);

/// What every command may take.
#[derive(Debug, Clone, Copy)]
pub struct RunLimits {
    /// How long a task may run; `None` for as long as it likes.
    pub timeout: Option<Duration>,
    /// Bytes of standard output that are kept.
    pub max_output_bytes: usize,
}

/// The commands of a worker.
pub(super) struct Runner {
    limits: RunLimits,
    groups: Groups,
    mailbox: Mailbox,
    /// One byte, or its end, kills the task's command.
    controls: BTreeMap<String, UnixStream>,
    _progress_fd: File,
}

impl Runner {
    pub(super) fn new(limits: RunLimits, groups: Groups, mailbox: Mailbox) -> io::Result<Runner> {
        let reserved = reserve_progress_fd()?;
        Ok(Runner { limits, groups, mailbox, controls: BTreeMap::new(), _progress_fd: reserved })
    }

    /// Starts a plan; its end comes to the mailbox.
    pub(super) fn start(&mut self, task: &str, plan: Plan) {
        if let Err(error) = self.try_start(task, plan) {
            let outcome = Outcome::of(&Exit::NotStarted(error.to_string()), &Output::default(), &[]);
            self.mailbox.put(Input::Ended(task.to_owned(), outcome));
        }
    }

    fn try_start(&mut self, task: &str, plan: Plan) -> io::Result<()> {
        let (ours, theirs) = UnixStream::pair()?;
        let (limits, groups, mailbox) = (self.limits, self.groups.clone(), self.mailbox.clone());
        let id = task.to_owned();
        let work = move || {
            let said = |notes| mailbox.say(&id, notes);
            let outcome = perform(&plan, limits, &theirs, &said, &groups);
            mailbox.put(Input::Ended(id.clone(), outcome));
        };
        thread::Builder::new().name("task".to_owned()).stack_size(512 << 10).spawn(work)?;
        self.controls.insert(task.to_owned(), ours);
        Ok(())
    }

    /// Kills a command, if it runs.
    pub(super) fn kill(&mut self, task: &str) {
        if let Some(control) = self.controls.get_mut(task) {
            // A thread that is gone has ended its command.
            let _ = control.write_all(b"k");
        }
    }

    /// Forgets a command that has ended.
    pub(super) fn ended(&mut self, task: &str) {
        self.controls.remove(task);
    }
}

/// Runs the steps up to the first that does not end well, and tidies up.
fn perform(
    plan: &Plan,
    limits: RunLimits,
    control: &UnixStream,
    said: &dyn Fn(Notes),
    groups: &Groups,
) -> Outcome {
    let mut remarks = Notes::default();
    plan.remarks.iter().for_each(|remark| remarks.log(remark.as_str()));
    if !remarks.is_empty() {
        said(remarks);
    }
    let until = limits.timeout.map(|timeout| Instant::now() + timeout);
    let bounds = Bounds { until, max_output_bytes: limits.max_output_bytes, control, said };
    let mut last = (Exit::NotStarted("there is nothing to run".to_owned()), Output::default());
    groups.tidied(&plan.cleanup, || {
        for step in &plan.steps {
            last = pump::run(step, &bounds, groups);
            if last.0 != Exit::Code(0) {
                break;
            }
        }
        plan.cleanup.iter().for_each(|step| tidy(step, groups));
    });
    Outcome::of(&last.0, &last.1, plan.machine_codes)
}

/// Runs a program that tidies up, for [`CLEANUP_TIME`] at most.
pub(super) fn tidy(step: &Step, groups: &Groups) {
    let Ok((_ours, theirs)) = UnixStream::pair() else { return };
    let until = Some(Instant::now() + CLEANUP_TIME);
    let bounds = Bounds { until, max_output_bytes: 0, control: &theirs, said: &|_| {} };
    let _ = pump::run(step, &bounds, groups);
}
