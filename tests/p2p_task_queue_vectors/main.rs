//! Every request that was recorded from the clients of the task queue RPC is answered as it was then, except where the list
//! of deliberate differences says otherwise. `UPDATE_DOCS=1` writes that list into `docs/p2p.md`.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod differences;
mod recordings;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use futures_lite::future::block_on;
use serde_json::{Value, json};

use differences::DIFFERENCES;
use ringmesh::limits::Limits;
use ringmesh::p2p::access::Policy;
use ringmesh::p2p::line::LineReader;
use ringmesh::p2p::task_queue::{
    CallTool, Caller, Now, Services, TaskQueue, TaskQueueOptions, ToolCall, ToolOutcome,
};
use ringmesh::p2p::{LocalBoxFuture, PeerId, Remote, Via};
use ringmesh::queue::Settings;
use ringmesh::store::{LocalStore, Store};

/// `client-new-mcp` has what the newest client sends as `task_queue.rpc`, taken out of its MCP messages.
const FILES: [&str; 6] = [
    "client-feb-legacy",
    "client-new-mcp",
    "feb-call_tool",
    "feb-legacy-notoken",
    "new-call_tool",
    "new-legacy+mcp-notoken",
];
const NODE: &str = "12D3KooWnode";

/// The tools that the recorded nodes had.
struct RecordedTools;

impl CallTool for RecordedTools {
    fn call<'a>(&'a self, call: ToolCall<'a>) -> LocalBoxFuture<'a, ToolOutcome> {
        let arguments: Value = serde_json::from_str(call.arguments).unwrap();
        assert!(call.full_access && arguments.is_object());
        let done = |description: &str, result: Value| ToolOutcome::Done {
            description: description.to_owned(),
            result: result.to_string(),
        };
        let text = arguments["text"].as_str().unwrap_or_default();
        let n = arguments["n"].as_i64().unwrap_or_default();
        let outcome = match call.name {
            "echo" => done("echo tool", json!({"echo": text, "n": n})),
            "scalar" => done("scalar tool", json!(7)),
            "boom" => ToolOutcome::Failed("boom text".to_owned()),
            _ => ToolOutcome::NotFound,
        };
        Box::pin(async move { outcome })
    }
}

fn task_queue() -> TaskQueue {
    TaskQueue::new(TaskQueueOptions {
        peer_id: NODE.into(),
        policy: Policy::default(),
        call_tool: true,
        cache: true,
        session: "".into(),
        deterministic: true,
        peer_timeout: Duration::from_secs(300),
        limits: Limits::default(),
    })
}

/// The line that comes back, or nothing where the request never ended.
fn exchange(node: &Node, reads: &[Vec<u8>], caller: &Caller<'_>) -> String {
    let (queue, store) = (&node.queue, Some(&node.store));
    let mut reader = LineReader::new(queue.max_line_bytes());
    for bytes in reads {
        let answered = match reader.feed(bytes) {
            Ok(false) => continue,
            Ok(true) => {
                let services = Services { tools: &RecordedTools, store, fetches: None };
                block_on(queue.answer(reader.line(), caller, &services))
            }
            Err(error) => queue.refuse_line(error),
        };
        return String::from_utf8(answered.json).unwrap();
    }
    String::new()
}

/// What answers, and which of its tasks are which of the recorded ones.
struct Node {
    queue: TaskQueue,
    store: LocalStore,
    /// Our ids by the recorded ones.
    ids: HashMap<String, String>,
}

impl Node {
    fn new() -> Node {
        let store = Store::in_memory(Settings::default());
        // There is no timer here; whoever would wait is answered at once.
        store.store().drain();
        Node { queue: task_queue(), store, ids: HashMap::new() }
    }

    /// The request with our ids in place of the recorded ones.
    fn translate(&self, reads: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let translate = |bytes: &Vec<u8>| match String::from_utf8(bytes.clone()) {
            Ok(text) if text.contains("task_id") && bytes.len() < 4_096 => {
                self.ids.iter().fold(text, |text, (theirs, ours)| text.replace(theirs, ours)).into_bytes()
            }
            _ => bytes.clone(),
        };
        reads.iter().map(translate).collect()
    }

    /// Learns which task of ours a recorded one is.
    fn learn(&mut self, recorded: Option<&str>, ours: &str) {
        let id = |line: &str| {
            let value: Value = serde_json::from_str(line.trim_end()).ok()?;
            value["task_id"].as_str().map(str::to_owned)
        };
        if let (Some(theirs), Some(ours)) = (recorded.and_then(id), id(ours)) {
            self.ids.entry(theirs).or_insert(ours);
        }
    }
}

/// Whether an answer has the fields of the recorded one, each of the same type. What is there or not there depends on chance
/// (which peer owns which task), so null stands for anything.
fn same_shape(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::Null, _) | (_, Value::Null) => true,
        (Value::Object(theirs), Value::Object(ours)) => theirs.iter().all(|(key, value)| {
            key == "result" || key == "payload" || ours.get(key).is_some_and(|ours| same_shape(value, ours))
        }),
        (Value::Array(theirs), Value::Array(ours)) => match (theirs.first(), ours.first()) {
            (Some(theirs), Some(ours)) => same_shape(theirs, ours),
            _ => true,
        },
        (Value::String(_), Value::String(_)) | (Value::Number(_), Value::Number(_)) => true,
        (theirs, ours) => theirs == ours,
    }
}

