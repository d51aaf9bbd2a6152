//! One executor on one thread, pinned to one core.

use std::cell::Cell;
use std::future::Future;
use std::panic;
use std::sync::Once;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use glommio::{LocalExecutor, LocalExecutorBuilder, Placement, PoolPlacement};

use super::affinity::CpuMask;
use super::error::RuntimeError;
use super::lifeline;
use super::panics::{self, panic_message};
use super::queues::{self, Queue};
use super::readiness::SocketRing;
use super::scope;
use super::timer::{sleep, yield_now};
use super::watchdog::Watchdog;

/// The longest that an executor's end waits for tasks that are already cancelled.
const ORPHAN_TIME: Duration = Duration::from_secs(1);

/// The reactor's preemption timer while only the root runs. One that is over before the root's first turn has the
/// executor park with nobody who could wake it, so it is longer than a machine stands still.
const ROOT_PREEMPT_TIMER: Duration = Duration::from_secs(1);

/// What one executor takes from the machine.
#[derive(Debug, Clone)]
pub struct ExecutorSettings {
    /// How long an idle executor polls before it sleeps. Zero, the default, leaves the core to others; 50 µs takes
    /// 15-20 % off the latency of a lone connection and a whole core with it. Needs a pinned executor.
    pub spin_before_park: Duration,
    /// How long an idle executor looks for more on its sockets before it sleeps, as long as that has been paying off; 50 µs
    /// by default, about what going to sleep and being woken costs. Zero is never.
    pub adaptive_spin: Duration,
    /// Bytes of memory registered with io_uring for file I/O, at least 64 KiB (the default).
    pub io_memory_bytes: usize,
    /// Submissions each of the executor's three rings holds; 64 by default, at least 1.
    pub ring_depth: usize,
    /// Wakes the executor at its start and at its end, where it has no tick yet and none any more; none by default.
    /// Without it the executor may sleep there although it has something to do, until something else wakes it.
    pub watchdog: Option<Watchdog>,
    /// Tests do without the ring for sockets, as on an older kernel.
    #[doc(hidden)]
    pub socket_ring: bool,
    /// Tests shorten the reactor's preemption timer to provoke its defects; nothing else may.
    #[doc(hidden)]
    pub preempt_timer: Option<Duration>,
}

impl Default for ExecutorSettings {
    fn default() -> Self {
        Self {
            spin_before_park: Duration::ZERO,
            adaptive_spin: Duration::from_micros(50),
            io_memory_bytes: 64 << 10,
            ring_depth: 64,
            watchdog: None,
            socket_ring: true,
            preempt_timer: None,
        }
    }
}

/// A started executor. Dropping the handle leaves the executor running.
#[derive(Debug)]
pub struct ExecutorHandle<T> {
    thread: JoinHandle<Result<T, RuntimeError>>,
}

impl<T> ExecutorHandle<T> {
    /// Waits for the executor's end and returns what its main future returned.
    ///
    /// # Errors
    /// [`RuntimeError::Reactor`] or [`RuntimeError::Affinity`] when it could not start, [`RuntimeError::Panicked`]
    /// when its main future panicked.
    pub fn join(self) -> Result<T, RuntimeError> {
        match self.thread.join() {
            Ok(result) => result,
            Err(payload) => Err(RuntimeError::Panicked(panic_message(payload.as_ref()))),
        }
    }

    /// Whether the executor has ended, so that [`ExecutorHandle::join`] would not wait.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

/// Does what is cheap only while the process has one thread: registers it for the memory barrier that executors use.
///
/// Call it first thing in `main`. Without it the first executor to sleep takes tens of milliseconds longer.
pub fn prepare_process() {
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;
    // SAFETY: the call takes two integers and touches no memory of ours. Where it fails, the reactor finds another way.
    unsafe { libc::syscall(libc::SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0) };
}

/// Spawns a thread with one executor, pinned to `cpu`, or not pinned for `None`.
///
/// `main` runs on the thread and makes the root future, which runs in [`Queue::Serve`]. What goes wrong from there on
/// (no io_uring, no such cpu, a panic) comes back from [`ExecutorHandle::join`].
///
/// # Errors
/// [`RuntimeError::Thread`] when the system refuses a thread.
pub fn spawn_executor<T, F, Fut>(
    cpu: Option<usize>,
    name: &str,
    settings: &ExecutorSettings,
    main: F,
) -> Result<ExecutorHandle<T>, RuntimeError>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let settings = settings.clone();
    let thread = thread::Builder::new().name(name.to_owned());
    let thread = thread.spawn(move || run_executor(cpu, &settings, main)).map_err(RuntimeError::Thread)?;
    Ok(ExecutorHandle { thread })
}

fn run_executor<T, F, Fut>(
    cpu: Option<usize>,
    settings: &ExecutorSettings,
    main: F,
) -> Result<T, RuntimeError>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = T> + 'static,
    T: 'static,
{
    // Building the reactor panics where io_uring is forbidden; the message goes into the error.
    let executor = panics::catch(|| build(cpu, settings))
        .unwrap_or_else(|message| Err(RuntimeError::Reactor(message)))?;
    IN_EXECUTOR.set(true);
    queues::shorten_latency(settings.preempt_timer);
    let outcome =
        panics::catch(|| executor.run(lifeline::hold(settings.watchdog.as_ref(), root(main, settings))));
    IN_EXECUTOR.set(false);
    outcome.and_then(|result| result).map_err(RuntimeError::Panicked)
}

