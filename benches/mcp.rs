//! What a message costs from its bytes to the bytes of its answer, without a socket.
//!
//! Measured is the time that the thread spent on the processor, so that neighbours on a shared machine count less.
//!
//! `cargo bench --bench mcp`

use std::hint::black_box;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringmesh::mcp::{
    Access, At, Dispatcher, McpOptions, NoHeaders, Outcome, Registry, RequestHead, Transport,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct EchoArgs {
    message: String,
}

fn dispatcher() -> Dispatcher {
    let registry = Registry::new().tool(
        "echo",
        "Returns the message",
        |args: EchoArgs, _: ringmesh::mcp::Context| async move { Ok(args.message) },
    );
    Dispatcher::new(registry, McpOptions::default()).expect("the registry is sound")
}

fn body(method: &str, rest: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":17,"method":"{method}","params":{{{rest}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"bench","version":"1.0.0"}},"io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    )
}

fn head<'a>(method: &'a str, name: Option<&'a [u8]>) -> RequestHead<'a> {
    RequestHead {
        content_type: Some(b"application/json"),
        accept: Some(b"application/json, text/event-stream"),
        protocol_version: Some(b"2026-07-28"),
        method: Some(method.as_bytes()),
        name,
        params: &NoHeaders,
        transport: Transport::Http,
        ..RequestHead::default()
    }
}

/// Sends one message and polls its call once; the answer must be whole.
fn exchange(dispatcher: &Dispatcher, head: &RequestHead<'_>, body: &[u8], at: &At<'_>, out: &mut Vec<u8>) {
    out.clear();
    let answer = match dispatcher.post(head, body, at, out) {
        Outcome::Answer(answer) => answer,
        Outcome::Call(mut call) => match call.poll(&mut Context::from_waker(Waker::noop()), out) {
            Poll::Ready(answer) => answer,
            Poll::Pending => panic!("the call did not finish at once"),
        },
        other => panic!("neither an answer nor a call: {other:?}"),
    };
    assert_eq!(answer.status, 200);
}

/// The thread's time on the processor.
struct CpuTime;

impl CpuTime {
    fn now() -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is to a timespec that lives through the call.
        let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        assert_eq!(failed, 0);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        CpuTime::now()
    }

    fn end(&self, start: Duration) -> Duration {
        CpuTime::now() - start
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn messages(criterion: &mut Criterion<CpuTime>) {
    let dispatcher = dispatcher();
    let at = At {
        now: Instant::now(),
        core: 0,
        principal: "anonymous",
        full: false,
        traceparent: None,
        access: Access::Full,
    };
    let mut out = Vec::with_capacity(4096);
    let cases = [
        (
            "tools_call",
            "tools/call",
            Some(b"echo".as_slice()),
            r#""name":"echo","arguments":{"message":"hello"},"#,
        ),
        ("tools_list", "tools/list", None, ""),
        ("server_discover", "server/discover", None, ""),
    ];
    let mut group = criterion.benchmark_group("mcp");
    for (label, method, name, rest) in cases {
        let (head, body) = (head(method, name), body(method, rest));
        group.throughput(Throughput::Elements(1));
        group.bench_function(label, |bencher| {
            bencher.iter(|| {
                exchange(&dispatcher, &head, black_box(body.as_bytes()), &at, &mut out);
                black_box(&out);
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = messages
}
criterion_main!(benches);
