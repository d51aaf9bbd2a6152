//! A fixed amount of work without a socket, for a count of instructions: requests as bytes in, answers as bytes out.
//!
//! `tests/interop/instructions` runs it under valgrind with two counts; the difference is what the requests cost, without
//! the start.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use ringmesh::limits::Limits;
use ringmesh::p2p::LocalBoxFuture;
use ringmesh::p2p::access::Policy;
use ringmesh::p2p::task_queue::{
    CallTool, Caller, Now, Services, TaskQueue, TaskQueueOptions, ToolCall, ToolOutcome,
};
use ringmesh::store::{LocalStore, Store};
use ringmesh::{Server, ServerConfig};
use serde_json::json;

use crate::options::Era;
use crate::request::Dialect;
use crate::values::Target;

/// What is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// HTTP to HTTP: a call of `echo`.
    Echo,
    /// HTTP to HTTP: the first page of `tools/list`.
    ToolsList,
    /// JSON to JSON: a task submitted, claimed and completed.
    QueueCycle,
}

/// So much of it.
#[derive(Args, Debug, Clone)]
pub(crate) struct InstructionsArgs {
    /// What is repeated.
    #[arg(value_enum)]
    work: Work,
    /// How often.
    #[arg(long, default_value_t = 1000)]
    times: u32,
}

/// Does the work; every answer is checked.
pub(crate) fn run(args: &InstructionsArgs) -> Result<(), String> {
    match args.work {
        Work::Echo => {
            http(args.times, "tools/call", json!({"name": "echo", "arguments": {"message": "hello"}}))
        }
        Work::ToolsList => http(args.times, "tools/list", json!({})),
        Work::QueueCycle => queue(args.times),
    }
}

fn http(times: u32, method: &str, params: serde_json::Value) -> Result<(), String> {
    let config = ServerConfig { p2p: false, ..ServerConfig::default() };
    let app = Server::new(config).builtin_tools().into_app().map_err(|error| error.to_string())?;
    let target = Target::new("127.0.0.1:8000", "/mcp")?;
    let dialect = Dialect { http: Some(target), era: Era::V2026_07_28 };
    let head = dialect.head(method, &params);
    let body = dialect.envelope(Some("17"), method, params);
    let mut request = Vec::new();
    dialect.append(&mut request, &head, b"", body.as_bytes());
    for _ in 0..times {
        let answer = at_once(app.handle(&request))?;
        if !answer.starts_with(b"HTTP/1.1 200 OK\r\n") {
            return Err(format!("the wrong answer: {}", String::from_utf8_lossy(&answer)));
        }
    }
    Ok(())
}

/// What a future gives that has nothing to wait for.
fn at_once<T>(future: impl Future<Output = T>) -> Result<T, String> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err("it waits for something".to_owned()),
    }
}

struct NoTools;

impl CallTool for NoTools {
    fn call<'a>(&'a self, _: ToolCall<'a>) -> LocalBoxFuture<'a, ToolOutcome> {
        Box::pin(std::future::ready(ToolOutcome::NotFound))
    }
}

/// A queue in memory, asked as a peer asks it.
struct Node {
    queue: TaskQueue,
    store: LocalStore,
}

fn queue(times: u32) -> Result<(), String> {
    let options = TaskQueueOptions {
        peer_id: "12D3KooWCount".into(),
        policy: Policy::new(true, None, []),
        call_tool: false,
        cache: false,
        session: "".into(),
        deterministic: false,
        peer_timeout: Duration::from_secs(300),
        limits: Limits::default(),
    };
    let node = Node { queue: TaskQueue::new(options), store: Store::in_memory(Default::default()) };
    let submit = json!({"op": "submit", "task_type": "count", "model_name": "m", "payload": {"n": 1}});
    let claim = json!({"op": "claim", "worker_id": "w", "supported_task_types": ["count"]});
    for _ in 0..times {
        node.ask(&submit)?;
        let claimed = node.ask(&claim)?;
        let (id, token) = (&claimed["task"]["task_id"], &claimed["task"]["fencing_token"]);
        node.ask(&json!({"op": "complete", "task_id": id, "fencing_token": token, "result": {"n": 2}}))?;
    }
    Ok(())
}

impl Node {
    fn ask(&self, request: &serde_json::Value) -> Result<serde_json::Value, String> {
        let caller = Caller { remote: None, now: Now { instant: Instant::now(), unix_s: 1.8e9 } };
        let services = Services { tools: &NoTools, store: Some(&self.store), fetches: None };
        let request = request.to_string();
        let answered = at_once(self.queue.answer(request.as_bytes(), &caller, &services))?;
        let answer: serde_json::Value =
            serde_json::from_slice(&answered.json).map_err(|error| error.to_string())?;
        if answer["ok"] == true { Ok(answer) } else { Err(format!("{request}: {answer}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_work_can_be_done() {
        for work in [Work::Echo, Work::ToolsList, Work::QueueCycle] {
            run(&InstructionsArgs { work, times: 3 }).unwrap();
        }
    }
}
