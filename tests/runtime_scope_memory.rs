//! A scope that lives long does not grow. It is alone in its process, because it measures the whole of it.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod runtime_support;
#[path = "runtime_support/scopes.rs"]
mod scopes;

use std::time::Duration;

use ringmesh::runtime::{Scope, yield_now};
use runtime_support::on_executor;
use scopes::{Alive, options};

const MS: Duration = Duration::from_millis(1);

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
                // 100,000 leaked tasks would be 20 MB.
                assert!(grown < 8 << 20, "{grown} bytes");
                Ok::<_, ()>(())
            }
        })
        .await
        .unwrap();
    });
}
