//! What a message costs in allocations: the part of its speed that a noisy machine cannot blur.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::task::{Context, Waker};
use std::time::Instant;

use ringmesh::mcp::{Access, At, Dispatcher, McpOptions, Outcome, Registry, RequestHead};
use schemars::JsonSchema;
use serde::Deserialize;

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, that is from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Deserialize, JsonSchema)]
struct EchoArgs {
    message: String,
}

fn dispatcher() -> Dispatcher {
    let echo = |args: EchoArgs, _: ringmesh::mcp::Context| async move { Ok(args.message) };
    let registry = Registry::new().tool("echo", "Returns the message", echo);
    Dispatcher::new(registry, McpOptions::default()).expect("the registry is sound")
}

/// Allocations of one exchange, after one that warmed up.
fn allocations(method: &str, name: Option<&[u8]>, members: &str) -> usize {
    let dispatcher = dispatcher();
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":"a","method":"{method}","params":{{{members}"_meta":{{"progressToken":"t",
        "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    let head = RequestHead {
        content_type: Some(b"application/json"),
        accept: Some(b"text/event-stream, application/json"),
        protocol_version: Some(b"2026-07-28"),
        method: Some(method.as_bytes()),
        name,
        ..RequestHead::default()
    };
    let at = At {
        now: Instant::now(),
        core: 0,
        principal: "anonymous",
        full: false,
        traceparent: None,
        access: Access::Full,
    };
    let mut out = Vec::with_capacity(4096);
    let mut count = 0;
    for _ in 0..2 {
        out.clear();
        let before = COUNT.get();
        if let Outcome::Call(mut call) = dispatcher.post(&head, body.as_bytes(), &at, &mut out) {
            assert!(call.poll(&mut Context::from_waker(Waker::noop()), &mut out).is_ready());
        }
        count = COUNT.get() - before;
        assert!(out.starts_with(br#"{"jsonrpc":"2.0","id":"a","result":"#));
    }
    count
}

#[test]
fn a_call_that_ends_at_once_allocates_its_future_its_context_and_its_text() {
    let members = r#""name":"echo","arguments":{"message":"hello"},"#;
    assert_eq!(allocations("tools/call", Some(b"echo"), members), 3);
}

#[test]
fn a_list_allocates_nothing() {
    assert_eq!(allocations("tools/list", None, ""), 0);
    assert_eq!(allocations("server/discover", None, ""), 0);
}
