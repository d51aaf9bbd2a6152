//! Scopes within scopes: what flows down, what waits for what, and what a shield holds off.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod runtime_support;
#[path = "runtime_support/scopes.rs"]
mod scopes;

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_lite::future;
use ringmesh::runtime::{Scope, ScopeError, ScopeOptions, sleep, yield_now};
use runtime_support::on_executor;
use scopes::{Alive, forever, options};

const MS: Duration = Duration::from_millis(1);

type Shared<T> = Rc<Cell<Option<T>>>;

fn async_cell<T>() -> (Shared<T>, Shared<T>) {
    let cell = Rc::new(Cell::new(None));
    (Rc::clone(&cell), cell)
}

#[test]
fn nested_scopes_are_cancelled_with_their_parent() {
    on_executor(|| async {
        let alive = Alive::default();
        let seen = Rc::new(RefCell::new(Vec::new()));
        Scope::run(options(100 * MS), |outer| {
            let (alive, seen) = (alive.clone(), Rc::clone(&seen));
            async move {
                let task = async move {
                    let inner = Scope::run(options(5_000 * MS), |inner| {
                        let seen = Rc::clone(&seen);
                        async move {
                            inner.spawn("innermost", forever(alive.token())).unwrap();
                            let cancelled = inner.cancelled();
                            inner
                                .spawn("polite", async move {
                                    cancelled.await;
                                    seen.borrow_mut().push("inner task");
                                })
                                .unwrap();
                            inner.cancelled().await;
                            Ok::<_, ()>(())
                        }
                    });
                    inner.await.unwrap();
                    seen.borrow_mut().push("inner scope");
                };
                outer.spawn("middle", task).unwrap();
                sleep(5 * MS).await;
                outer.cancel();
                Ok::<_, ()>(())
            }
        })
        .await
        .unwrap();
        assert_eq!(
            *seen.borrow(),
            ["inner task"],
            "the inner scope still had its stubborn task at the outer's end"
        );
        assert_eq!(alive.count(), 0, "and that task was gone before the outer scope ended");
    });
}

#[test]
fn an_explicit_child_is_cancelled_with_the_scope_it_was_asked_of() {
    on_executor(|| async {
        let (sender, receiver) = async_cell();
        Scope::run(options(50 * MS), |outer| async move {
            let handle = outer.clone();
            outer
                .spawn("elsewhere", async move {
                    let child = handle.child(options(50 * MS), |child| async move {
                        child.cancelled().await;
                        Ok::<_, ()>("saw it")
                    });
                    sender.set(Some(child.await.unwrap()));
                })
                .unwrap();
            sleep(5 * MS).await;
            outer.cancel();
            Ok::<_, ()>(())
        })
        .await
        .unwrap();
        assert_eq!(receiver.take(), Some("saw it"));
    });
}

