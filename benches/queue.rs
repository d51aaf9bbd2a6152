//! What an operation of the task queue costs, from its JSON to the answer's, and whether that grows with what is queued.
//! Nothing is journalled here: `loadtest/queue_compare.py` measures that.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures_lite::future::block_on;
use ringmesh::limits::Limits;
use ringmesh::p2p::LocalBoxFuture;
use ringmesh::p2p::access::Policy;
use ringmesh::p2p::task_queue::{
    CallTool, Caller, Now, Services, TaskQueue, TaskQueueOptions, ToolCall, ToolOutcome,
};
use ringmesh::store::{LocalStore, Store};

const SUBMIT: &str = r#"{"op":"submit","task_type":"bench","model_name":"m","payload":{"n":123456,"text":"sixteen bytes ok"}}"#;
const CLAIM: &str = r#"{"op":"claim","worker_id":"worker-1","supported_task_types":["bench"]}"#;

struct NoTools;

impl CallTool for NoTools {
    fn call<'a>(&'a self, _: ToolCall<'a>) -> LocalBoxFuture<'a, ToolOutcome> {
        Box::pin(std::future::ready(ToolOutcome::NotFound))
    }
}

struct Node {
    queue: TaskQueue,
    store: LocalStore,
}

impl Node {
    fn with(queued: usize) -> Node {
        let options = TaskQueueOptions {
            peer_id: "12D3KooWBench".into(),
            policy: Policy::new(true, None, []),
            call_tool: false,
            cache: false,
            session: "".into(),
            deterministic: true,
            peer_timeout: Duration::from_secs(300),
            limits: Limits::default(),
        };
        let node = Node { queue: TaskQueue::new(options), store: Store::in_memory(Default::default()) };
        (0..queued).for_each(|_| drop(node.ask(SUBMIT)));
        node
    }

    fn ask(&self, request: &str) -> String {
        let caller = Caller { remote: None, now: Now { instant: Instant::now(), unix_s: 1.8e9 } };
        let services = Services { tools: &NoTools, store: Some(&self.store), fetches: None };
        let answered = block_on(self.queue.answer(request.as_bytes(), &caller, &services));
        assert!(answered.error.is_none(), "{}", String::from_utf8_lossy(&answered.json));
        String::from_utf8(answered.json).expect("answers are UTF-8")
    }

    /// Claims a task and gives the request that completes it.
    fn claim(&self) -> String {
        let answer = self.ask(CLAIM);
        let (_, rest) = answer.split_once(r#""task_id":""#).expect("there is a task");
        format!(r#"{{"op":"complete","task_id":"{}","result":{{"done":true}}}}"#, &rest[..32])
    }
}

fn operations(criterion: &mut Criterion) {
    // Where criterion only tries each benchmark once, a million tasks would cost more than they tell.
    let is_trial = std::env::args().any(|argument| argument == "--test");
    for queued in [1_000, if is_trial { 10_000 } else { 1_000_000 }] {
        let node = Node::with(queued);
        let mut group = criterion.benchmark_group(format!("task queue with {queued} queued"));
        group.bench_function("submit", |bench| bench.iter(|| black_box(node.ask(SUBMIT))));
        // What is claimed is completed, and what is claimed was submitted, so that the depth stays about the same.
        let submit = || drop(node.ask(SUBMIT));
        group.bench_function("claim", |bench| {
            bench.iter_batched(submit, |()| black_box(node.ask(CLAIM)), BatchSize::SmallInput);
        });
        let claim = || {
            submit();
            node.claim()
        };
        group.bench_function("complete", |bench| {
            bench.iter_batched(claim, |end| black_box(node.ask(&end)), BatchSize::SmallInput);
        });
        group.finish();
    }
}

criterion_group!(benches, operations);
criterion_main!(benches);
