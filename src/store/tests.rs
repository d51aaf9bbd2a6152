#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::FutureExt;

use super::{JournalOptions, LocalStore, Store, StoreError, StoreOptions};
use crate::journal;
use crate::limits::Limits;
use crate::queue::{Claim, Complete, Outcome, Progress, Proof, Settings, Status, Submit, Task};
use crate::runtime::{self, BoxError, ExecutorSettings, Queue, Scope, ScopeOptions, sleep, spawn_executor};

fn submit(store: &LocalStore, task_type: &str) -> Submit {
    Submit {
        id: store.new_task_id(),
        task_type: task_type.into(),
        model_name: "m".into(),
        payload: "{}".into(),
        priority: 5,
        max_attempts: None,
        delay_ms: 0,
        session: None,
        sticky_worker: None,
        idempotency_key: None,
    }
}

fn claim(worker: &str, types: &[&str]) -> Claim {
    Claim {
        worker: worker.into(),
        peer: worker.into(),
        types: types.iter().map(|name| Arc::from(*name)).collect(),
        session: None,
        lease_ms: None,
        max_tasks: 1,
        same_type: true,
    }
}

fn complete(task: &Task) -> Complete {
    Complete {
        id: task.core.id,
        outcome: Outcome::Completed,
        result: Some("{\"n\":1}".into()),
        error: None,
        token: Some(task.state.token),
    }
}

/// Runs on an executor of its own, with a scope for the tasks of the store, and fails after a while.
pub(super) fn run<Fut: Future<Output = ()> + 'static>(test: impl FnOnce(Scope) -> Fut + Send + 'static) {
    let main = || async move {
        let options = ScopeOptions { queue: Queue::Serve, ..ScopeOptions::named("test") };
        Scope::run(options, |scope| async move {
            test(scope).await;
            Ok::<_, BoxError>(())
        })
        .await
        .map_err(|error| error.to_string())
    };
    let executor = spawn_executor(None, "store-test", &ExecutorSettings::default(), main).unwrap();
    executor.join().unwrap().unwrap();
}

pub(super) fn options(path: &std::path::Path) -> StoreOptions {
    let settings = journal::Settings { segment_bytes: 8 << 20, reserve_bytes: 1 << 20, ..Default::default() };
    let journal = JournalOptions { path: path.to_owned(), settings };
    StoreOptions { journal: Some(journal), ..StoreOptions::from_limits(&Limits::default(), "a-node") }
}

pub(super) fn open(path: &std::path::Path) -> Arc<Store> {
    Store::open(options(path)).unwrap().0
}

/// A core of the store, whose changes are kept.
pub(super) fn core(store: Arc<Store>, scope: &Scope) -> LocalStore {
    let local = LocalStore::new(store, 0);
    let writer = local.clone();
    scope.spawn("commits", async move { writer.run().await.unwrap() }).unwrap();
    local
}

#[test]
fn a_task_goes_its_way_in_memory() {
    let store = Store::in_memory(Settings::default());
    futures_lite::future::block_on(async {
        let submitted = store.submit(submit(&store, "a")).await.unwrap();
        assert!(store.claim(&claim("w", &["b"]), None, Duration::ZERO).await.unwrap().is_empty());
        let tasks = store.claim(&claim("w", &["a"]), None, Duration::ZERO).await.unwrap();
        assert_eq!(tasks[0].core.id, submitted.id);
        let counts = store.counts();
        assert_eq!((counts.queued, counts.running), (0, 1));
        let done = store.complete(&complete(&tasks[0])).await.unwrap();
        assert_eq!(done.state.status, Status::Completed);
        let waited = store.wait(submitted.id, Duration::from_secs(9)).await.unwrap().unwrap();
        assert_eq!(waited, done);
        assert_eq!(store.wait(store.new_task_id(), Duration::from_secs(9)).await.unwrap(), None);
    });
}

