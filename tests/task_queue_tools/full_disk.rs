//! A journal without room, and one that cannot be written: what callers hear over MCP and over the RPC.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::child::{Child, SEGMENT_BYTES};
use crate::common::PATIENCE;
use crate::support::{Node, serve};

/// A tool's call in one way.
#[derive(Debug, Clone, Copy)]
enum Way {
    Mcp,
    Rpc,
}

const WAYS: [Way; 2] = [Way::Mcp, Way::Rpc];

/// Asks a server over MCP, or has a peer ask it over the RPC.
struct Desk<'a> {
    child: &'a Child,
    peer: &'a Node,
}

impl Desk<'_> {
    fn ask(&self, way: Way, tool: &str, arguments: &Value) -> Value {
        let tool = format!("p2p_taskqueue_{tool}");
        match way {
            Way::Mcp => self.child.call(&tool, arguments.clone()),
            Way::Rpc => self.child.call_from(self.peer, &tool, arguments.clone()),
        }
    }

    fn ok(&self, way: Way, tool: &str, arguments: &Value) -> Value {
        let answer = self.ask(way, tool, arguments);
        assert_eq!(answer["ok"], true, "{way:?} {tool}: {answer}");
        answer
    }

    fn refused(&self, tool: &str, arguments: &Value) {
        for way in WAYS {
            let answer = self.ask(way, tool, arguments);
            assert_eq!(answer["error"], "disk_full", "{way:?} {tool}: {answer}");
            let said = answer["message"].as_str().unwrap();
            assert!(said.contains("disk") && said.contains("try again"), "{said}");
        }
    }

    /// Every task, with its status, in the order of their submits.
    fn listed(&self, way: Way) -> Vec<(Value, Value)> {
        let (mut listed, mut cursor) = (Vec::new(), json!(null));
        loop {
            let page = self.ok(way, "list_tasks", &json!({ "cursor": cursor }));
            let tasks = page["tasks"].as_array().unwrap().iter();
            listed.extend(tasks.map(|task| (task["task_id"].clone(), task["status"].clone())));
            cursor = page["cursor"].clone();
            if cursor.is_null() {
                return listed;
            }
        }
    }

    /// Asks again, as a journal looks for room each half second only.
    fn until_ok(&self, way: Way, tool: &str, arguments: &Value) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(way, tool, arguments);
            if answer["ok"] == true {
                return answer;
            }
            assert!(Instant::now() < end, "{way:?} {tool}: {answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A task of a few bytes, or one of which ten fill a segment.
fn task(bytes: usize) -> Value {
    json!({ "task_type": "t", "model_name": "m", "payload": { "x": "y".repeat(bytes) } })
}

const LARGE_BYTES: usize = 700_000;

#[test]
fn a_full_disk_refuses_changes_and_no_reads_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (child, peer) = (Child::start(folder.path()), serve(|_| {}));
    let desk = Desk { child: &child, peer: &peer };
    let (small, large) = (task(1), task(LARGE_BYTES));
    let mut tasks = vec![(desk.ok(Way::Mcp, "submit", &small)["task_id"].clone(), json!("queued"))];
    // The segment that is there may be written to its end, and no other has room.
    child.limit_files(Some(SEGMENT_BYTES - 4_096));
    for way in WAYS.into_iter().cycle().take(20) {
        let answer = desk.ask(way, "submit", &large);
        if answer["ok"] == true {
            tasks.push((answer["task_id"].clone(), json!("queued")));
        }
    }
    assert!((3..15).contains(&tasks.len()), "some have room and some have not: {}", tasks.len());
    desk.refused("submit", &small);
    WAYS.iter().for_each(|way| assert_eq!(desk.listed(*way), tasks));

    // What is there can be worked on in the reserve, until that is used up too.
    let mut ended = 0;
    let refused = WAYS.into_iter().cycle().take(10).find_map(|way| {
        let claimed = desk.ok(way, "claim_next", &json!({ "worker_id": "w" }))["task"].take();
        let (id, result) = (&claimed["task_id"], json!({ "x": "z".repeat(LARGE_BYTES) }));
        let end = json!({ "task_id": id, "fencing_token": claimed["fencing_token"], "result": result });
        let row = tasks.iter_mut().find(|(known, _)| known == id).unwrap();
        row.1 = json!("running");
        if desk.ask(way, "complete_task", &end)["ok"] != true {
            return Some(end);
        }
        (row.1, ended) = (json!("completed"), ended + 1);
        None
    });
    let refused = refused.expect("the reserve ends");
    assert!(ended > 0, "there is a reserve");
    desk.refused("complete_task", &refused);
    desk.refused("submit", &small);
    WAYS.iter().for_each(|way| assert_eq!(desk.listed(*way), tasks));

    child.limit_files(None);
    desk.until_ok(Way::Mcp, "complete_task", &refused);
    tasks.iter_mut().for_each(|(id, status)| {
        if *id == refused["task_id"] {
            *status = json!("completed");
        }
    });
    for way in WAYS {
        tasks.push((desk.until_ok(way, "submit", &large)["task_id"].clone(), json!("queued")));
    }
    WAYS.iter().for_each(|way| assert_eq!(desk.listed(*way), tasks));
    child.kill();
    let child = Child::start(folder.path());
    assert_eq!(Desk { child: &child, peer: &peer }.listed(Way::Mcp), tasks, "after a crash");
}

#[test]
fn a_journal_that_cannot_be_written_is_told_and_ends_the_server() {
    let peer = serve(|_| {});
    for way in WAYS {
        let folder = tempfile::tempdir().unwrap();
        let child = Child::start(folder.path());
        let desk = Desk { child: &child, peer: &peer };
        let kept = desk.ok(way, "submit", &task(1))["task_id"].take();
        child.limit_files(Some(1));
        let answer = desk.ask(way, "submit", &task(1));
        assert_eq!(answer["error"], "queue_unavailable", "{way:?}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains("journal of this node has failed"), "{answer}");
        assert_eq!(child.ended().code(), Some(1), "{way:?}");
        let child = Child::start(folder.path());
        let listed = Desk { child: &child, peer: &peer }.listed(way);
        assert_eq!(listed, [(kept, json!("queued"))], "{way:?}: what was acknowledged is there");
    }
}
