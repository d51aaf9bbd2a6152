//! What a scope promises: no task outlives it, no panic leaves it, and the first failure is what it says.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod runtime_support;
#[path = "runtime_support/scopes.rs"]
mod scopes;

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_lite::future;
use ringmesh::runtime::{Queue, Scope, ScopeError, ScopeOptions, sleep, yield_now};
use runtime_support::on_executor;
use scopes::{Alive, forever, options};

const MS: Duration = Duration::from_millis(1);

fn boom(message: &str) {
    panic!("{message}")
}

#[test]
fn run_waits_for_every_task_and_returns_the_bodys_value() {
    on_executor(|| async {
        let done = Rc::new(Cell::new(0));
        let value = Scope::run(options(MS), |scope| {
            let done = Rc::clone(&done);
            async move {
                for index in 0..10 {
                    let done = Rc::clone(&done);
                    scope.spawn("count", async move {
                        sleep(MS * index).await;
                        done.set(done.get() + 1);
                    })?;
                }
                assert_eq!(scope.tasks(), 10);
                Ok::<_, ringmesh::runtime::ScopeClosed>("value")
            }
        });
        assert_eq!(value.await.unwrap(), "value");
        assert_eq!(done.get(), 10);
    });
}

#[test]
fn a_task_that_ends_with_its_first_poll_needs_no_second() {
    on_executor(|| async {
        let seen = Rc::new(Cell::new(0));
        let run = Scope::run(ScopeOptions::named("polled"), |scope| {
            let seen = seen.clone();
            async move {
                let done = seen.clone();
                scope.poll_or_spawn("at once", async move { done.set(done.get() + 1) }).unwrap();
                assert_eq!((seen.get(), scope.tasks()), (1, 0), "it ran before the call returned");
                let waits = seen.clone();
                let task = async move {
                    // A scope that is opened in the first poll belongs to the task, not to the caller.
                    let inner = Scope::run(ScopeOptions::named("inner"), |_| async {
                        sleep(Duration::from_millis(5)).await;
                        Ok::<_, ringmesh::BoxError>(())
                    });
                    inner.await.unwrap();
                    waits.set(waits.get() + 1);
                };
                scope.poll_or_spawn("later", task).unwrap();
                assert_eq!((seen.get(), scope.tasks()), (1, 1));
                Ok::<_, ringmesh::BoxError>(())
            }
        });
        run.await.unwrap();
        assert_eq!(seen.get(), 2, "the scope has waited for it");
        let failed = Scope::run(ScopeOptions::named("failing"), |scope| async move {
            scope.poll_or_spawn("panics", async { boom("at its first poll") }).unwrap();
            scope.cancelled().await;
            assert!(scope.poll_or_spawn("too late", async {}).is_err());
            Ok::<_, ringmesh::BoxError>(())
        });
        let error = failed.await.unwrap_err();
        assert!(matches!(&error, ScopeError::Panicked { task: "panics", .. }), "{error}");
    });
}

#[test]
fn a_body_may_borrow_what_surrounds_it() {
    on_executor(|| async {
        let mut words = vec!["one"];
        let scope = Scope::run(options(MS), async |_scope| {
            words.push("two");
            Ok::<_, ()>(words.len())
        });
        assert_eq!(scope.await.unwrap(), 2);
        assert_eq!(words, ["one", "two"]);
    });
}

#[test]
fn a_panic_in_each_queue_is_caught_and_named_and_the_queue_lives_on() {
    on_executor(|| async {
        for queue in Queue::ALL {
            let options = ScopeOptions { queue, ..options(MS) };
            let error = Scope::run(options.clone(), |scope| async move {
                scope.spawn("fuse", async { boom("boom in a task") }).unwrap();
                scope.cancelled().await;
                Ok::<_, ()>(())
            })
            .await
            .unwrap_err();
            let ScopeError::Panicked { task, message } = error else { panic!("{error:?}") };
            assert_eq!((task, message.as_str()), ("fuse", "boom in a task"));
            let after = Rc::new(Cell::new(false));
            let ran = Rc::clone(&after);
            Scope::run(options, |scope| async move {
                scope.spawn("after", async move { ran.set(true) }).map_err(drop)
            })
            .await
            .unwrap();
            assert!(after.get());
        }
    });
}

