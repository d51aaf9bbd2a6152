//! What one request costs in the HTTP room: from bytes to a request, and from an answer to bytes.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringmesh::http::{
    AccessOptions, AccessPolicy, HttpDate, HttpLimits, JSON, Progress, RequestReader, ResponseHead,
    write_response, write_sse_head,
};

/// A usual `tools/call`: 10 headers and a body of 300 bytes.
fn post() -> Vec<u8> {
    let head = "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: example-client/1.4.2\r\n\
        Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
        MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\n\
        traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nConnection: keep-alive\r\n\
        Content-Length: 300\r\n\r\n";
    [head.as_bytes(), &[b'x'; 300]].concat()
}

fn next(reader: &mut RequestReader) {
    assert!(matches!(reader.poll(), Progress::Ready), "the request is whole and valid");
    black_box(reader.request());
    reader.consume();
}

fn requests(criterion: &mut Criterion) {
    let post = post();
    let mut group = criterion.benchmark_group("request");
    group.throughput(Throughput::Elements(1));
    let mut reader = RequestReader::new(HttpLimits::default());
    group.bench_function("post, 10 headers, 300 bytes", |bencher| {
        bencher.iter(|| {
            reader.feed(black_box(&post));
            next(&mut reader);
            black_box(reader.poll());
        });
    });
    let policy = AccessPolicy::new(&AccessOptions::default()).expect("invariant: an empty policy is valid");
    reader.feed(&post);
    assert!(matches!(reader.poll(), Progress::Ready), "the request is whole and valid");
    let fields = reader.request().fields;
    group.bench_function("Host and Origin check", |bencher| {
        bencher.iter(|| black_box(policy.check(black_box(&fields)).is_ok()));
    });
    group.throughput(Throughput::Elements(16));
    let pipeline = post.repeat(16);
    let mut reader = RequestReader::new(HttpLimits::default());
    group.bench_function("pipeline of 16 posts", |bencher| {
        bencher.iter(|| {
            reader.feed(black_box(&pipeline));
            for _ in 0..16 {
                next(&mut reader);
            }
            black_box(reader.poll());
        });
    });
    group.finish();
}

fn responses(criterion: &mut Criterion) {
    let date = HttpDate::new(1_800_000_000);
    let body = [b'y'; 200];
    let head =
        ResponseHead { status: 200, content_type: Some(JSON), date: Some(&date), ..ResponseHead::default() };
    let mut out = Vec::with_capacity(4096);
    let mut group = criterion.benchmark_group("response");
    group.bench_function("JSON, 200 bytes", |bencher| {
        bencher.iter(|| {
            out.clear();
            write_response(&mut out, black_box(&head), black_box(&body));
        });
    });
    let stream = write_sse_head(&mut out, &head);
    group.bench_function("event, 200 bytes", |bencher| {
        bencher.iter(|| {
            out.clear();
            stream.event(&mut out, None, black_box(&body));
        });
    });
    group.finish();
}

criterion_group!(benches, requests, responses);
criterion_main!(benches);
