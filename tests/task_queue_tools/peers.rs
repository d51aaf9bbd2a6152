//! Whom a node knows, and that a peer known by its id alone is found.

use serde_json::{Value, json};

use crate::support::{Answers, Desk, Node, serve};

fn listed(node: &Node, arguments: Value) -> Value {
    let answer = node.call("list_peers", arguments);
    assert_eq!(answer["ok"], true, "{answer}");
    answer
}

#[test]
fn a_node_lists_itself_and_whom_it_knows() {
    let far = serve(|_| {});
    let near = serve(|config| config.p2p_bootstrap_peers = vec![far.address.clone()]);
    Desk::new(&near, &far, Answers::There).submit("t");
    let answer = listed(&near, json!({}));
    assert_eq!(answer["self_peer_id"], near.peer_id.as_str());
    assert!(near.address.contains(&format!("/tcp/{}/", answer["listen_port"])), "{answer}");
    assert!(answer["started_at"].as_f64().unwrap() > 1.7e9);
    assert_eq!((&answer["count"], answer["peers"].as_array().unwrap().len()), (&json!(1), 1));
    let peer = &answer["peers"][0];
    assert_eq!((&peer["peer_id"], &peer["bootstrap"]), (&json!(far.peer_id), &json!(true)), "{peer}");
    assert_eq!(
        (&peer["connected"], peer["multiaddr"].as_str()),
        (&json!(true), Some(far.address.as_str())),
        "{peer}"
    );
    for method in ["mdns", "rendezvous", "dht"] {
        let said = &answer["discovery"][method];
        assert!(said["available"] == false && said["message"].as_str().unwrap().contains(method), "{said}");
    }
    assert_eq!(listed(&near, json!({ "discover": false })).get("discovery"), None);
    let refused = near.call("list_peers", json!({ "discovery_methods": ["bluetooth"] }));
    assert_eq!((&refused["ok"], &refused["error"]), (&json!(false), &json!("invalid_field")));
}

#[test]
fn capabilities_are_asked_of_each_peer() {
    let far = serve(|_| {});
    let gone = serve(|_| {});
    let near = serve(|config| config.p2p_bootstrap_peers = vec![far.address.clone(), gone.address.clone()]);
    let gone_id = gone.peer_id.clone();
    gone.server.stop().unwrap();
    let arguments =
        json!({ "include_capabilities": true, "capabilities_detail": true, "capabilities_timeout_s": 5 });
    let answer = listed(&near, arguments);
    let status = |id: &str| {
        let mut peers = answer["peers"].as_array().unwrap().iter();
        peers.find(|peer| peer["peer_id"] == id).unwrap()["status"].clone()
    };
    assert_eq!(status(&far.peer_id)["queue"]["queued"], 0, "{answer}");
    assert_eq!(status(&gone_id)["ok"], false, "{answer}");
}

#[test]
fn a_peer_is_found_by_its_id() {
    let far = serve(|_| {});
    let near = serve(|config| config.p2p_bootstrap_peers = vec![far.address.clone()]);
    let met = serve(|_| {});
    let by_id = |node: &Node| {
        let answer = node.call("p2p_taskqueue_status", json!({ "peer_id": far.peer_id }));
        (answer["ok"] == true, answer["peer_id"] == far.peer_id.as_str())
    };
    assert_eq!(by_id(&near), (true, true), "a bootstrap peer");
    assert_eq!(by_id(&met).0, false, "nobody knows where");
    Desk::new(&met, &far, Answers::There).submit("t");
    assert_eq!(by_id(&met), (true, true), "a peer that was met");
}
