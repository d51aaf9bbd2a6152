//! A server in the caller's own executor, as one core among the caller's other work.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;

use super::Server;
use super::error::ServerError;
use super::hooks::CoreInfo;
use super::readiness::Start;
use super::run::{Ended, announce, finish, install_signals};
use super::serving::run_core;
use super::setup::{self, Prepared};
use super::tasks;
use crate::runtime::{self, Scope};

/// Runs on the caller's executor, as its core 0.
pub(super) async fn in_executor(server: Server, scope: Option<Scope>) -> Result<Ended, ServerError> {
    if !runtime::inside_executor() {
        return Err(ServerError::OutsideExecutor);
    }
    let failed = server.readiness.clone();
    let result = embedded(server, scope).await;
    failed.decide(Start::Failed);
    result
}

async fn embedded(server: Server, scope: Option<Scope>) -> Result<Ended, ServerError> {
    let Prepared { shared, hooks, readiness, reserved, signals } = setup::prepare(server, &[0], true)?;
    let _signals = install_signals(signals, &shared)?;
    let (shutdown, hooks) = hooks.split();
    let hooks = Arc::new(hooks);
    let core = CoreInfo { index: 0, cpu: None };
    let timeout = shared.config.run_timeout_ms.map(Duration::from_millis);
    let serving = {
        let announced = shared.clone();
        run_core(shared.clone(), hooks, core, scope, move || announce(&announced, &readiness))
    };
    let outcome = match timeout {
        None => serving.await.map(|()| Ended::Stopped),
        Some(timeout) => {
            let ended = Cell::new(Ended::Stopped);
            let stopper = async {
                runtime::sleep(timeout).await;
                tracing::info!("cancelled: run_timeout_ms is over");
                ended.set(Ended::TimedOut);
                shared.stop.stop();
                std::future::pending().await
            };
            serving.or(stopper).await.map(|()| ended.get())
        }
    };
    drop(reserved);
    finish(shutdown, tasks::verdict(&shared, outcome))
}
