#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::cell::RefCell;

use futures_lite::future::block_on;
use serde_json::{Value, json};

use super::tests::{Tools, now, options, remote};
use super::*;
use crate::limits::Limits;
use crate::p2p::access::Policy;
use crate::p2p::{PeerId, Via};
use crate::scheduler::{Fetch, Submit};
use crate::store::{Store, StoreOptions};

/// A node that may be asked, and whom it would fetch from.
struct Node {
    id: PeerId,
    queue: TaskQueue,
    store: LocalStore,
    news: RefCell<Vec<PeerId>>,
}

impl FetchFrom for RefCell<Vec<PeerId>> {
    fn fetch_from(&self, peer: &Remote) {
        self.borrow_mut().push(peer.peer_id);
    }
}

impl Node {
    fn new() -> Node {
        let id = PeerId::random();
        let peer_id = id.to_base58();
        let (store, _) = Store::open(StoreOptions::from_limits(&Limits::default(), &peer_id)).unwrap();
        let queue = TaskQueue::new(TaskQueueOptions { peer_id: peer_id.into(), ..options() });
        Node { id, queue, store: LocalStore::new(store, 0), news: RefCell::default() }
    }

    /// How another node sees this one.
    fn remote(&self, via: Via) -> Remote {
        Remote { peer_id: self.id, principal: self.id.to_base58().into(), ..remote(via) }
    }

    fn answer(&self, from: Option<&Remote>, request: &[u8]) -> Vec<u8> {
        let services =
            Services { tools: &Tools, store: Some(&self.store), fetches: Some(&self.news as &dyn FetchFrom) };
        block_on(self.queue.answer(request, &Caller { remote: from, now: now() }, &services)).json
    }

    fn ask(&self, from: Option<&Remote>, request: Value) -> Value {
        serde_json::from_slice(&self.answer(from, request.to_string().as_bytes())).unwrap()
    }

    /// The error, or `ok`.
    fn verdict(&self, from: Option<&Remote>, request: Value) -> String {
        self.ask(from, request)["error"].as_str().unwrap_or("ok").to_owned()
    }

    /// Sends a heartbeat; true where the other has something to fetch.
    fn beat(&self, to: &Node) -> bool {
        let request = self.queue.heartbeat_request(None, Some(&self.store.workflows().beat()));
        let answer = to.answer(Some(&self.remote(Via::Loopback)), request.trim_ascii_end());
        let from = to.remote(Via::Loopback);
        self.queue.take_heartbeat_answer(&from, &answer, Some(&self.store), now()).unwrap()
    }

    fn submit(&self, task_id: &str) {
        let (workflow_id, name) = ("w".into(), "n".into());
        let submit = Submit { task_id: task_id.into(), workflow_id, name, tags: vec![], priority: 5 };
        block_on(self.store.workflows().submit(submit)).unwrap();
    }

    fn is_member(&self, peer: &Node) -> bool {
        let known = self.store.workflows().known_peers();
        known.iter().any(|known| *known.peer_id == *peer.id.to_base58() && known.is_member)
    }

    fn tasks(&self) -> usize {
        self.store.workflows().status().pending_tasks
    }
}

#[test]
fn a_heartbeat_makes_members_and_says_what_is_new() {
    let (a, b) = (Node::new(), Node::new());
    assert!(!a.beat(&b), "nobody has anything");
    assert!(a.is_member(&b) && b.is_member(&a), "one heartbeat and its answer");
    assert!(b.news.borrow().is_empty());
    a.submit("t");
    assert!(!a.beat(&b));
    assert_eq!(*b.news.borrow(), [a.id]);
    assert!(b.beat(&a), "the answer says it too");
}