#[test]
fn a_held_task_is_for_its_owner() {
    let store = Store::in_memory(Settings::default());
    futures_lite::future::block_on(async {
        store.submit(submit(&store, "a")).await.unwrap();
        let claim = claim("w", &[]);
        assert!(store.claim(&claim, Some(&|_| false), Duration::ZERO).await.unwrap().is_empty());
        assert_eq!(store.claim(&claim, Some(&|_| true), Duration::ZERO).await.unwrap().len(), 1);
    });
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let first = path.clone();
    run(move |scope| async move {
        let local = core(open(&first), &scope);
        let (a, b) = (
            local.submit(submit(&local, "a")).await.unwrap(),
            local.submit(submit(&local, "b")).await.unwrap(),
        );
        let tasks = local.claim(&claim("w", &["a"]), None, Duration::ZERO).await.unwrap();
        assert_eq!(tasks[0].core.id, a.id);
        local.complete(&complete(&tasks[0])).await.unwrap();
        local.cache_set("k".into(), "1".into(), 0).await.unwrap();
        local.cache_set("gone".into(), "1".into(), 0).await.unwrap();
        local.cache_delete("gone").await.unwrap();
        assert!(Store::open(options(&first)).unwrap_err().to_string().contains("another process"));
        assert!(local.cancel(b.id, Some("why")).await.unwrap());
        local.take_snapshot().await.unwrap();
        local.submit(submit(&local, "c")).await.unwrap();
        local.stop();
    });
    run(move |scope| async move {
        let local = core(open(&path), &scope);
        let stats = local.store().stats();
        assert_eq!(stats.tasks.map(|(_, tasks)| tasks), [1, 0, 1, 0, 1]);
        assert_eq!((local.cache_get("k").as_deref(), local.cache_get("gone")), (Some("1"), None));
        let tasks = local.claim(&claim("w", &[]), None, Duration::ZERO).await.unwrap();
        assert_eq!(&*tasks[0].core.task_type, "c");
        local.stop();
    });
}

#[test]
fn a_claim_waits_for_a_task_and_one_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    run(move |scope| async move {
        let local = core(open(&path), &scope);
        let got = Rc::new(RefCell::new(Vec::new()));
        for worker in ["v", "w"] {
            let (local, got) = (local.clone(), got.clone());
            let waiting = async move {
                let tasks = local.claim(&claim(worker, &["a"]), None, Duration::from_secs(60)).await.unwrap();
                got.borrow_mut().extend(tasks.into_iter().map(|task| (worker, task.core.id)));
            };
            scope.spawn("claim", waiting).unwrap();
        }
        sleep(Duration::from_millis(20)).await;
        assert_eq!(local.store().stats().waiters, 2);
        let first = local.submit(submit(&local, "a")).await.unwrap();
        sleep(Duration::from_millis(100)).await;
        assert_eq!(*got.borrow(), [("v", first.id)]);
        // The other is answered when the server shuts down.
        local.store().drain();
        sleep(Duration::from_millis(20)).await;
        assert_eq!((local.store().stats().waiters, got.borrow().len()), (0, 1));
        local.stop();
    });
}

#[test]
fn a_wake_that_was_not_used_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    run(move |scope| async move {
        let local = core(open(&path), &scope);
        let got = Rc::new(RefCell::new(Vec::new()));
        for (worker, types) in [("both", &["a", "b"][..]), ("one", &["b"])] {
            let (local, got) = (local.clone(), got.clone());
            let waiting = async move {
                let tasks = local.claim(&claim(worker, types), None, Duration::from_secs(60)).await.unwrap();
                got.borrow_mut().push((worker, tasks[0].core.task_type.to_string()));
            };
            scope.spawn("claim", waiting).unwrap();
        }
        sleep(Duration::from_millis(20)).await;
        // Both wakes go to the one who has waited longest, which takes one task.
        let (a, b) = (local.submit(submit(&local, "a")), local.submit(submit(&local, "b")));
        let (a, b) = futures_lite::future::zip(a, b).await;
        assert!(a.is_ok() && b.is_ok());
        sleep(Duration::from_millis(200)).await;
        let mut got = got.borrow().clone();
        got.sort();
        assert_eq!(got, [("both", "a".to_owned()), ("one", "b".to_owned())]);
        local.stop();
    });
}

#[test]
fn ten_thousand_who_wait_cost_nothing_and_one_task_wakes_one() {
    const WAITERS: usize = 10_000;
    run(move |scope| async move {
        let local = Store::in_memory(Settings::default());
        let got = Rc::new(RefCell::new(0));
        for index in 0..WAITERS {
            let (local, got) = (local.clone(), got.clone());
            let waiting = async move {
                let claim = claim(&format!("w{index}"), &["a"]);
                *got.borrow_mut() += local.claim(&claim, None, Duration::from_secs(60)).await.unwrap().len();
            };
            scope.spawn("claim", waiting).unwrap();
        }
        while local.store().stats().waiters < WAITERS as u64 {
            sleep(Duration::from_millis(10)).await;
        }
        let before = runtime::core_busy();
        sleep(Duration::from_millis(1_000)).await;
        let idle = runtime::core_busy() - before;
        assert!(idle < Duration::from_millis(50), "waiting took {idle:?} of a second");
        let before = runtime::core_busy();
        for _ in 0..3 {
            local.submit(submit(&local, "a")).await.unwrap();
        }
        sleep(Duration::from_millis(50)).await;
        let busy = runtime::core_busy() - before;
        assert!(busy < Duration::from_millis(100), "three tasks for three took {busy:?}");
        assert_eq!((*got.borrow(), local.store().stats().waiters), (3, WAITERS as u64 - 3));
        local.store().drain();
    });
}

