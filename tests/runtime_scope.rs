//! What a scope promises: no task outlives it, no panic leaves it, and the first failure is what it says.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod runtime_support;

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_lite::future;
use ringmesh::runtime::{Queue, Scope, ScopeError, ScopeOptions, sleep, yield_now};
use runtime_support::on_executor;

const MS: Duration = Duration::from_millis(1);

fn options(grace: Duration) -> ScopeOptions {
    ScopeOptions { grace, ..ScopeOptions::named("test") }
}

/// Counts how many of its tokens are alive.
#[derive(Clone, Default)]
struct Alive(Rc<Cell<usize>>);

struct Token(Alive);

impl Alive {
    fn token(&self) -> Token {
        self.0.set(self.0.get() + 1);
        Token(self.clone())
    }

    fn count(&self) -> usize {
        self.0.get()
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() - 1);
    }
}

/// A task that ends only by being dropped.
async fn forever(token: Token) {
    pending::<()>().await;
    drop(token);
}

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

type Shared<T> = Rc<Cell<Option<T>>>;

fn async_cell<T>() -> (Shared<T>, Shared<T>) {
    let cell = Rc::new(Cell::new(None));
    (Rc::clone(&cell), cell)
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

/// Bytes that the process holds in memory.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

#[test]
fn a_hundred_thousand_short_tasks_do_not_grow_a_scope() {
    on_executor(|| async {
        let alive = Alive::default();
        Scope::run(options(MS), |scope| {
            let alive = alive.clone();
            async move {
                let mut before = 0;
                for round in 0..1_000 {
                    for _ in 0..110 {
                        let token = alive.token();
                        scope
                            .spawn("short", async move {
                                yield_now().await;
                                drop(token);
                            })
                            .unwrap();
                    }
                    scope.wait_idle().await;
                    assert_eq!((alive.count(), scope.tasks()), (0, 0));
                    if round == 90 {
                        before = resident_bytes();
                    }
                }
                let grown = resident_bytes().saturating_sub(before);
                // 100,000 leaked tasks would be 20 MB; other tests of this process take some memory of their own.
                assert!(grown < 8 << 20, "{grown} bytes");
                Ok::<_, ()>(())
            }
        })
        .await
        .unwrap();
    });
}