#[test]
fn a_panic_of_the_body_or_of_its_closure_is_caught_and_its_tasks_are_ended() {
    on_executor(|| async {
        let alive = Alive::default();
        let token = alive.token();
        let error = Scope::run(options(MS), |scope| async move {
            scope.spawn("forever", forever(token)).unwrap();
            if scope.tasks() == 1 {
                panic!("body");
            }
            Ok::<_, ()>(())
        });
        assert!(
            matches!(error.await, Err(ScopeError::Panicked { task: "test", message }) if message == "body")
        );
        assert_eq!(alive.count(), 0);
        let closure = |_| -> future::Ready<Result<(), ()>> { panic!("closure") };
        let error = Scope::run(options(MS), closure).await;
        assert!(matches!(error, Err(ScopeError::Panicked { message, .. }) if message == "closure"));
    });
}

#[test]
fn a_panic_in_a_destructor_is_a_panic_of_the_task() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("destructor");
        }
    }
    on_executor(|| async {
        for ends_by_itself in [true, false] {
            let bomb = Bomb;
            let error = Scope::run(options(Duration::ZERO), |scope| async move {
                let task = async move {
                    let _bomb = bomb;
                    if !ends_by_itself {
                        pending::<()>().await;
                    }
                };
                scope.spawn("bomber", task).unwrap();
                yield_now().await;
                scope.cancel();
                Ok::<_, ()>(())
            });
            let error = error.await;
            assert!(matches!(&error, Err(ScopeError::Panicked { task: "bomber", .. })), "{error:?}");
        }
    });
}

#[test]
fn a_failing_task_cancels_its_siblings_and_the_first_error_is_kept() {
    on_executor(|| async {
        let alive = Alive::default();
        let (first, second) = (alive.token(), alive.token());
        let error = Scope::run(options(50 * MS), |scope| async move {
            scope.spawn("forever", forever(first)).unwrap();
            let cancelled = scope.cancelled();
            scope
                .spawn("consequence", async move {
                    cancelled.await;
                    drop(second);
                    Err("later")
                })
                .unwrap();
            scope
                .spawn("cause", async {
                    sleep(MS).await;
                    Err::<(), _>("first")
                })
                .unwrap();
            scope.cancelled().await;
            Err::<(), _>("the body's own, later still")
        })
        .await
        .unwrap_err();
        assert_eq!(error.to_string(), "task cause failed: first");
        assert_eq!(alive.count(), 0);
    });
}

#[test]
fn a_failing_body_cancels_its_tasks_and_its_error_is_kept() {
    on_executor(|| async {
        let error = Scope::run(options(50 * MS), |scope| async move {
            let cancelled = scope.cancelled();
            let late_panic = async move {
                cancelled.await;
                boom("later");
            };
            scope.spawn("late", late_panic).unwrap();
            yield_now().await;
            Err::<(), _>("body")
        });
        assert!(matches!(error.await, Err(ScopeError::Failed("body"))));
    });
}

#[test]
fn cancelling_asks_first_and_drops_after_the_grace() {
    on_executor(|| async {
        let alive = Alive::default();
        let (polite, stubborn) = (alive.token(), alive.token());
        let start = Instant::now();
        let value = Scope::run(options(60 * MS), |scope| {
            let alive = alive.clone();
            async move {
                let cancelled = scope.cancelled();
                scope
                    .spawn("polite", async move {
                        cancelled.await;
                        drop(polite);
                    })
                    .unwrap();
                scope.spawn("stubborn", forever(stubborn)).unwrap();
                scope.cancel();
                assert!(scope.is_cancelled());
                sleep(20 * MS).await;
                assert_eq!(alive.count(), 1, "only the stubborn one is left");
                Ok::<_, ()>("kept")
            }
        });
        assert_eq!(value.await.unwrap(), "kept");
        assert_eq!(alive.count(), 0);
        let elapsed = start.elapsed();
        assert!(elapsed >= 60 * MS && elapsed < 500 * MS, "{elapsed:?}");
    });
}