#[test]
fn a_deadline_flows_down_and_only_ever_comes_nearer() {
    on_executor(|| async {
        let near = Instant::now() + 1_000 * MS;
        let far = near + 1_000 * MS;
        let with = |deadline| ScopeOptions { deadline, ..options(MS) };
        Scope::run(with(Some(near)), |_| async move {
            for given in [None, Some(far), Some(near)] {
                let seen = Scope::run(with(given), |inner| async move { Ok::<_, ()>(inner.deadline()) });
                assert_eq!(seen.await.unwrap(), Some(near));
            }
            let nearer = near - 500 * MS;
            let seen = Scope::run(with(Some(nearer)), |inner| async move { Ok::<_, ()>(inner.deadline()) });
            assert_eq!(seen.await.unwrap(), Some(nearer));
            let shield = ScopeOptions { shield: true, ..with(Some(far)) };
            let seen = Scope::run(shield, |inner| async move { Ok::<_, ()>(inner.deadline()) });
            assert_eq!(seen.await.unwrap(), Some(far));
            Ok::<_, ()>(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_shield_with_its_own_deadline_outlives_its_parents_cancellation() {
    on_executor(|| async {
        let alive = Alive::default();
        let flushed = Rc::new(Cell::new(false));
        let start = Instant::now();
        Scope::run(options(10 * MS), |scope| {
            let (flushed, unshielded) = (Rc::clone(&flushed), alive.token());
            async move {
                scope.spawn("unshielded", forever(unshielded)).unwrap();
                let flush = async move {
                    let deadline = Some(Instant::now() + 2_000 * MS);
                    let shield = ScopeOptions { shield: true, deadline, ..options(10 * MS) };
                    let hooks = Scope::run(shield, |hooks| async move {
                        sleep(80 * MS).await;
                        assert!(!hooks.is_cancelled());
                        Ok::<_, ()>(())
                    });
                    hooks.await.unwrap();
                    flushed.set(true);
                    // No longer shielded, and long past the grace: this is where the task ends.
                    pending::<()>().await;
                };
                scope.spawn("flush", flush).unwrap();
                sleep(5 * MS).await;
                scope.cancel();
                Ok::<_, ()>(())
            }
        })
        .await
        .unwrap();
        assert!(flushed.get());
        assert!(start.elapsed() >= 80 * MS && start.elapsed() < 1_000 * MS);
        assert_eq!(alive.count(), 0);
    });
}

#[test]
fn a_shield_that_never_ends_is_ended_by_its_deadline() {
    on_executor(|| async {
        let start = Instant::now();
        let error = Scope::run(options(MS), |scope| async move {
            scope.cancel();
            let shield =
                ScopeOptions { shield: true, deadline: Some(Instant::now() + 50 * MS), ..options(MS) };
            let inner = Scope::run(shield, |_| async move {
                pending::<()>().await;
                Ok::<_, ()>(())
            });
            assert!(matches!(inner.await, Err(ScopeError::DeadlineExceeded)));
            pending::<()>().await;
            Ok::<_, ()>(())
        });
        assert!(matches!(error.await, Err(ScopeError::Cancelled)));
        assert!(start.elapsed() < 1_000 * MS);
    });
}

#[test]
fn a_shield_three_scopes_deep_holds_all_that_surround_it() {
    on_executor(|| async {
        let (sender, receiver) = async_cell();
        Scope::run(options(MS), |outer| async move {
            let task = async move {
                let middle = Scope::run(options(MS), |middle| async move {
                    let task = async move {
                        let shield = ScopeOptions { shield: true, ..options(MS) };
                        let inner = Scope::run(shield, |_| async move {
                            sleep(60 * MS).await;
                            Ok::<_, ()>("done")
                        });
                        sender.set(Some(inner.await.unwrap()));
                    };
                    middle.spawn("task", task).unwrap();
                    Ok::<_, ()>(())
                });
                middle.await.unwrap();
            };
            outer.spawn("task", task).unwrap();
            sleep(5 * MS).await;
            outer.cancel();
            Ok::<_, ()>(())
        })
        .await
        .unwrap();
        assert_eq!(receiver.take(), Some("done"));
    });
}

#[test]
fn dropping_the_future_of_run_cancels_the_tasks_and_the_parent_waits_for_them() {
    on_executor(|| async {
        let alive = Alive::default();
        Scope::run(options(MS), |_outer| {
            let alive = alive.clone();
            async move {
                let dropped = Scope::run(options(1_000 * MS), |inner| {
                    let alive = alive.clone();
                    async move {
                        for _ in 0..5 {
                            inner.spawn("forever", forever(alive.token())).unwrap();
                        }
                        pending::<()>().await;
                        Ok::<_, ()>(())
                    }
                });
                future::or(async { drop(dropped.await) }, sleep(5 * MS)).await;
                assert!(alive.count() > 0, "they are asked to go, and go with the next turn");
                Ok::<_, ()>(())
            }
        })
        .await
        .unwrap();
        assert_eq!(alive.count(), 0, "the outer scope ended after them");
    });
}

#[test]
fn tasks_of_a_scope_dropped_at_the_very_end_are_gone_before_the_executor_is() {
    struct Counted(std::sync::Arc<std::sync::atomic::AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let drops = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&drops);
    on_executor(move || async move {
        let scope = Scope::run(options(MS), |scope| async move {
            let shared = Counted(counter);
            scope
                .spawn("forever", async move {
                    let _shared = shared;
                    pending::<()>().await;
                })
                .unwrap();
            pending::<()>().await;
            Ok::<_, ()>(())
        });
        future::or(async { drop(scope.await) }, yield_now()).await;
    });
    assert_eq!(drops.load(std::sync::atomic::Ordering::SeqCst), 1);
}
