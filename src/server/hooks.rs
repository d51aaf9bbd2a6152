//! What the embedding program does at the start and at the end, once a process and once a core.

use std::future::Future;
use std::pin::Pin;

use crate::runtime::BoxError;

type ProcessHook = Box<dyn FnOnce() -> Result<(), BoxError> + Send>;
type CoreHook = Box<dyn Fn(CoreInfo) -> Pin<Box<dyn Future<Output = Result<(), BoxError>>>> + Send + Sync>;

/// The core that a per-core hook runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreInfo {
    /// Its index among the server's cores, from 0.
    pub index: usize,
    /// The CPU it is pinned to; `None` in a caller's own executor.
    pub cpu: Option<usize>,
}

/// The hooks of one server, run in the order of registration; shutdown hooks in the reverse order.
#[derive(Default)]
pub(crate) struct Hooks {
    startup: Vec<ProcessHook>,
    shutdown: ShutdownHooks,
    cores: CoreHooks,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks")
            .field("startup", &self.startup.len())
            .field("shutdown", &self.shutdown.0.len())
            .field("core_startup", &self.cores.startup.len())
            .field("core_shutdown", &self.cores.shutdown.len())
            .finish()
    }
}

fn boxed<F, Fut>(hook: F) -> CoreHook
where
    F: Fn(CoreInfo) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), BoxError>> + 'static,
{
    Box::new(move |core| Box::pin(hook(core)))
}

impl Hooks {
    pub(crate) fn on_startup(&mut self, hook: impl FnOnce() -> Result<(), BoxError> + Send + 'static) {
        self.startup.push(Box::new(hook));
    }

    pub(crate) fn on_shutdown(&mut self, hook: impl FnOnce() -> Result<(), BoxError> + Send + 'static) {
        self.shutdown.0.push(Box::new(hook));
    }

    pub(crate) fn on_core_startup<F, Fut>(&mut self, hook: F)
    where
        F: Fn(CoreInfo) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + 'static,
    {
        self.cores.startup.push(boxed(hook));
    }

    pub(crate) fn on_core_shutdown<F, Fut>(&mut self, hook: F)
    where
        F: Fn(CoreInfo) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + 'static,
    {
        self.cores.shutdown.push(boxed(hook));
    }

    /// Runs the process's start hooks; the first failure stops the start.
    pub(crate) fn start(&mut self) -> Result<(), BoxError> {
        self.startup.drain(..).try_for_each(|hook| hook())
    }

    /// The hooks that are left once the process has started: those of its end, and those of its cores.
    pub(crate) fn split(self) -> (ShutdownHooks, CoreHooks) {
        (self.shutdown, self.cores)
    }
}

/// The hooks of each core.
#[derive(Default)]
pub(crate) struct CoreHooks {
    startup: Vec<CoreHook>,
    shutdown: Vec<CoreHook>,
}

impl CoreHooks {
    pub(crate) async fn start_core(&self, core: CoreInfo) -> Result<(), BoxError> {
        for hook in &self.startup {
            hook(core).await?;
        }
        Ok(())
    }

    /// Runs every end hook of a core, whatever the others say, and keeps the first failure.
    pub(crate) async fn stop_core(&self, core: CoreInfo) -> Result<(), BoxError> {
        let mut first = Ok(());
        for hook in self.shutdown.iter().rev() {
            let ended = hook(core).await;
            if first.is_ok() {
                first = ended;
            }
        }
        first
    }
}

/// The end hooks of a process.
#[derive(Default)]
pub(crate) struct ShutdownHooks(Vec<ProcessHook>);

impl ShutdownHooks {
    /// Runs every hook, the last registered first, and keeps the first failure.
    pub(crate) fn run(self) -> Result<(), BoxError> {
        let mut first = Ok(());
        for hook in self.0.into_iter().rev() {
            let ended = hook();
            if first.is_ok() {
                first = ended;
            }
        }
        first
    }
}