fn build(cpu: Option<usize>, settings: &ExecutorSettings) -> Result<LocalExecutor, RuntimeError> {
    let spins = settings.spin_before_park > Duration::ZERO;
    let placement = match cpu {
        // The reactor spins only when it did the pinning itself, for which it reads the machine's topology.
        Some(cpu) if spins => Placement::Fixed(cpu),
        _ => Placement::Unbound,
    };
    if let Some(cpu) = cpu {
        CpuMask::single(cpu)
            .and_then(|mask| mask.apply())
            .map_err(|source| RuntimeError::Affinity { cpu, source })?;
    }
    let mut builder = LocalExecutorBuilder::new(placement)
        .io_memory(settings.io_memory_bytes)
        .ring_depth(settings.ring_depth.max(1))
        .preempt_timer(ROOT_PREEMPT_TIMER)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(1));
    if spins {
        builder = builder.spin_before_park(settings.spin_before_park);
    }
    builder.make().map_err(|error| RuntimeError::Reactor(error.to_string()))
}

/// The executor's own first task does nothing but start `main` in the serving queue and wait for it: a task of the
/// reactor's default queue hears of other threads late, and must not panic.
async fn root<T, F, Fut>(main: F, settings: &ExecutorSettings) -> Result<T, String>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = T> + 'static,
    T: 'static,
{
    let future = panics::catch(main)?;
    let sockets = settings.socket_ring.then(|| SocketRing::start(settings.adaptive_spin));
    let outcome = queues::spawn_into(Queue::Serve, panics::caught(future)).await;
    drop(sockets);
    // Tasks that were cancelled on the way out are gone after the next turn. Nothing of theirs is leaked.
    yield_now().await;
    futures_lite::future::or(scope::orphans_gone(), sleep(ORPHAN_TIME)).await;
    // Descriptors that were dropped are closed by the reactor's next turn, and there is none after this.
    sleep(Duration::from_micros(100)).await;
    outcome
}

thread_local! {
    static IN_EXECUTOR: Cell<bool> = const { Cell::new(false) };
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static TOTALS: Cell<Totals> = const { Cell::new(Totals { busy: Duration::ZERO, polls: 0 }) };
}

/// Whether this thread runs an executor, one of ours or a caller's own.
pub fn inside_executor() -> bool {
    IN_EXECUTOR.get() || foreign_executor()
}

/// The reactor only tells by panicking, so the panic is kept quiet.
fn foreign_executor() -> bool {
    static QUIETER: Once = Once::new();
    QUIETER.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                previous(info);
            }
        }));
    });
    QUIET.set(true);
    let id = panics::catch(|| glommio::executor().id());
    QUIET.set(false);
    id.is_ok()
}

/// Makes a fresh executor ready: creates its queues and lets its first timer, which is slow, fire.
///
/// # Panics
/// On a thread that runs no executor.
pub async fn warm_up() {
    queues::create_queues();
    sleep(Duration::from_micros(100)).await;
}

/// How long this thread's executor has worked: tasks and polling, without sleep. It takes the reactor's statistics,
/// which are then gone for others who ask the reactor itself.
///
/// # Panics
/// On a thread that runs no executor.
pub fn core_busy() -> Duration {
    totals().busy
}

/// What this thread's executor has done since it started.
#[derive(Clone, Copy)]
pub(super) struct Totals {
    pub(super) busy: Duration,
    /// How often a task was polled.
    pub(super) polls: u64,
}

pub(super) fn totals() -> Totals {
    // The reactor forgets what it has told once.
    let news = glommio::executor().executor_stats();
    let before = TOTALS.get();
    let busy = before.busy + news.total_runtime();
    TOTALS.set(Totals { busy, polls: before.polls + news.tasks_executed() });
    TOTALS.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start<T: Send + 'static, Fut: Future<Output = T> + 'static>(
        main: impl FnOnce() -> Fut + Send + 'static,
    ) -> ExecutorHandle<T> {
        spawn_executor(None, "test", &ExecutorSettings::default(), main).unwrap()
    }

    #[test]
    fn the_main_future_returns_its_value() {
        assert!(!inside_executor());
        let inside = start(|| async {
            warm_up().await;
            inside_executor()
        });
        assert!(inside.join().unwrap());
    }

    #[test]
    fn a_panic_of_the_main_future_is_an_error_and_no_hang() {
        let sync = start(|| -> std::future::Ready<()> { panic!("before the future") }).join();
        assert!(matches!(sync, Err(RuntimeError::Panicked(message)) if message == "before the future"));
        let inside = start(|| async { panic!("number {}", 7) }).join();
        assert!(matches!(inside, Err(RuntimeError::Panicked(message)) if message == "number 7"));
    }

    #[test]
    fn a_cpu_that_does_not_exist_is_an_error_that_names_it() {
        let handle = spawn_executor(Some(1_000), "test", &ExecutorSettings::default(), || async {}).unwrap();
        let error = handle.join().unwrap_err();
        assert!(error.to_string().contains("cpu 1000"), "{error}");
    }

    #[test]
    fn a_callers_own_executor_is_recognised() {
        let executor =
            LocalExecutorBuilder::new(Placement::Unbound).io_memory(64 << 10).ring_depth(16).make().unwrap();
        assert!(executor.run(async { inside_executor() }));
        assert!(!inside_executor());
    }

    #[test]
    fn busy_time_grows_with_work_and_not_with_sleep() {
        let (idle, busy) = start(|| async {
            warm_up().await;
            let start = core_busy();
            sleep(Duration::from_millis(50)).await;
            let idle = core_busy() - start;
            let until = std::time::Instant::now() + Duration::from_millis(50);
            while std::time::Instant::now() < until {}
            sleep(Duration::from_millis(1)).await;
            (idle, core_busy() - start)
        })
        .join()
        .unwrap();
        assert!(idle < Duration::from_millis(25), "{idle:?}");
        assert!(busy > Duration::from_millis(45), "{busy:?}");
    }
}
