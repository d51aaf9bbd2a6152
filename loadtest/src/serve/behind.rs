//! Behind the bridge: the executor that owns libp2p, the queue and the tools that need them.

use std::sync::mpsc::Sender;
use std::time::Duration;

use ringmesh::runtime::{
    self, BoxError, ExecutorHandle, ExecutorSettings, Queue, Scope, ScopeOptions, Watchdog, WatchdogSettings,
    spawn_executor,
};
use ringmesh::{App, Server, ServerConfig, Start};
use tokio::sync::mpsc::Receiver;

use super::HEALTH;
use super::bridge::{Answered, Crossing};

/// Requests that are taken from the bridge in one turn.
const BATCH: usize = 64;
/// How often the start is looked for.
const START_POLL: Duration = Duration::from_millis(2);

/// What the executor is to be.
#[derive(Debug)]
pub(super) struct Behind {
    pub(super) config: ServerConfig,
    /// Whether each call to a peer makes a node and a connection.
    pub(super) dials_anew: bool,
    /// Told what `/health` answers, once it serves.
    pub(super) ready: Sender<Vec<u8>>,
}

/// Starts the executor. It ends with the server on it, which SIGTERM and SIGINT stop.
pub(super) fn start(
    behind: Behind,
    receive: Receiver<Crossing>,
) -> Result<ExecutorHandle<Result<(), String>>, String> {
    let main = move || async move { run(behind, receive).await.map_err(|error| error.to_string()) };
    let watchdog = Watchdog::start(WatchdogSettings::default()).map_err(|error| error.to_string())?;
    let settings = ExecutorSettings { watchdog: Some(watchdog), ..ExecutorSettings::default() };
    spawn_executor(None, "behind", &settings, main).map_err(|error| error.to_string())
}

async fn run(behind: Behind, receive: Receiver<Crossing>) -> Result<(), BoxError> {
    // HTTP is in front; what listens here is there for the server's own sake, and nobody is told where.
    let config = ServerConfig { listen: vec![([127, 0, 0, 1], 0).into()], ..behind.config };
    let server = Server::new(config).builtin_tools().handle_signals();
    let options =
        ScopeOptions { grace: Duration::ZERO, queue: Queue::Serve, ..ScopeOptions::named("behind") };
    let ended = Scope::run(options, |scope| async move {
        let handle = server.handle();
        let (dials_anew, ready, crossings) = (behind.dials_anew, behind.ready, scope.clone());
        scope.spawn("bridge", async move {
            while !matches!(handle.readiness().state(), Start::Ready(_)) {
                runtime::sleep(START_POLL).await;
            }
            let Some(app) = App::here() else { return };
            if dials_anew {
                app.dial_anew(crossings.clone());
            }
            // Whoever waited for it has given up, and will end this.
            let _ = ready.send(app.handle(HEALTH).await);
            take(&app, receive, &crossings).await;
        })?;
        let ended = server.run_in_scope(&scope).await;
        scope.cancel();
        ended.map(drop).map_err(BoxError::from)
    })
    .await;
    ended.map_err(|error| error.to_string().into())
}

/// Answers what comes over the bridge, each request in a task of its own unless it can be answered at once.
async fn take(app: &App, mut receive: Receiver<Crossing>, scope: &Scope) {
    let mut batch = Vec::with_capacity(BATCH);
    while receive.recv_many(&mut batch, BATCH).await > 0 {
        for crossing in batch.drain(..) {
            let answer = answer(app.clone(), crossing);
            if scope.poll_or_spawn("crossing", answer).is_err() {
                return;
            }
        }
    }
}

async fn answer(app: App, crossing: Crossing) {
    let Crossing { mut reader, answer } = crossing;
    let mut bytes = Vec::new();
    let keep = app.answer(&mut reader, &mut bytes).await;
    // A client that is gone needs no answer.
    let _ = answer.send(Answered { reader, bytes, keep });
}
