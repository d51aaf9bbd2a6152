//! What goes wrong, and how it is said.

use ringmesh::config::Secret;
use ringmesh::p2p::identity::Identity;
use serde_json::{Value, json};

use crate::common::text;
use crate::support::{Answers, Desk, Node, TOOLS, in_both, serve};

#[test]
fn what_a_node_refuses_is_the_same_here_and_there() {
    let nobody = "f".repeat(32);
    let rows = [
        ("claim_next", json!({ "worker_id": "" }), "missing_worker_id"),
        ("complete_task", json!({ "task_id": "" }), "missing_task_id"),
        ("complete_task", json!({ "task_id": nobody }), "task_not_found"),
        ("cache_get", json!({ "key": "" }), "missing_key"),
        ("cache_set", json!({ "key": "", "value": 1 }), "missing_key"),
        ("call_tool", json!({ "tool_name": "" }), "missing_tool_name"),
        ("call_tool", json!({ "tool_name": "no_such_tool" }), "tool_not_found"),
        ("call_tool", json!({ "tool_name": "p2p_taskqueue_call_tool" }), "recursion_refused"),
        ("list_tasks", json!({ "cursor": "made up" }), "invalid_value"),
    ];
    in_both(|desk| {
        for (tool, arguments, error) in rows.clone() {
            assert_eq!(desk.refused(&format!("p2p_taskqueue_{tool}"), arguments), error, "{tool}");
        }
    });
}

#[test]
fn a_lost_lease_and_a_key_of_other_work_are_refused() {
    in_both(|desk| {
        let id = desk.submit("held");
        let token = desk.claim("held")["fencing_token"].as_u64().unwrap();
        let complete = json!({ "task_id": id, "fencing_token": token + 1 });
        assert_eq!(desk.refused("p2p_taskqueue_complete_task", complete), "lease_lost");
        let submit =
            |task_type: &str| json!({ "task_type": task_type, "model_name": "m", "idempotency_key": "one" });
        desk.ok("p2p_taskqueue_submit", submit("a"));
        assert_eq!(desk.refused("p2p_taskqueue_submit", submit("b")), "idempotency_conflict");
    });
}

#[test]
fn what_a_node_has_switched_off_is_said() {
    let (near, far) =
        (serve(|_| {}), serve(|config| (config.p2p_cache, config.p2p_call_tool) = (false, false)));
    let desk = Desk::new(&near, &far, Answers::There);
    assert_eq!(desk.refused("p2p_taskqueue_cache_get", json!({ "key": "k" })), "cache_disabled");
    assert_eq!(desk.refused("p2p_taskqueue_call_tool", json!({ "tool_name": "echo" })), "tools_disabled");
}

/// The text of a call whose arguments do not fit.
fn misfit(node: &Node, tool: &str, arguments: Value) -> String {
    let answer = node.server.client().call(tool, arguments.clone()).json();
    assert_eq!(answer["result"]["isError"], true, "{tool} {arguments}: {answer}");
    text(&answer).to_owned()
}

#[test]
fn arguments_of_a_wrong_type_are_named_with_what_is_allowed() {
    let node = serve(|_| {});
    for (tool, arguments, name, allowed) in [
        ("p2p_taskqueue_submit", json!({ "model_name": "m" }), "task_type", "required"),
        ("p2p_taskqueue_submit", json!({ "task_type": 5, "model_name": "m" }), "task_type", "string"),
        (
            "p2p_taskqueue_claim_next",
            json!({ "worker_id": "w", "supported_task_types": 5 }),
            "supported_task_types",
            "array",
        ),
        ("p2p_taskqueue_wait_task", json!({ "task_id": "x", "timeout_s": "soon" }), "timeout_s", "number"),
        ("p2p_taskqueue_status", json!({ "detail": "yes" }), "detail", "boolean"),
        ("p2p_taskqueue_cache_set", json!({ "key": "k" }), "value", "required"),
        (
            "p2p_taskqueue_submit_docker_hub",
            json!({ "image": "i", "environment": [1] }),
            "environment",
            "object",
        ),
        ("list_peers", json!({ "limit": "all" }), "limit", "integer"),
    ] {
        let said = misfit(&node, tool, arguments);
        assert!(said.contains(name) && said.contains(allowed), "{tool}: {said}");
    }
}

#[test]
fn a_peer_that_cannot_be_asked_is_said() {
    let stranger = Identity::ephemeral().peer_id();
    let (near, far) = (serve(|_| {}), serve(|_| {}));
    let there = far.peer_address();
    let bare = there.address.to_string();
    let wrong = format!("{bare}/p2p/{stranger}");
    let known = serve(|config| config.p2p_dial = "known".to_owned());
    for (node, multiaddr, peer_id, words) in [
        (&near, "nonsense", "", "nonsense"),
        (&near, bare.as_str(), "", "/p2p/"),
        (&near, "", "nobody", "nobody"),
        (&near, "", stranger.to_base58().as_str(), "remote_multiaddr"),
        (&near, far.address.as_str(), stranger.to_base58().as_str(), ""),
        (&near, wrong.as_str(), "", ""),
        (&near, format!("/ip4/127.0.0.1/tcp/1/p2p/{stranger}").as_str(), "", ""),
        (&known, far.address.as_str(), "", "p2p_dial"),
    ] {
        let arguments = json!({ "remote_multiaddr": multiaddr, "peer_id": peer_id });
        let answer = node.call("p2p_taskqueue_status", arguments);
        assert_eq!(answer["ok"], false, "{multiaddr} {peer_id}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(words), "{multiaddr} {peer_id}: {answer}");
    }
}

#[test]
fn the_shared_token_goes_to_peers_that_the_configuration_names_and_to_no_others() {
    let token = || Some(Secret("s3cret".to_owned()));
    let far = serve(|config| config.p2p_token = token());
    let named = serve(|config| {
        config.p2p_token = token();
        config.p2p_allow_peers = vec![far.peer_id.clone()];
    });
    let unnamed = serve(|config| config.p2p_token = token());
    assert_eq!(Desk::new(&named, &far, Answers::There).submit("t").len(), 32);
    let refused = Desk::new(&unnamed, &far, Answers::There);
    assert_eq!(refused.refused("p2p_taskqueue_status", json!({})), "unauthorized");
    assert_eq!(
        Desk::new(&unnamed, &far, Answers::Here).submit("t").len(),
        32,
        "nobody asks oneself for a token"
    );
}

#[test]
fn the_tools_are_offered_where_they_are_switched_on() {
    let names = |node: &Node| {
        crate::support::listed(&node.server).iter().map(|tool| tool["name"].clone()).collect::<Vec<_>>()
    };
    let on = names(&serve(|_| {}));
    assert!(TOOLS.iter().all(|tool| on.contains(&json!(tool))), "{on:?}");
    for off in [
        &serve(|config| config.taskqueue_tools = false),
        &serve(|config| config.p2p_tools = false),
        &serve(|config| config.p2p = false),
    ] {
        let left = names(off);
        assert!(TOOLS.iter().all(|tool| !left.contains(&json!(tool))), "{left:?}");
    }
}