#[test]
fn a_delay_that_ends_and_a_lease_that_ends_wake_who_waits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    run(move |scope| async move {
        let local = core(open(&path), &scope);
        let keeper = local.clone();
        let upkeep = scope.child(ScopeOptions::named("upkeep"), |upkeep| async move {
            let keeping = keeper.clone();
            upkeep.spawn("upkeep", async move { keeping.keep_up().await })?;
            keeper.submit(Submit { delay_ms: 150, ..submit(&keeper, "a") }).await?;
            let begun_at = Instant::now();
            let short = Claim { lease_ms: Some(1_000), ..claim("w", &["a"]) };
            let tasks = keeper.claim(&short, None, Duration::from_secs(60)).await?;
            assert!(tasks.len() == 1 && begun_at.elapsed() >= Duration::from_millis(140));
            let again = keeper.claim(&claim("v", &[]), None, Duration::from_secs(60)).await?;
            assert_eq!(again[0].core.id, tasks[0].core.id);
            assert!(begun_at.elapsed() >= Duration::from_millis(1_140));
            assert_eq!(keeper.complete(&complete(&tasks[0])).await.unwrap_err().code(), "lease_lost");
            upkeep.cancel();
            Ok::<_, BoxError>(())
        });
        assert!(upkeep.await.is_ok());
        assert_eq!(local.store().stats().lease_expiries, 1);
        local.stop();
    });
}

#[test]
fn a_claim_that_is_dropped_gives_its_task_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    run(move |scope| async move {
        let local = core(open(&path), &scope);
        let task = local.submit(submit(&local, "a")).await.unwrap();
        let dropped = claim("w", &["a"]);
        let mut claiming = Box::pin(local.claim(&dropped, None, Duration::ZERO));
        assert!(futures_lite::future::poll_once(&mut claiming).await.is_none());
        drop(claiming);
        let tasks = local.claim(&claim("v", &["a"]), None, Duration::from_secs(60)).await.unwrap();
        assert_eq!(tasks[0].core.id, task.id);
        assert_eq!((tasks[0].state.attempts, tasks[0].state.claims), (1, 1));
        local.stop();
    });
}

#[test]
fn a_claim_that_is_dropped_with_its_answer_gives_its_task_back_after_what_others_do_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    run(move |scope| async move {
        let local = core(open(&path), &scope);
        let task = local.submit(submit(&local, "a")).await.unwrap();
        let dropped = claim("w", &["a"]);
        let mut claiming = Box::pin(local.claim(&dropped, None, Duration::ZERO));
        assert!(futures_lite::future::poll_once(&mut claiming).await.is_none());
        while local.counts().running == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        let token = local.task(task.id).unwrap().state.token;
        let proof = Proof { token: Some(token), name: None };
        let progress = Progress { id: task.id, proof, progress: None, logs: vec!["x".into()] };
        let mut noting = Box::pin(local.progress(&progress));
        assert!(futures_lite::future::poll_once(&mut noting).await.is_none());
        // The answer is there and was not looked at, and another change of the task is on its way.
        drop(claiming);
        noting.await.unwrap();
        let (keeping, claimant) = (local.clone(), claim("v", &["a"]));
        let never = async {
            keeping.keep_up().await;
            Ok(Vec::new())
        };
        let tasks = local.claim(&claimant, None, Duration::from_secs(60)).or(never).await.unwrap();
        assert_eq!(tasks[0].core.id, task.id);
        assert_eq!((tasks[0].state.attempts, tasks[0].state.claims), (1, 1));
        local.stop();
    });
}

#[test]
fn after_its_end_the_store_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    run(move |scope| async move {
        let store = open(&path);
        let local = LocalStore::new(store, 0);
        local.stop();
        local.run().await.unwrap();
        assert_eq!(local.submit(submit(&local, "a")).await, Err(StoreError::Closed));
        let _ = scope;
    });
}
