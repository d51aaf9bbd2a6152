//! Tools that misbehave, and tools that tell what happened to them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "each test binary is a crate of its own, uses its own part and unwraps what it expects"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringmesh::{CallError, Context, Registry, Tool};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
pub struct Nothing {}

#[derive(Deserialize, JsonSchema)]
pub struct Millis {
    pub ms: u64,
}

#[derive(Deserialize, JsonSchema)]
pub struct Events {
    pub count: u64,
    pub bytes: usize,
}

/// What became of the calls of `linger`.
#[derive(Debug, Default)]
pub struct Fate {
    pub started: AtomicUsize,
    pub dropped: AtomicUsize,
    pub finished: AtomicUsize,
}

struct OnDrop(Arc<Fate>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits until `reached` is true.
pub fn eventually(what: &str, reached: impl Fn() -> bool) {
    let end = Instant::now() + super::PATIENCE;
    while !reached() {
        assert!(Instant::now() < end, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A registry of all of them.
pub fn registry() -> (Registry, Arc<Fate>) {
    let fate = Arc::new(Fate::default());
    let known = fate.clone();
    let linger = move |args: Millis, _: Context| {
        let fate = known.clone();
        async move {
            fate.started.fetch_add(1, Ordering::SeqCst);
            let guard = OnDrop(fate.clone());
            ringmesh::runtime::sleep(Duration::from_millis(args.ms)).await;
            fate.finished.fetch_add(1, Ordering::SeqCst);
            drop(guard);
            Ok::<_, CallError>("stayed")
        }
    };
    let registry = Registry::new()
        .tool("panic", "Panics at once", panics)
        .tool("panic_later", "Panics after a wait", panics_later)
        .tool("sleep", "Waits", sleeps)
        .tool("spin", "Blocks its core", spins)
        .tool("events", "Sends events", sends_events)
        .tool("big", "Returns many bytes", big)
        .tool("hum", "Sends one event and then waits", hums)
        .tool("linger", "Waits and tells what became of it", linger)
        .with(Tool::blocking("block", "Blocks a thread of the pool", blocks));
    (registry, fate)
}

async fn panics(_: Nothing, _: Context) -> Result<String, CallError> {
    panic!("this tool always does");
}

async fn panics_later(_: Nothing, _: Context) -> Result<String, CallError> {
    ringmesh::runtime::sleep(Duration::from_millis(5)).await;
    panic!("this tool always does");
}

async fn sleeps(args: Millis, _: Context) -> Result<&'static str, CallError> {
    ringmesh::runtime::sleep(Duration::from_millis(args.ms)).await;
    Ok("slept")
}

async fn spins(args: Millis, _: Context) -> Result<&'static str, CallError> {
    let end = Instant::now() + Duration::from_millis(args.ms);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    Ok("spun")
}

async fn sends_events(args: Events, ctx: Context) -> Result<&'static str, CallError> {
    for at in 1..=args.count {
        ctx.progress(at as f64, Some(args.count as f64), Some(&"x".repeat(args.bytes))).await;
    }
    Ok("sent")
}

async fn hums(args: Millis, ctx: Context) -> Result<&'static str, CallError> {
    ctx.progress(1.0, None, None).await;
    ringmesh::runtime::sleep(Duration::from_millis(args.ms)).await;
    Ok("hummed")
}

async fn big(args: Events, _: Context) -> Result<String, CallError> {
    Ok("x".repeat(args.bytes))
}

fn blocks(args: Millis, _: Context) -> Result<&'static str, CallError> {
    std::thread::sleep(Duration::from_millis(args.ms));
    Ok("blocked")
}
