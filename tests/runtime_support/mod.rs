//! What the tests of the runtime share.

use std::future::Future;
use std::thread;
use std::time::Duration;

use futures_lite::future;
use ringmesh::runtime::{ExecutorSettings, Watchdog, WatchdogSettings, sleep, spawn_executor, warm_up};

/// Runs `test` on an executor of its own that is watched, as a server's are, for twenty seconds at most.
#[allow(dead_code, reason = "the watchdog's own tests bring their own")]
pub(crate) fn on_executor<T, Fut>(test: impl FnOnce() -> Fut + Send + 'static) -> T
where
    T: Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let watchdog = Watchdog::start(WatchdogSettings::default()).unwrap();
    on_unwatched_executor(move || async move {
        let _tick = watchdog.register(0);
        test().await
    })
}

/// Runs `test` on an executor of its own, for twenty seconds at most.
pub(crate) fn on_unwatched_executor<T, Fut>(test: impl FnOnce() -> Fut + Send + 'static) -> T
where
    T: Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let main = move || async move {
        warm_up().await;
        let timeout = async {
            sleep(Duration::from_secs(20)).await;
            panic!("the test did not end in twenty seconds")
        };
        future::or(test(), timeout).await
    };
    spawn_executor(None, "test", &ExecutorSettings::default(), main).unwrap().join().unwrap()
}

/// Waits for a thread without holding up the executor.
#[allow(dead_code, reason = "not every test file waits for a thread")]
pub(crate) async fn joined<T>(thread: thread::JoinHandle<T>) -> T {
    while !thread.is_finished() {
        sleep(Duration::from_millis(1)).await;
    }
    thread.join().unwrap()
}
