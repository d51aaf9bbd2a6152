//! `ringmesh id` as a person or a script meets it.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

/// From the specification of peer ids.
const RSA_KEY: &str = include_str!("keys/rsa_of_the_specification.key");

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs `ringmesh id` with a home of its own, without what the environment of the tests may configure.
fn id(home: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmesh"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["RINGMESH_", "MCP_", "MCPPP_", "IPFS_"].iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.env_remove("STATE_DIRECTORY").env_remove("XDG_STATE_HOME").env("HOME", home);
    let output = command.arg("id").args(arguments).envs(environment.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn json(ended: &Ended) -> serde_json::Value {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

fn write_private(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn the_first_run_makes_the_key_and_the_second_finds_it() {
    let home = tempfile::tempdir().unwrap();
    let first = id(home.path(), &[], &[]);
    let file = home.path().join(".local/state/ringmesh/identity.key");
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert!(first.stderr.contains(&format!("made a new key, {}", file.display())), "{}", first.stderr);
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let lines: Vec<_> = first.stdout.lines().collect();
    assert!(lines[0].starts_with("peer id  12D3KooW") && lines[1].starts_with("cid      bafz"), "{lines:?}");
    assert_eq!(lines[2], format!("key      ed25519, {}", file.display()));
    let second = id(home.path(), &["--json"], &[]);
    assert!(!second.stderr.contains("made"), "{}", second.stderr);
    let second = json(&second);
    assert_eq!(lines[0], format!("peer id  {}", second["peer_id"].as_str().unwrap()));
    assert_eq!(lines[1], format!("cid      {}", second["cid"].as_str().unwrap()));
    let secret = std::fs::read_to_string(&file).unwrap();
    assert!(!format!("{}{}{second}", first.stdout, first.stderr).contains(secret.trim_end()));
}

#[test]
fn the_addresses_are_those_that_peers_dial() {
    let home = tempfile::tempdir().unwrap();
    let listen = ["--p2p-listen", "/ip4/192.0.2.7/tcp/4001", "--p2p-listen", "/ip6/::1/tcp/4002"];
    let found = json(&id(home.path(), &[&listen[..], &["--json"]].concat(), &[]));
    let peer_id = found["peer_id"].as_str().unwrap();
    let expected = ["/ip4/192.0.2.7/tcp/4001", "/ip6/::1/tcp/4002"].map(|at| format!("{at}/p2p/{peer_id}"));
    assert_eq!(found["addresses"], serde_json::json!(expected));
    let everywhere = json(&id(home.path(), &["--p2p-listen=/ip4/0.0.0.0/tcp/4001", "--json"], &[]));
    let addresses = everywhere["addresses"].as_array().unwrap();
    let loopback = format!("/ip4/127.0.0.1/tcp/4001/p2p/{peer_id}");
    assert!(addresses.contains(&loopback.into()), "{addresses:?}");
    assert!(addresses.iter().all(|address| !address.as_str().unwrap().contains("/0.0.0.0/")));
    let text = id(home.path(), &listen, &[]).stdout;
    assert!(text.contains(&format!("address  {}\n", expected[0])), "{text}");
}

#[test]
fn what_keeps_peers_away_is_said_beside_the_answer() {
    let home = tempfile::tempdir().unwrap();
    for (arguments, environment, note) in [
        (&[][..], &[][..], "no address to listen on is set"),
        (&["--p2p-listen=/ip4/127.0.0.1/tcp/0"], &[], "known only when the server runs"),
        (&["--p2p-listen=/ip4/127.0.0.1/tcp/4001"], &[("MCP_DISABLE_P2P", "1")], "libp2p is off"),
    ] {
        let ended = id(home.path(), &[arguments, &["--json"]].concat(), environment);
        assert!(ended.stderr.contains(note), "{}", ended.stderr);
        assert_eq!(json(&ended)["addresses"], serde_json::json!([]));
    }
}

#[test]
fn a_key_that_is_named_is_used_and_checked() {
    let home = tempfile::tempdir().unwrap();
    let (key, link) = (home.path().join("given.key"), home.path().join("link"));
    let with = |path: &Path| id(home.path(), &["--p2p-key-file", path.to_str().unwrap(), "--json"], &[]);
    write_private(&key, RSA_KEY);
    symlink(&key, &link).unwrap();
    let found = json(&with(&link));
    assert_eq!(found["key"], "rsa");
    assert!(found["peer_id"].as_str().unwrap().starts_with("Qm"));
    assert!(!home.path().join(".local").exists(), "no other key is made");
    for (content, mode, reason) in [
        (RSA_KEY, 0o644, "chmod 600"),
        ("hunter2 hunter2", 0o600, "not base64"),
        ("-----BEGIN PRIVATE KEY-----", 0o600, "PEM"),
        ("", 0o600, "it is empty"),
    ] {
        std::fs::write(&key, content).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let ended = with(&key);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
        assert!(ended.stderr.contains(reason) && ended.stderr.contains("given.key"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    std::fs::remove_file(&key).unwrap();
    assert!(with(&key).stderr.contains("no such file"));
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let ended = id(home.path(), &["--data-dir", file.join("below").to_str().unwrap()], &[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("file/below"), "{}", ended.stderr);
    // The default place is no better, and an id that nobody keeps is none.
    let ended = id(home.path(), &[], &[("XDG_STATE_HOME", file.to_str().unwrap())]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("set data_dir") && ended.stderr.contains("differs at each start"));
    // A link where the key should be is not followed.
    let data = home.path().join("data");
    std::fs::create_dir(&data).unwrap();
    write_private(&home.path().join("elsewhere"), RSA_KEY);
    symlink(home.path().join("elsewhere"), data.join("identity.key")).unwrap();
    assert_eq!(id(home.path(), &["--data-dir", data.to_str().unwrap()], &[]).code, Some(1));
}

#[test]
fn a_wrong_setting_ends_with_code_2_and_the_help_explains() {
    let home = tempfile::tempdir().unwrap();
    let wrong = id(home.path(), &["--p2p-listen", "/ip4/127.0.0.1/udp/4001"], &[]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("only TCP is spoken"), "{}", wrong.stderr);
    let help = id(home.path(), &["--help"], &[]).stdout;
    assert!(help.contains("ringmesh id --p2p-listen /ip4/0.0.0.0/tcp/4001"), "{help}");
}
