//! What nodes among themselves pay for: frames and lines cut from a stream, clocks, and who owns a task.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringmesh::p2p::frame::{FrameReader, write_frame};
use ringmesh::p2p::line::LineReader;
use ringmesh::scheduler::{MerkleClock, Owners, PeerClock, task_hash};

/// A usual request of either protocol.
const MESSAGE: &[u8] = br#"{"op":"submit","task_type":"bench","model_name":"m","payload":{"n":123456,"text":"sixteen bytes ok"},"peer":"12D3KooWBench","priority":5}"#;
const PEERS: usize = 1_000;

fn framing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("framing");
    group.throughput(Throughput::Elements(1));
    let mut frames = Vec::new();
    (0..16).for_each(|_| write_frame(&mut frames, MESSAGE));
    let mut reader = FrameReader::new(1 << 20);
    let mut read_all = |mut input: &[u8]| {
        let mut count = 0;
        while let Some(frame) = reader.next(&mut input).expect("the frames are sound") {
            count += black_box(frame).len();
        }
        count
    };
    assert_eq!(read_all(&frames), 16 * MESSAGE.len());
    group.throughput(Throughput::Elements(16));
    group.bench_function("read 16 frames", |bench| bench.iter(|| read_all(black_box(&frames))));
    // Most arrive in one piece, some do not.
    let (head, tail) = frames.split_at(100);
    group.bench_function("read 16 frames, cut once", |bench| {
        bench.iter(|| read_all(black_box(head)) + read_all(black_box(tail)));
    });
    group.throughput(Throughput::Elements(1));
    let mut out = Vec::with_capacity(1 << 10);
    group.bench_function("write a frame", |bench| {
        bench.iter(|| {
            out.clear();
            write_frame(black_box(&mut out), MESSAGE);
        });
    });
    let line = [MESSAGE, b"\n"].concat();
    group.bench_function("read a line", |bench| {
        bench.iter(|| {
            let mut reader = LineReader::new(1 << 20);
            assert_eq!(reader.feed(black_box(&line)), Ok(true));
            black_box(reader.into_line())
        });
    });
    group.finish();
}

fn clocks(criterion: &mut Criterion) {
    let vector: Vec<String> = (0..PEERS).map(|peer| format!(r#""peer-{peer:04}":{}"#, peer + 1)).collect();
    let text = format!(r#"{{"node_id":"peer-0000","vector":{{{}}}}}"#, vector.join(","));
    let other = PeerClock::read(&text, PEERS).expect("the clock is sound");
    let mut clock = MerkleClock::new("bench", 2 * PEERS);
    assert_eq!((clock.merge(&other), clock.len()), (0, PEERS + 1));
    let mut group = criterion.benchmark_group("Merkle clock of 1,000 nodes");
    group.bench_function("read from JSON", |bench| {
        bench.iter(|| PeerClock::read(black_box(&text), PEERS).expect("the clock is sound"));
    });
    group.bench_function("merge what is known", |bench| bench.iter(|| clock.merge(black_box(&other))));
    group.bench_function("tick and root", |bench| {
        bench.iter(|| {
            clock.tick();
            assert_eq!(black_box(clock.root()).len(), 64);
        });
    });
    group.bench_function("compare", |bench| bench.iter(|| black_box(clock.compare(black_box(&other)))));
    group.finish();
}

fn ownership(criterion: &mut Criterion) {
    let peers: Vec<Box<str>> = (0..PEERS).map(|peer| format!("12D3KooW{peer:044}").into()).collect();
    let clock_hash = "0123456789abcdef".repeat(4);
    let owners = Owners::new(&clock_hash, peers.iter().cloned());
    let hash = task_hash("0123456789abcdef0123456789abcdef", "bench", "m");
    let owner = owners.owner(&hash).expect("there are peers").to_owned();
    assert_eq!(
        ringmesh::scheduler::owner(&clock_hash, &hash, peers.iter().map(|peer| &**peer)),
        Some(&*owner)
    );
    let mut group = criterion.benchmark_group("ownership among 1,000 peers");
    group.bench_function("digests of the peers", |bench| {
        bench.iter(|| Owners::new(&clock_hash, black_box(peers.clone())));
    });
    group.bench_function("owner of a task", |bench| {
        bench.iter(|| black_box(owners.owner(black_box(&hash))).map(str::len));
    });
    group.finish();
}

criterion_group!(benches, framing, clocks, ownership);
criterion_main!(benches);
