//! The commands against peers over libp2p.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use ringmesh::p2p::MCP_PROTOCOL;
use ringmesh::p2p::identity::Identity;
use serde_json::{Value, json};

use super::peer::{TestPeer, modern};
use super::{command, ended, ringmesh, succeeded};

/// A file that only its user reads.
fn private(content: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}

fn tokens(peer: &TestPeer) -> Vec<Value> {
    let token = |message: Value| message["params"]["_meta"]["ringmesh/token"].clone();
    peer.messages().into_iter().map(token).collect()
}

#[test]
fn commands_work_over_libp2p_as_over_http() {
    let peer = TestPeer::echo();
    let target = peer.target();
    let tools = succeeded(&["tools", &target]);
    assert!(tools.contains("echo") && tools.contains("Says it again"), "{tools}");
    assert_eq!(succeeded(&["call", &target, "echo", "message=over libp2p"]), "over libp2p\n");
    let found = succeeded(&["discover", &target, "--output", "json"]);
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["revision"], "2026-07-28");
    let refused = ringmesh(&["read", &target, "a:b"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(tokens(&peer).iter().all(Value::is_null), "no token was given");
}

#[test]
fn an_old_peer_is_asked_too() {
    let peer = TestPeer::start(
        MCP_PROTOCOL,
        Box::new(|message| {
            let mut answer = json!({ "jsonrpc": "2.0", "id": message["id"] });
            match message["method"].as_str() {
                Some("initialize") => {
                    answer["result"] = json!({ "ok": true, "protocolVersion": "2024-11-05", "capabilities": { "tools": {} },
                        "serverInfo": { "name": "old", "version": "1" }, "limits": { "max_frame_bytes": 1_048_576 } });
                }
                Some("tools/call") => {
                    answer["result"] = json!({ "content": [{ "type": "text", "text": "from an old peer" }] });
                }
                _ => {
                    answer["error"] = json!({ "code": -32000, "message": "init_required" });
                    return vec![Some(answer), None];
                }
            }
            vec![Some(answer)]
        }),
    );
    assert_eq!(succeeded(&["call", &peer.target(), "any"]), "from an old peer\n");
}

#[test]
fn the_key_and_the_token_are_shown_to_the_peer_and_to_nobody_else() {
    let peer = TestPeer::echo();
    let (target, identity) = (peer.target(), Identity::ephemeral());
    let key = private(&identity.to_private_key().unwrap());
    let token = private("s3cret\n");
    let (key, token) = (key.path().to_str().unwrap(), token.path().to_str().unwrap());
    succeeded(&["tools", &target, "--p2p-key-file", key, "--p2p-token-file", token]);
    assert_eq!(*peer.seen.dialers.lock().unwrap(), [identity.peer_id()]);
    let from_environment = command(&["tools", &target]).env("RINGMESH_P2P_TOKEN", "s3cret").spawn().unwrap();
    assert_eq!(ended(from_environment).code, Some(0));
    assert!(
        tokens(&peer).len() >= 4 && tokens(&peer).iter().all(|token| token == "s3cret"),
        "{:?}",
        tokens(&peer)
    );
    let thief = TestPeer::echo();
    let stolen = thief.target_of(peer.identity.base58());
    let wrong = command(&["tools", &stolen, "--output", "json"])
        .env("RINGMESH_P2P_TOKEN", "s3cret")
        .env("RUST_LOG", "trace")
        .spawn()
        .unwrap();
    let wrong = ended(wrong);
    assert_eq!(wrong.code, Some(4), "{}", wrong.stderr);
    assert!(
        wrong.stderr.contains(thief.identity.base58()) && wrong.stdout.contains("unreachable"),
        "{}",
        wrong.stderr
    );
    assert!(!wrong.stderr.contains("s3cret") && thief.messages().is_empty());
}

#[test]
fn failures_end_with_the_codes_of_http() {
    let unused = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let silent = TestPeer::start(MCP_PROTOCOL, Box::new(|_| vec![]));
    let garbage = TestPeer::start(MCP_PROTOCOL, Box::new(|_| vec![Some(json!([]))]));
    let other = TestPeer::start("/other/1.0.0", Box::new(|_| vec![]));
    let forbids = TestPeer::start(
        MCP_PROTOCOL,
        Box::new(|message| match message["method"].as_str() {
            Some("tools/call") => {
                let error = json!({ "code": -33403, "message": "no" });
                vec![Some(json!({ "jsonrpc": "2.0", "id": message["id"], "error": error }))]
            }
            _ => vec![modern(message)],
        }),
    );
    let nobody = format!("/ip4/127.0.0.1/tcp/{unused}/p2p/{}", silent.identity.base58());
    for (arguments, code, said) in [
        (&["tools", &nobody][..], 4, "refused"),
        (&["tools", &silent.target(), "--timeout", "0.2"], 5, "no answer"),
        (&["tools", &garbage.target()], 6, "JSON array"),
        (&["tools", &other.target()], 6, "/mcp+p2p/1.0.0"),
        (&["call", &forbids.target(), "echo", "message:=1"], 1, "--p2p-token-file"),
    ] {
        let ended = ringmesh(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{arguments:?}: {}", ended.stderr);
    }
}
