//! The blocking pool: bounded, loud about panics, and quick to end.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod runtime_support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ringmesh::runtime::blocking::{BlockingPool, JobError, PoolFull};
use ringmesh::runtime::{ExecutorSettings, spawn_executor, warm_up};
use runtime_support::on_executor;

const MS: Duration = Duration::from_millis(1);

#[test]
fn jobs_return_their_values_to_the_executor() {
    on_executor(|| async {
        let pool = BlockingPool::new(2, 100);
        let jobs: Vec<_> = (0..50).map(|index| pool.submit(move || index * 2).unwrap()).collect();
        for (index, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.await, Ok(index * 2));
        }
    });
}

#[test]
fn the_executor_goes_on_while_a_job_blocks() {
    on_executor(|| async {
        let pool = BlockingPool::new(1, 0);
        let job = pool.submit(|| thread::sleep(100 * MS)).unwrap();
        let start = Instant::now();
        ringmesh::runtime::sleep(5 * MS).await;
        assert!(start.elapsed() < 90 * MS);
        job.await.unwrap();
    });
}

#[test]
fn a_panic_is_an_error_and_the_thread_goes_on() {
    on_executor(|| async {
        let pool = BlockingPool::new(1, 10);
        let panics = pool.submit(|| -> u8 { panic!("job {}", 3) }).unwrap();
        assert_eq!(panics.await, Err(JobError::Panicked("job 3".to_owned())));
        pool.execute(Box::new(|| panic!("unheard"))).unwrap();
        assert_eq!(pool.submit(|| 7).unwrap().await, Ok(7));
    });
}

/// A pool of one thread that is busy until the returned sender is dropped.
fn busy_pool(max_queue: usize) -> (BlockingPool, mpsc::Sender<()>) {
    let pool = BlockingPool::new(1, max_queue);
    let (release, released) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    pool.execute(Box::new(move || {
        begun.send(()).unwrap();
        let _ = released.recv();
    }))
    .unwrap();
    has_begun.recv().unwrap();
    (pool, release)
}

#[test]
fn a_full_pool_says_so_and_has_room_again_later() {
    on_executor(|| async {
        let (pool, release) = busy_pool(2);
        let waiting = [pool.submit(|| 1).unwrap(), pool.submit(|| 2).unwrap()];
        assert_eq!(pool.submit(|| 3).unwrap_err(), PoolFull);
        assert_eq!(pool.queued(), 2);
        drop(release);
        for (index, job) in waiting.into_iter().enumerate() {
            assert_eq!(job.await, Ok(index + 1));
        }
        assert_eq!(pool.submit(|| 3).unwrap().await, Ok(3));
    });
}

#[test]
fn threads_run_jobs_side_by_side_up_to_their_number() {
    let pool = BlockingPool::new(3, 0);
    let barrier = Arc::new(Barrier::new(4));
    for _ in 0..3 {
        let barrier = Arc::clone(&barrier);
        let wait = move || {
            barrier.wait();
        };
        pool.execute(Box::new(wait)).unwrap();
    }
    assert_eq!(pool.execute(Box::new(|| {})), Err(PoolFull));
    barrier.wait();
}

#[test]
fn threads_started_from_a_pinned_core_are_not_pinned_to_it() {
    let pool = Arc::new(BlockingPool::new(1, 0));
    let before = allowed_cpus();
    let main = {
        let pool = Arc::clone(&pool);
        move || async move {
            warm_up().await;
            (allowed_cpus(), pool.submit(allowed_cpus).unwrap().await.unwrap())
        }
    };
    let pinned = spawn_executor(Some(first_cpu()), "pinned", &ExecutorSettings::default(), main).unwrap();
    let (pinned, blocking) = pinned.join().unwrap();
    assert_eq!(pinned, first_cpu().to_string());
    assert_eq!(blocking, before);
}

/// The processors that the calling thread may run on, as the kernel writes them.
fn allowed_cpus() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.unwrap().trim().to_owned()
}

fn first_cpu() -> usize {
    allowed_cpus().split(['-', ',']).next().unwrap().parse().unwrap()
}

#[test]
fn a_job_that_nobody_waits_for_any_more_is_not_begun() {
    let (pool, release) = busy_pool(2);
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&runs);
    drop(pool.submit(move || counter.fetch_add(1, Ordering::SeqCst)).unwrap());
    drop(release);
    while pool.queued() > 0 {
        thread::sleep(MS);
    }
    pool.shutdown(1_000 * MS).unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 0);
}

#[test]
fn shutdown_abandons_what_waits_and_is_bounded_by_its_time() {
    on_executor(|| async {
        let (pool, release) = busy_pool(2);
        let waiting = pool.submit(|| 1).unwrap();
        let start = Instant::now();
        assert_eq!(pool.shutdown(50 * MS).unwrap_err().threads, 1);
        assert!(start.elapsed() >= 50 * MS && start.elapsed() < 1_000 * MS);
        assert_eq!(waiting.await, Err(JobError::Abandoned));
        assert_eq!(pool.submit(|| 2).unwrap_err(), PoolFull);
        drop(release);
        pool.shutdown(5_000 * MS).unwrap();
    });
}
