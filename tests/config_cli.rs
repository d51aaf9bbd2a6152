//! The command as a person meets it: what it prints, where, and with which code it ends.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use std::process::{Command, Output};

/// Runs the command to its end, without what the environment of the tests may configure.
fn ringmesh(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmesh"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["RINGMESH_", "MCP_", "MCPPP_"].iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.env_remove("STATE_DIRECTORY").env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.args(arguments).envs(environment.iter().copied()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn print_config_shows_each_value_and_its_origin() {
    let arguments = ["serve", "--max-cores", "1", "--limit", "max_headers=20", "--print-config"];
    let output = ringmesh(&arguments, &[("MCP_PORT", "9000")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for line in [
        "listen = \"127.0.0.1:9000\"  # environment MCP_PORT\n",
        "max_cores = 1  # flag --max-cores\n",
        "max_headers = 20  # flag --limit\n",
        "mount_path = \"/mcp\"  # default\n",
    ] {
        assert!(text.contains(line), "{line:?} is missing in\n{text}");
    }
}

#[test]
fn a_wrong_configuration_ends_with_code_2_and_every_reason() {
    let output = ringmesh(&["serve", "--backlog", "none"], &[("RINGMESH_COERS", "0")]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    let text = stderr(&output);
    assert!(text.contains("RINGMESH_COERS") && text.contains("did you mean RINGMESH_CORES?"), "{text}");
    assert!(text.contains("backlog = \"none\" (flag --backlog): allowed is a whole number from 1"), "{text}");
    let missing = ringmesh(&["serve", "--config", "/nowhere.toml"], &[]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).contains("/nowhere.toml (flag --config): the file cannot be read"));
}

#[test]
fn a_wrong_command_line_ends_with_code_2_and_help_with_0() {
    assert_eq!(ringmesh(&[], &[]).status.code(), Some(2));
    assert_eq!(ringmesh(&["serve", "--lisen", "x"], &[]).status.code(), Some(2));
    let version = ringmesh(&["--version"], &[]);
    assert_eq!(
        (version.status.code(), stdout(&version).as_str()),
        (Some(0), concat!("ringmesh ", env!("CARGO_PKG_VERSION"), "\n"))
    );
    let help = ringmesh(&["serve", "--help"], &[]);
    assert!(help.status.success() && stdout(&help).contains("--allowed-host <HOST>"));
}

#[test]
fn check_prints_one_line_each_and_the_same_as_json() {
    let output = ringmesh(&["check", "--limit", "max_connections=10"], &[]);
    let text = stdout(&output);
    assert_eq!(text.lines().count(), 9, "{text}");
    assert!(
        text.lines().all(|line| ["ok   ", "warn ", "FAIL "].iter().any(|status| line.starts_with(status))),
        "{text}"
    );
    let json = stdout(&ringmesh(&["check", "--json", "--limit", "max_connections=10"], &[]));
    let checks: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let names: Vec<_> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    for (line, name) in text.lines().zip(names) {
        assert!(line[5..].starts_with(&format!("{name}: ")), "{line}");
    }
}

#[test]
fn cores_that_are_not_there_end_with_code_3_and_the_mend() {
    for command in ["check", "serve"] {
        let output = ringmesh(&[command, "--cores", "4000"], &[]);
        assert_eq!(output.status.code(), Some(3), "{command}");
        let text = stdout(&output) + &stderr(&output);
        assert!(text.contains("FAIL cores: 4000 cannot be used"), "{command}: {text}");
    }
}