/// An answer with what differs from run to run replaced.
fn normalised(line: &str, node: &str) -> Value {
    if line.is_empty() {
        return Value::Null;
    }
    // An answer that carries NaN is none that could be given again.
    let mut value = serde_json::from_str(line.trim_end()).unwrap_or_else(|_| json!("no JSON"));
    normalise(&mut value, node);
    value
}

fn normalise(value: &mut Value, node: &str) {
    match value {
        Value::String(text) if text == node => *text = "<node>".to_owned(),
        Value::String(text) if text.starts_with("12D3Koo") => *text = "<peer>".to_owned(),
        Value::Array(values) => {
            values.iter_mut().for_each(|value| normalise(value, node));
            values.sort_by_key(|value| value["peer_id"].to_string());
        }
        Value::Object(members) => {
            members.values_mut().for_each(|value| normalise(value, node));
            if let Some(seen) = members.get_mut("last_seen") {
                assert!(seen.is_f64(), "last_seen is no number with a fraction");
                *seen = json!(0.5);
            }
        }
        _ => {}
    }
}

/// Replays one file; returns the differences that mattered.
fn replay(file: &'static str) -> HashSet<usize> {
    let mut node = Node::new();
    let peer_id = PeerId::random();
    let remote = Remote {
        peer_id,
        principal: format!("12D3Koo{peer_id}").into(),
        address: "127.0.0.1:1".parse().unwrap(),
        via: Via::Loopback,
    };
    let mut now = Now { instant: Instant::now(), unix_s: 1.8e9 };
    let (mut mattered, mut wrong) = (HashSet::new(), Vec::new());
    let recordings = recordings::read(file);
    assert!(recordings.len() >= 6);
    for recording in &recordings {
        now = Now { instant: now.instant + Duration::from_millis(3), unix_s: now.unix_s + 0.003 };
        let context = format!("{file} {}: {}", recording.case, cut(&recording.json().to_string()));
        // What was recorded after a value's time was over is asked after it.
        let over = recording.case.contains("0.3") && recording.case.ends_with("after .45s")
            || recording.case == "cache_ttl"
                && recording.answer.as_ref().is_some_and(|answer| answer.contains("\"hit\": false"));
        if over {
            std::thread::sleep(Duration::from_millis(700));
        }
        let reads = node.translate(&recording.reads);
        let line = exchange(&node, &reads, &Caller { remote: Some(&remote), now });
        node.learn(recording.answer.as_deref(), &line);
        assert!(!line.contains('\n') && line.len() < (1 << 20) - 1);
        let mut ours = normalised(&line, NODE);
        let mut expected = match &recording.answer {
            Some(answer) => normalised(answer, &node_of(answer)),
            None => json!({"ok": true}),
        };
        if expected == json!("no JSON") && recording.is_of_the_queue() {
            // NaN in a task of theirs; ours was refused.
            expected = json!({"ok": true});
        }
        if !recording.is_of_the_queue() {
            // What a heartbeat tells a holder of its leases is an addition.
            for name in ["renewed", "cancelled"] {
                ours.as_object_mut().and_then(|members| members.remove(name));
            }
        }
        // What `status` announces besides is an addition.
        if !ours["capabilities"].is_null() {
            let announced = ours.as_object_mut().and_then(|members| members.remove("workflow"));
            assert!(
                announced.is_some_and(|workflow| workflow["operations"][0] == "workflow.fetch"),
                "{context}"
            );
        }
        let message = ours.as_object_mut().and_then(|members| members.remove("message"));
        assert_eq!(message.is_some(), ours["ok"] == false, "{context}");
        for (index, difference) in differences::of(recording) {
            if differences::apply(&difference.rule, recording, &mut expected, &mut ours) {
                mattered.insert(index);
            }
        }
        if recording.is_of_the_queue() {
            let same = |key: &str| expected[key] == ours[key];
            let exact = ["error", "hit", "value", "deleted", "cancelled", "key"].into_iter().all(same);
            if !(exact && same_shape(&expected, &ours)) {
                wrong.push(format!("{context}\n  {expected}\n  {ours}"));
            }
            continue;
        }
        assert_eq!(ours, expected, "{context}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    mattered
}

fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}

/// The recorded node's own id.
fn node_of(answer: &str) -> String {
    let value: Value = serde_json::from_str(answer.trim_end()).unwrap_or_default();
    value["peer_id"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn recorded_requests_are_answered_as_they_were() {
    let mattered: HashSet<usize> = FILES.iter().flat_map(|file| replay(file)).collect();
    for (index, difference) in DIFFERENCES.iter().enumerate() {
        let everywhere = matches!(difference.rule, differences::Rule::Everywhere);
        assert!(everywhere || mattered.contains(&index), "no difference at all: {}", difference.what);
    }
}

#[test]
fn the_differences_are_those_of_the_documentation() {
    const BEGIN: &str =
        "<!-- differences:begin (written by `UPDATE_DOCS=1 cargo test --test p2p_task_queue_vectors`) -->\n";
    const END: &str = "<!-- differences:end -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/p2p.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the table's first marker");
    let (table, after) = rest.split_once(END).expect("the table's last marker");
    let expected = format!("\n{}\n", differences::markdown());
    if table == expected {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    panic!("docs/p2p.md is out of step; run UPDATE_DOCS=1 cargo test --test p2p_task_queue_vectors");
}
