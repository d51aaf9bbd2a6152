//! What the fuzz target of the line protocol runs.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{CallTool, Caller, ErrorCode, Now, Services, TaskQueue, TaskQueueOptions, ToolCall, ToolOutcome};
use crate::limits::Limits;
use crate::p2p::access::Policy;
use crate::p2p::line::{LineError, LineReader};
use crate::p2p::{LocalBoxFuture, PeerId, Remote, Via};
use crate::queue::Settings;
use crate::store::{LocalStore, Store};

/// Small, so that short inputs go over it.
const MAX_LINE_BYTES: usize = 1_024;

/// Gives back what it was called with.
struct Mirror;

impl CallTool for Mirror {
    fn call<'a>(&'a self, call: ToolCall<'a>) -> LocalBoxFuture<'a, ToolOutcome> {
        assert!(!call.name.is_empty() && call.arguments.starts_with('{'));
        assert!(call.timeout <= Duration::from_secs(30));
        let outcome = match call.full_access {
            true => ToolOutcome::Done { description: String::new(), result: call.arguments.to_owned() },
            false => ToolOutcome::Failed(call.name.to_owned()),
        };
        Box::pin(std::future::ready(outcome))
    }
}

struct Target {
    queue: TaskQueue,
    store: LocalStore,
    remotes: [Remote; 2],
    start: Instant,
}

thread_local! {
    static TARGET: OnceCell<Target> = const { OnceCell::new() };
}

fn target() -> Target {
    let mut limits = Limits { max_p2p_clock_entries: 16, max_p2p_peers: 16, ..Limits::default() };
    limits.max_p2p_line_bytes = MAX_LINE_BYTES as u64;
    let queue = TaskQueue::new(TaskQueueOptions {
        peer_id: "12D3KooWnode".into(),
        policy: Policy::default(),
        call_tool: true,
        cache: true,
        session: "".into(),
        deterministic: true,
        peer_timeout: Duration::from_secs(300),
        limits,
    });
    let remote = |via| {
        let peer_id = PeerId::random();
        let address = ([192, 0, 2, 1], 1).into();
        Remote { peer_id, principal: peer_id.to_base58().into(), address, via }
    };
    // Small, so that the tasks of a long run fit; nobody waits, as there is no timer.
    let settings = Settings { max_tasks: 64, max_finished: 16, ..Settings::default() };
    let store = Store::in_memory(settings);
    store.store().drain();
    Target { queue, store, remotes: [Via::Loopback, Via::Beyond].map(remote), start: Instant::now() }
}

/// Reads a line that comes in pieces of this size.
fn read(data: &[u8], size: usize) -> (Result<bool, LineError>, Vec<u8>) {
    let mut reader = LineReader::new(MAX_LINE_BYTES);
    let mut end = Ok(false);
    for piece in data.chunks(size) {
        end = reader.feed(piece);
        assert!(reader.line().len() < MAX_LINE_BYTES && reader.held_bytes() <= 2 * MAX_LINE_BYTES);
        if end != Ok(false) {
            break;
        }
    }
    (end, reader.line().to_vec())
}

/// Any bytes as a request and, where they are a line, what is answered to it.
pub(crate) fn fuzz_request(data: &[u8]) {
    let (slowly, line) = read(data, 1);
    let (at_once, whole) = read(data, data.len().max(1));
    let newline = data.iter().take(MAX_LINE_BYTES).position(|byte| *byte == b'\n');
    assert_eq!(slowly == Ok(true), newline.is_some(), "byte by byte, nothing comes with the newline");
    match at_once {
        Err(LineError::MoreThanALine) => assert!(newline.is_some_and(|at| at + 1 < data.len())),
        at_once => assert_eq!((at_once, &whole), (slowly, &line)),
    }
    if slowly == Ok(true) {
        TARGET.with(|target_cell| answer(target_cell.get_or_init(target), &line));
    }
}

fn answer(target: &Target, line: &[u8]) {
    for remote in &target.remotes {
        let now = Now { instant: target.start, unix_s: 1.8e9 };
        let caller = Caller { remote: Some(remote), now };
        let services = Services { tools: &Mirror, store: Some(&target.store), fetches: None };
        let answering = target.queue.answer(line, &caller, &services);
        let answered = futures_lite::future::block_on(answering);
        let is_json =
            std::str::from_utf8(line).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        let is_refused = answered.error == Some(ErrorCode::InvalidJson);
        assert!(is_json != is_refused || answered.limit.is_some(), "JSON is what JSON is");
        assert!(answered.operation < super::OPERATIONS.len() || answered.error.is_some());
        assert!(!answered.json.contains(&b'\n') && answered.json.len() < 1 << 20);
        let members: HashMap<&str, &RawValue> =
            serde_json::from_slice(&answered.json).expect("invariant: every answer is a JSON object");
        assert_eq!(members["peer_id"].get(), "\"12D3KooWnode\"");
        assert_eq!(members["ok"].get(), if answered.error.is_none() { "true" } else { "false" });
        assert_eq!(members.get("error").is_some_and(|error| error.get().len() > 2), answered.error.is_some());
    }
}
