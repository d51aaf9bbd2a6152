//! One command from its first connection to its exit code: one executor, not pinned, and a signal that ends it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future;

use super::ask;
use super::commands::{Job, Shown, Way};
use super::failure::Failure;
use super::flags::Plan;
use super::terminal::Terminal;
use super::text::View;
use crate::cli::{exit, print, unwritten};
use crate::client::{Client, ClientOptions, Root};
use crate::runtime::signal::{self, SignalGuard};
use crate::runtime::{
    ExecutorSettings, Scope, ScopeOptions, StopFlag, Watchdog, WatchdogSettings, preflight, sleep,
    spawn_executor, warm_up,
};

/// How long saying goodbye to the server may take.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// Bytes of one answer. A command has one at a time, and a picture in it may be large.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// Connections that one command may have open, by far.
const MAX_FILES: u64 = 64;
/// How long an answer may take at most on a terminal, where progress and questions extend the time.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// Runs one command and shows its result; returns the exit code.
pub(super) fn run(plan: Plan, job: Job) -> Result<u8, Failure> {
    let broken = |error: &dyn std::fmt::Display| Failure::new(exit::FAILURE, error.to_string());
    check_machine()?;
    let stop = StopFlag::new();
    let _signals: SignalGuard = signal::install(stop.clone()).map_err(|error| broken(&error))?;
    let watchdog = Watchdog::start(WatchdogSettings::default()).map_err(|error| broken(&error))?;
    let settings = ExecutorSettings { watchdog: Some(watchdog.clone()), ..ExecutorSettings::default() };
    let main = move || async move {
        warm_up().await;
        let _tick = watchdog.register(0);
        in_scope(plan, job, stop).await
    };
    let executor = spawn_executor(None, "client", &settings, main).map_err(|error| broken(&error))?;
    executor.join().unwrap_or_else(|error| Err(broken(&error)))
}

/// One executor needs little, but io_uring it needs.
pub(super) fn check_machine() -> Result<(), Failure> {
    let plan = preflight::Plan { cores: None, max_cores: Some(1), max_connections: MAX_FILES };
    let report = preflight::examine(&plan);
    let failures: Vec<_> = report.failures().map(|check| format!("\n  {check}")).collect();
    if failures.is_empty() {
        return Ok(());
    }
    let message = format!("this machine lacks something that is needed:{}", failures.concat());
    Err(Failure::new(exit::PREFLIGHT, message))
}

async fn in_scope(plan: Plan, job: Job, stop: StopFlag) -> Result<u8, Failure> {
    let options = ScopeOptions::named("client");
    let ended = Scope::run(options, |scope| async move {
        let terminal = Rc::new(Terminal::of_process());
        let connected = RefCell::new(None);
        let work = work(&scope, plan, job, &terminal, &connected);
        let stopped = async {
            stop.stopped().await;
            Err(Failure::new(exit::INTERRUPTED, "interrupted"))
        };
        let outcome = future::or(work, stopped).await;
        terminal.clear();
        // What was on its way is given up by now; the server hears of that, and of the end.
        let client = connected.take();
        if let Some(client) = client {
            let late = sleep(CLOSE_TIME);
            future::or(async { drop(Client::close(client).await) }, late).await;
        }
        scope.cancel();
        Ok::<_, Infallible>(outcome)
    });
    match ended.await {
        Ok(outcome) => outcome,
        Err(error) => Err(Failure::new(exit::FAILURE, error.to_string())),
    }
}

async fn work(
    scope: &Scope,
    plan: Plan,
    job: Job,
    terminal: &Rc<Terminal>,
    connected: &RefCell<Option<Client>>,
) -> Result<u8, Failure> {
    let way = Way { output: plan.output, view: View::of_stdout() };
    let options = options(&plan, terminal);
    let client = Client::connect(scope, &plan.target, options).await?;
    connected.replace(Some(client.clone()));
    let Shown { text, failed, faults } = job.run(&client, &way, terminal).await?;
    terminal.clear();
    print(&text).map_err(|error| Failure::with_result(unwritten(&error)))?;
    match faults.first() {
        Some(fault) => Err(Failure::with_result(fault)),
        None if failed => Err(Failure::with_result("the tool says that it failed")),
        None => Ok(exit::OK),
    }
}

fn options(plan: &Plan, terminal: &Rc<Terminal>) -> ClientOptions {
    let mut options = ClientOptions::new("ringmesh", env!("CARGO_PKG_VERSION"));
    options.http = plan.http.clone();
    options.limits.max_message_bytes = MAX_MESSAGE_BYTES;
    options.http.limits.body_bytes = MAX_MESSAGE_BYTES;
    options.http.limits.event_bytes = MAX_MESSAGE_BYTES;
    options.p2p = plan.p2p.clone();
    options.p2p.max_frame_bytes = MAX_MESSAGE_BYTES;
    options.p2p.max_waiting_bytes = 2 * MAX_MESSAGE_BYTES;
    options.request_timeout = plan.timeout;
    options.max_request_timeout = if terminal.shows() { plan.timeout.max(MAX_TIMEOUT) } else { plan.timeout };
    options.revision = plan.revision;
    options.log_level = plan.log_level;
    if plan.log_level.is_some() {
        let terminal = Rc::clone(terminal);
        options = options.on_log(move |message| terminal.log(&message));
    }
    if !plan.roots.is_empty() {
        let roots: Vec<Root> = plan.roots.clone();
        options = options.on_roots(move || {
            let roots = roots.clone();
            async move { Ok(roots) }
        });
    }
    let terminal = Rc::clone(terminal);
    let asked = move |request| {
        let terminal = Rc::clone(&terminal);
        async move { Ok(ask::elicit(&terminal, request).await) }
    };
    options.elicit_modes(true, true).on_elicit(asked)
}