#[test]
fn tasks_are_fetched_and_acknowledged_in_the_words_of_the_protocol() {
    let (a, b) = (Node::new(), Node::new());
    a.beat(&b);
    a.submit("t");
    let (from, peer) = (b.remote(Via::Loopback), a.id.to_base58());
    let fetch = b.queue.fetch_request(&b.store.workflows().fetch(&peer), Some("token"));
    let request: Value = serde_json::from_slice(&fetch).unwrap();
    assert_eq!((&request["op"], &request["token"]), (&json!("workflow.fetch"), &json!("token")));
    let fetched = fetch_answer(&a.answer(Some(&from), fetch.trim_ascii_end())).unwrap();
    assert_eq!((fetched.tasks.len(), fetched.more, fetched.unread), (1, false, 0));
    let merged = block_on(b.store.workflows().take_fetched(&peer, fetched)).unwrap();
    let ack = b.queue.ack_request(&merged.ack.unwrap(), None);
    let answer: Value = serde_json::from_slice(&a.answer(Some(&from), ack.trim_ascii_end())).unwrap();
    assert_eq!((&answer["ok"], &answer["peer_id"]), (&json!(true), &json!(peer)));
    assert_eq!((a.tasks(), b.tasks()), (1, 1), "both keep it");
    assert!(!b.beat(&a), "nothing is left to fetch");
}

#[test]
fn a_node_fetches_for_itself_alone() {
    let (node, peer) = (Node::new(), Node::new());
    let from = peer.remote(Via::Loopback);
    for op in ["workflow.fetch", "workflow.ack"] {
        let ask = |from: Option<&Remote>, peer_id: &str| {
            node.verdict(from, json!({"op": op, "peer_id": peer_id, "feed": "", "after": 0, "through": 0}))
        };
        assert_eq!(ask(Some(&from), &from.principal), "ok");
        assert_eq!(ask(Some(&from), ""), "ok", "the connection says who it is");
        assert_eq!(ask(Some(&from), &node.id.to_base58()), "peer_mismatch");
        assert_eq!(ask(None, &from.principal), "missing_peer_id", "no connection proves it");
        assert_eq!(ask(Some(&peer.remote(Via::Beyond)), ""), "unauthorized");
        let without = Caller { remote: Some(&from), now: now() };
        let services = Services { tools: &Tools, store: None, fetches: None };
        let request = json!({ "op": op }).to_string();
        let answered = block_on(node.queue.answer(request.as_bytes(), &without, &services));
        assert_eq!(answered.error, Some(ErrorCode::QueueUnavailable));
    }
}

#[test]
fn who_may_only_read_is_told_nothing_and_is_no_member() {
    let (a, b) = (Node::new(), Node::new());
    a.submit("t");
    let request = a.queue.heartbeat_request(None, Some(&a.store.workflows().beat()));
    let answer = b.answer(Some(&a.remote(Via::Beyond)), request.trim_ascii_end());
    let said: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((&said["ok"], said.get("workflow")), (&json!(true), None));
    assert!(b.news.borrow().is_empty() && !b.is_member(&a));
    // Nor is one whose answer proves nothing but who it is.
    let good = b.answer(Some(&a.remote(Via::Loopback)), request.trim_ascii_end());
    let stranger = b.remote(Via::Beyond);
    assert_eq!(a.queue.take_heartbeat_answer(&stranger, &good, Some(&a.store), now()), Ok(false));
    assert!(!a.is_member(&b));
}

#[test]
fn older_peers_are_known_and_no_members() {
    let (a, b) = (Node::new(), Node::new());
    a.beat(&b);
    assert!(a.is_member(&b));
    let local = b.remote(Via::Loopback);
    let old = json!({"ok": true, "peer": "p", "scheduler": {}}).to_string();
    a.queue.take_heartbeat_answer(&local, old.as_bytes(), Some(&a.store), now()).unwrap();
    assert!(!a.is_member(&b), "it says nothing of workflows any more");
    assert_eq!(a.store.workflows().known_peers().len(), 1);
    // Clients that are no nodes come under ids that are never seen again.
    let answer = a.ask(Some(&remote(Via::Loopback)), json!({"op": "heartbeat", "clock": null}));
    assert_eq!((&answer["ok"], answer.get("workflow")), (&json!(true), None));
    assert_eq!(a.store.workflows().known_peers().len(), 1);
}