#[test]
fn a_body_that_ignores_the_cancellation_is_dropped_too() {
    on_executor(|| async {
        let alive = Alive::default();
        let token = alive.token();
        let error = Scope::run(options(10 * MS), |scope| async move {
            scope.cancel();
            forever(token).await;
            Ok::<_, ()>(())
        });
        assert!(matches!(error.await, Err(ScopeError::Cancelled)));
        assert_eq!(alive.count(), 0);
    });
}

#[test]
fn a_task_spawned_during_the_cancellation_is_refused_and_dropped() {
    on_executor(|| async {
        let alive = Alive::default();
        Scope::run(options(20 * MS), |scope| {
            let alive = alive.clone();
            async move {
                let (handle, cancelled, token) = (scope.clone(), scope.cancelled(), alive.token());
                scope
                    .spawn("spawner", async move {
                        cancelled.await;
                        let refused = handle.spawn("late", forever(token)).unwrap_err();
                        assert!(refused.to_string().contains("takes no more tasks"), "{refused}");
                    })
                    .unwrap();
                yield_now().await;
                scope.cancel();
                Ok::<_, ()>(())
            }
        })
        .await
        .unwrap();
        assert_eq!(alive.count(), 0);
    });
}

#[test]
fn a_handle_that_outlives_its_scope_takes_no_tasks() {
    on_executor(|| async {
        let scope = Scope::run(options(MS), |scope| async move { Ok::<_, ()>(scope) }).await.unwrap();
        assert!(scope.spawn("late", async {}).is_err());
        scope.cancelled().await;
    });
}

#[test]
fn a_deadline_cancels_and_is_the_error() {
    on_executor(|| async {
        let alive = Alive::default();
        let token = alive.token();
        let start = Instant::now();
        let options = ScopeOptions { deadline: Some(start + 30 * MS), ..options(10 * MS) };
        let error = Scope::run(options, |scope| async move {
            scope.spawn("forever", forever(token)).unwrap();
            scope.cancelled().await;
            Ok::<_, ()>(())
        });
        assert!(matches!(error.await, Err(ScopeError::DeadlineExceeded)));
        let elapsed = start.elapsed();
        assert!(elapsed >= 40 * MS && elapsed < 500 * MS, "{elapsed:?}");
        assert_eq!(alive.count(), 0);
    });
}

#[test]
fn wait_idle_resolves_when_the_last_task_has_ended() {
    on_executor(|| async {
        Scope::run(options(MS), |scope| async move {
            scope.wait_idle().await;
            for delay in [5, 1, 30] {
                scope.spawn("sleep", sleep(MS * delay)).unwrap();
            }
            let start = Instant::now();
            scope.wait_idle().await;
            assert!(start.elapsed() >= 30 * MS);
            assert_eq!(scope.tasks(), 0);
            scope.spawn("again", async {}).unwrap();
            scope.wait_idle().await;
            Ok::<_, ()>(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn many_tasks_wait_for_one_cancellation() {
    on_executor(|| async {
        let seen = Rc::new(Cell::new(0));
        Scope::run(options(1_000 * MS), |scope| {
            let seen = Rc::clone(&seen);
            async move {
                for _ in 0..40_000 {
                    let (cancelled, seen) = (scope.cancelled(), Rc::clone(&seen));
                    scope
                        .spawn("waiter", async move {
                            cancelled.await;
                            seen.set(seen.get() + 1);
                        })
                        .unwrap();
                }
                yield_now().await;
                scope.cancel();
                Ok::<_, ()>(())
            }
        })
        .await
        .unwrap();
        assert_eq!(seen.get(), 40_000);
    });
}
