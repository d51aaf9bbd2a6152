//! A short comparison of the real servers: that they answer alike, that each load runs without a wrong answer, and that the
//! report has all of it.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

#[test]
fn native_and_bridge_answer_alike_under_every_load_and_the_report_has_it() {
    let folder = std::env::temp_dir().join(format!("ringmesh-compared-{}", std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_ringmesh-loadtest"))
        .args(["compare", "--rounds", "1", "--duration-s", "0.3", "--warmup-s", "0.1", "--connections", "4"])
        .args(["--layouts", "apart", "--peers", "/nowhere", "--out"])
        .arg(&folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // Runs may be void on a busy machine; wrong answers would end it with another code.
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("all answers are equal"), "{said}");
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("report.json")).unwrap()).unwrap();
    let runs = report["runs"].as_array().unwrap();
    let of = |subject: &str| -> BTreeSet<&str> {
        let runs = runs.iter().filter(|run| run["subject"] == subject);
        runs.map(|run| run["load"]["mix"].as_str().unwrap()).collect()
    };
    let all = BTreeSet::from(["echo", "tools-list", "queue-local", "queue-remote"]);
    assert_eq!((of("native"), of("bridge")), (all.clone(), all));
    assert_eq!(of("bridge-dial"), BTreeSet::from(["queue-remote"]));
    for run in runs {
        assert_eq!(run["errors"], serde_json::json!({}), "{run}");
        assert!(folder.join(run["latency"]["file"].as_str().unwrap()).is_file(), "{run}");
    }
    // One round is no comparison, and is not taken for one.
    let comparisons = report["comparisons"].as_array().unwrap();
    assert!(!comparisons.is_empty() && comparisons.iter().all(|one| one["verdict"] == "void"));
    assert!(fs::read_to_string(folder.join("compare.md")).unwrap().contains("native against bridge"));
    fs::remove_dir_all(&folder).unwrap();
}