#[test]
fn what_is_no_beat_costs_the_heartbeat_nothing() {
    let node = Node::new();
    let entries: serde_json::Map<_, _> = (0..5_000).map(|n| (format!("n{n}"), json!(1))).collect();
    for (workflow, words) in [
        (json!(5), "workflow"),
        (json!({}), "feed"),
        (json!({"feed": "f", "through": -1, "clock": {}}), "through"),
        (json!({"feed": "f", "through": 1}), "clock"),
        (json!({"feed": "f", "through": 1, "clock": 5}), "clock"),
        (json!({"feed": "x".repeat(65), "through": 1, "clock": {}}), "feed"),
        (json!({"feed": "f", "through": 1, "clock": {"vector": entries}}), "max_p2p_clock_entries"),
    ] {
        let from = remote(Via::Loopback);
        let answer = node.ask(Some(&from), json!({"op": "heartbeat", "workflow": workflow}));
        assert_eq!((&answer["ok"], answer.get("workflow")), (&json!(true), None));
        assert!(answer["message"].as_str().unwrap().contains(words), "{words}: {answer}");
    }
    assert!(node.store.workflows().known_peers().is_empty() && node.news.borrow().is_empty());
}

#[test]
fn hostile_fetches_and_acknowledgements_are_refused_or_do_nothing() {
    let node = Node::new();
    (0..300).for_each(|number| node.submit(&format!("t{number}")));
    let from = remote(Via::Loopback);
    for (field, bad) in [
        ("feed", json!(5)),
        ("feed", json!("x".repeat(65))),
        ("feed", json!(["f"])),
        ("after", json!(-1)),
        ("after", json!(1.5)),
        ("after", json!("all")),
        ("after", json!(1e300)),
        ("through", json!({})),
    ] {
        let op = if field == "through" { "workflow.ack" } else { "workflow.fetch" };
        let answer = node.ask(Some(&from), json!({"op": op, field: bad}));
        assert_eq!(answer["error"], "invalid_field", "{field} {bad}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(field), "{answer}");
    }
    let first = node.ask(Some(&from), json!({"op": "workflow.fetch"}));
    assert_eq!((first["tasks"].as_array().unwrap().len(), &first["more"]), (256, &json!(true)));
    let far = json!({"op": "workflow.fetch", "feed": first["feed"], "after": u64::MAX});
    assert_eq!(node.ask(Some(&from), far)["tasks"], json!([]));
    let made_up = json!({"op": "workflow.fetch", "feed": "made up", "after": u64::MAX});
    assert_eq!(node.ask(Some(&from), made_up)["after"], 0, "another feed begins at the start");
    let ack = json!({"op": "workflow.ack", "feed": first["feed"], "through": u64::MAX});
    assert_eq!(node.verdict(Some(&from), ack), "ok");
    assert_eq!(node.tasks(), 300, "what is acknowledged is kept until it is done");
}

#[test]
fn answers_of_peers_are_read_with_care() {
    let refused = |answer: &str| fetch_answer(answer.as_bytes()).unwrap_err().to_string();
    assert!(refused("").contains("no JSON object"));
    assert!(refused(r#"{"feed":"f"}"#).contains("with ok"));
    assert!(refused(r#"{"ok":true}"#).contains("feed, after, through"));
    let long = json!({"ok": false, "error": "x".repeat(100_000)}).to_string();
    assert!(refused(&long).len() < 400);
    assert_eq!(fetch_answer(&[0xff]), Err(FetchAnswerError::Malformed("it is not UTF-8")));
}

#[test]
fn status_announces_the_operations() {
    let node = Node::new();
    let answer = node.ask(Some(&remote(Via::Beyond)), json!({"op": "status"}));
    assert_eq!(answer["workflow"]["operations"], json!(["workflow.fetch", "workflow.ack"]));
}

#[test]
fn with_a_token_tasks_go_only_to_who_shows_it() {
    let node = Node::new();
    let policy = Policy::new(false, Some("s3cret"), []);
    let queue = TaskQueue::new(TaskQueueOptions { policy, ..options() });
    let node = Node { queue, ..node };
    let from = remote(Via::Loopback);
    let fetch = Fetch { peer_id: "".into(), feed: "".into(), after: 0 };
    let asking = Node::new();
    for (token, expected) in [(None, "unauthorized"), (Some("s3cre"), "unauthorized")] {
        let mut request: Value = serde_json::from_slice(&asking.queue.fetch_request(&fetch, token)).unwrap();
        request["peer_id"] = Value::Null;
        assert_eq!(node.verdict(Some(&from), request), expected);
    }
    let request = json!({"op": "workflow.fetch", "token": "s3cret"});
    assert_eq!(node.verdict(Some(&remote(Via::Beyond)), request), "ok");
}
