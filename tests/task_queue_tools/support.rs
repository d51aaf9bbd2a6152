//! Two servers, and callers that hold each answer to what its tool promises.

use std::collections::HashMap;

use jsonschema::Validator;
use ringmesh::p2p::address::PeerAddress;
use ringmesh::{Server, ServerConfig};
use serde_json::{Value, json};

use crate::common::{self, TestServer, modern, text};

/// Every tool of this family.
pub(crate) const TOOLS: [&str; 14] = [
    "p2p_taskqueue_status",
    "p2p_taskqueue_submit",
    "p2p_taskqueue_claim_next",
    "p2p_taskqueue_call_tool",
    "p2p_taskqueue_list_tasks",
    "p2p_taskqueue_get_task",
    "p2p_taskqueue_wait_task",
    "p2p_taskqueue_complete_task",
    "p2p_taskqueue_heartbeat",
    "p2p_taskqueue_cache_get",
    "p2p_taskqueue_cache_set",
    "p2p_taskqueue_submit_docker_hub",
    "p2p_taskqueue_submit_docker_github",
    "list_peers",
];

/// A server with the tools.
pub(crate) struct Node {
    pub(crate) server: TestServer,
    pub(crate) peer_id: String,
    /// Where peers reach it, its id included.
    pub(crate) address: String,
    outputs: HashMap<String, Validator>,
}

/// Who answers a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    Here,
    There,
}

/// Calls the tools of one node, for it or for another.
#[derive(Clone, Copy)]
pub(crate) struct Desk<'a> {
    pub(crate) near: &'a Node,
    pub(crate) far: &'a Node,
    pub(crate) answers: Answers,
}

/// A server that serves and dials peers on loopback, where everybody takes any task.
pub(crate) fn serve(set: impl FnOnce(&mut ServerConfig)) -> Node {
    let mut config = common::config();
    config.p2p_listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
    config.p2p_dial = "any".to_owned();
    config.p2p_deterministic = false;
    config.p2p_cache = true;
    config.p2p_call_tool = true;
    set(&mut config);
    let server = TestServer::run(Server::new(config).builtin_tools());
    let health = server.client().ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").json();
    let address = health["p2p"]["listen"][0].as_str().unwrap_or_default().to_owned();
    let peer_id = health["p2p"]["peer_id"].as_str().unwrap_or_default().to_owned();
    let outputs = listed(&server).iter().filter_map(validator).collect();
    Node { server, peer_id, address, outputs }
}

/// The tools that a server lists.
pub(crate) fn listed(server: &TestServer) -> Vec<Value> {
    let answer = server.client().ask(modern(1, "tools/list", json!({}))).json();
    answer["result"]["tools"].as_array().unwrap().clone()
}

fn validator(tool: &Value) -> Option<(String, Validator)> {
    let schema = tool.get("outputSchema")?;
    Some((tool["name"].as_str().unwrap().to_owned(), jsonschema::validator_for(schema).unwrap()))
}

impl Node {
    /// Calls a tool. Whatever it answers has the shape that it promises, says the same twice, and is an error exactly
    /// where it is not ok.
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Value {
        let answer = self.server.client().call(tool, arguments.clone());
        assert_eq!(answer.status, 200, "{tool} {arguments}: {}", answer.text());
        let message = answer.json();
        let structured = message["result"]["structuredContent"].clone();
        assert!(structured.is_object(), "{tool} {arguments}: {message}");
        let copy: Value = serde_json::from_str(text(&message)).unwrap();
        assert_eq!(copy, structured, "{tool}: the text is the same");
        let outputs = &self.outputs[tool];
        if let Err(error) = outputs.validate(&structured) {
            panic!("{tool} {arguments}: {error} at {} in {structured}", error.instance_path());
        }
        let ok = structured["ok"].as_bool().or(structured["success"].as_bool()).unwrap();
        let is_error = message["result"]["isError"].as_bool().unwrap_or(false);
        assert_eq!(is_error, !ok, "{tool}: {structured}");
        if !ok {
            assert!(structured["error"].is_string(), "{tool}: {structured}");
            assert!(
                structured["message"].as_str().is_some_and(|text| text.len() > 10),
                "{tool}: {structured}"
            );
        }
        structured
    }

    /// The libp2p address, taken apart.
    pub(crate) fn peer_address(&self) -> PeerAddress {
        self.address.parse().unwrap()
    }
}

impl<'a> Desk<'a> {
    pub(crate) fn new(near: &'a Node, far: &'a Node, answers: Answers) -> Desk<'a> {
        Desk { near, far, answers }
    }

    /// The node whose task queue is meant.
    pub(crate) fn answering(&self) -> &'a Node {
        match self.answers {
            Answers::Here => self.near,
            Answers::There => self.far,
        }
    }

    /// Calls a tool, and says whose answer is wanted.
    pub(crate) fn call(&self, tool: &str, mut arguments: Value) -> Value {
        if self.answers == Answers::There {
            arguments["remote_multiaddr"] = self.far.address.clone().into();
        }
        self.near.call(tool, arguments)
    }

    /// As [`Desk::call`], for what must succeed; without what every answer has.
    pub(crate) fn ok(&self, tool: &str, arguments: Value) -> Value {
        let mut answer = self.call(tool, arguments.clone());
        assert_eq!(answer["ok"], true, "{:?} {tool} {arguments}: {answer}", self.answers);
        assert_eq!(answer["peer_id"], self.answering().peer_id.as_str(), "{tool}");
        let members = answer.as_object_mut().unwrap();
        members.remove("ok");
        members.remove("peer_id");
        answer
    }

    /// The `error` of a call that must fail.
    pub(crate) fn refused(&self, tool: &str, arguments: Value) -> String {
        let answer = self.call(tool, arguments.clone());
        assert_eq!(answer["ok"], false, "{:?} {tool} {arguments}: {answer}", self.answers);
        answer["error"].as_str().unwrap().to_owned()
    }

    /// Submits a task of this type and returns its id.
    pub(crate) fn submit(&self, task_type: &str) -> String {
        let arguments =
            json!({ "task_type": task_type, "model_name": "m", "payload": { "type": task_type } });
        let answer = self.ok("p2p_taskqueue_submit", arguments);
        let id = answer["task_id"].as_str().unwrap().to_owned();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        id
    }

    /// Claims a task of this type; null where there is none.
    pub(crate) fn claim(&self, task_type: &str) -> Value {
        let arguments = json!({ "worker_id": "w", "supported_task_types": [task_type] });
        self.ok("p2p_taskqueue_claim_next", arguments)["task"].take()
    }

    pub(crate) fn task(&self, id: &str) -> Value {
        self.ok("p2p_taskqueue_get_task", json!({ "task_id": id }))["task"].take()
    }
}

/// Runs a test twice: answered by the server that is called, and by another.
pub(crate) fn in_both(test: impl Fn(Desk<'_>)) {
    let (near, far) = (serve(|_| {}), serve(|_| {}));
    for answers in [Answers::Here, Answers::There] {
        test(Desk::new(&near, &far, answers));
    }
}
