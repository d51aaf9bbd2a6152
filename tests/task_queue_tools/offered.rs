//! What is said of the tools before anybody calls them.

use serde_json::Value;

use crate::support::{TOOLS, listed, serve};

/// The parameters that the clients that exist send.
const PARAMETERS: [(&str, &str, &str); 14] = [
    ("p2p_taskqueue_status", "", "remote_multiaddr peer_id timeout_s detail"),
    (
        "p2p_taskqueue_submit",
        "task_type model_name",
        "payload remote_multiaddr peer_id idempotency_key delay_s max_attempts priority",
    ),
    (
        "p2p_taskqueue_claim_next",
        "worker_id",
        "supported_task_types peer_id clock remote_multiaddr remote_peer_id lease_s max_tasks wait_s session_id",
    ),
    ("p2p_taskqueue_call_tool", "tool_name", "args remote_multiaddr remote_peer_id timeout_s"),
    ("p2p_taskqueue_list_tasks", "", "status limit task_types remote_multiaddr remote_peer_id cursor"),
    ("p2p_taskqueue_get_task", "task_id", "remote_multiaddr remote_peer_id"),
    ("p2p_taskqueue_wait_task", "task_id", "timeout_s remote_multiaddr remote_peer_id"),
    (
        "p2p_taskqueue_complete_task",
        "task_id",
        "status result error remote_multiaddr remote_peer_id fencing_token retryable",
    ),
    ("p2p_taskqueue_heartbeat", "", "peer_id clock remote_multiaddr remote_peer_id worker_id progress"),
    ("p2p_taskqueue_cache_get", "key", "timeout_s remote_multiaddr remote_peer_id"),
    ("p2p_taskqueue_cache_set", "key value", "ttl_s timeout_s remote_multiaddr remote_peer_id"),
    (
        "p2p_taskqueue_submit_docker_hub",
        "image",
        "command entrypoint environment volumes remote_multiaddr remote_peer_id extra",
    ),
    (
        "p2p_taskqueue_submit_docker_github",
        "repo_url",
        "branch dockerfile_path context_path command entrypoint environment build_args remote_multiaddr remote_peer_id extra",
    ),
    (
        "list_peers",
        "",
        "include_capabilities capabilities_timeout_s capabilities_detail discover discovery_timeout_s discovery_methods limit",
    ),
];

/// Tools that change nothing.
const READING: [&str; 6] = [
    "p2p_taskqueue_status",
    "p2p_taskqueue_list_tasks",
    "p2p_taskqueue_get_task",
    "p2p_taskqueue_wait_task",
    "p2p_taskqueue_cache_get",
    "list_peers",
];

fn names(words: &str) -> Vec<&str> {
    let mut names: Vec<_> = words.split_whitespace().collect();
    names.sort_unstable();
    names
}

#[test]
fn every_tool_takes_what_it_must_and_says_what_it_does() {
    assert_eq!(PARAMETERS.map(|(tool, ..)| tool), TOOLS);
    let node = serve(|_| {});
    let tools = listed(&node.server);
    for (name, required, optional) in PARAMETERS {
        let tool = tools.iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        let schema = &tool["inputSchema"];
        let properties = schema["properties"].as_object().unwrap();
        let mut found: Vec<_> = properties.keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, names(&format!("{required} {optional}")), "{name}");
        let must =
            schema["required"].as_array().map(|names| names.iter().filter_map(Value::as_str).collect());
        let mut must: Vec<&str> = must.unwrap_or_default();
        must.sort_unstable();
        assert_eq!(must, names(required), "{name}");
        let undescribed = properties.iter().find(|(_, schema)| !schema["description"].is_string());
        assert_eq!(undescribed, None, "{name}");
        let hints = &tool["annotations"];
        assert_eq!(hints["readOnlyHint"], READING.contains(&name), "{name}");
        let all = ["destructiveHint", "idempotentHint", "openWorldHint"];
        assert!(all.iter().all(|hint| hints[hint].is_boolean()), "{name}: {hints}");
        assert_eq!(tool["outputSchema"]["type"], "object", "{name}");
        assert!(tool["title"].is_string() && tool["description"].is_string(), "{name}");
    }
}
