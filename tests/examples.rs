//! The examples that end by themselves do what their first lines say.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::path::Path;
use std::process::Command;

/// Runs an example, which the test command has built beside the command's own binary, and returns its log.
fn run(name: &str) -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_ringmesh")).with_file_name("examples");
    let program = folder.join(name);
    assert!(
        program.exists(),
        "{} is not built: run `cargo test` or `cargo build --examples`",
        program.display()
    );
    let output = Command::new(program).env("NO_COLOR", "1").output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{log}");
    log
}

fn assert_order(log: &str, stations: &[&str]) {
    let find = |station: &&str| log.find(station).unwrap_or_else(|| panic!("no {station:?} in {log}"));
    let places: Vec<usize> = stations.iter().map(find).collect();
    assert!(places.is_sorted(), "{log}");
}

#[test]
fn timeout_tells_its_life_in_order() {
    let log = run("timeout");
    assert_order(
        &log,
        &["initialized", "set up", "running at http://127.0.0.1:", "cancelled", "shutting down"],
    );
}

#[test]
fn configured_runs_its_hooks_in_order() {
    let log = run("configured");
    let stations =
        ["opening what", "warming this", "running at", "shutting down", "closing it again", "TimedOut"];
    assert_order(&log, &stations);
}

#[test]
fn embedded_serves_inside_the_programs_own_executor() {
    let log = run("embedded");
    assert_order(&log, &["running at", "does its own work", "shutting down"]);
}
