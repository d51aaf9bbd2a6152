//! A program that is only a client: an executor and a scope to live in.

use std::future::Future;

use crate::runtime::{
    BoxError, ExecutorSettings, Scope, ScopeError, ScopeOptions, Watchdog, WatchdogSettings, spawn_executor,
    warm_up,
};

/// Runs `body` in a scope of its own, on an executor of its own, and returns when both have ended.
///
/// For programs that have no executor; inside one, use [`Scope::run`]. The thread that calls it waits.
///
/// # Errors
/// What `body` returns, and whatever keeps an executor from starting: `ringmesh check` says what this machine lacks.
pub fn run<T, F, Fut>(body: F) -> Result<T, BoxError>
where
    F: FnOnce(Scope) -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, BoxError>> + 'static,
    T: Send + 'static,
{
    let watchdog = Watchdog::start(WatchdogSettings::default())?;
    let settings = ExecutorSettings { watchdog: Some(watchdog.clone()), ..ExecutorSettings::default() };
    let main = move || async move {
        warm_up().await;
        let _tick = watchdog.register(0);
        Scope::run(ScopeOptions::named("client"), body).await
    };
    let done = spawn_executor(None, "client", &settings, main)?.join()?;
    done.map_err(|error| match error {
        ScopeError::Failed(error) => error,
        other => other.to_string().into(),
    })
}
