//! Each line of `ringmesh check`, from facts that stand for the machine that deserves it.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use ringmesh::runtime::preflight::{
    Facts, Plan, RangeLimit, Report, Seccomp, Status, UringTrial, examine, judge,
};
use ringmesh::runtime::topology::{Machine, Quota};

const EPERM: i32 = 1;
const ENOMEM: i32 = 12;
const EMFILE: i32 = 24;
const ENOSYS: i32 = 38;

fn limit(soft: u64) -> RangeLimit {
    RangeLimit { soft, hard: soft }
}

/// A machine without fault.
fn good() -> Facts {
    Facts {
        kernel_release: "6.8.0-45-generic".to_owned(),
        uring: UringTrial::Works((0..48).collect()),
        uring_disabled: Some(0),
        seccomp: Seccomp::Off,
        memlock: limit(8 << 20),
        may_lock_all: false,
        files: limit(20_000),
        quota: None,
        affinity: vec![0, 1, 2, 3],
        nodes: vec![(0, vec![0, 1, 2, 3])],
    }
}

fn plan() -> Plan {
    Plan { cores: None, max_cores: None, max_connections: 10_000 }
}

fn report(facts: &Facts, plan: &Plan) -> Report {
    let machine = Machine { affinity: facts.affinity.clone(), quota: facts.quota.clone() };
    judge(plan, facts, machine.select(plan.cores.as_deref(), plan.max_cores))
}

/// The line of one check, with its status.
fn line(facts: &Facts, plan: &Plan, name: &str) -> (Status, String) {
    let report = report(facts, plan);
    let check =
        report.checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no check {name}"));
    (check.status, check.to_string())
}

fn assert_line(facts: &Facts, name: &str, status: Status, parts: &[&str]) {
    let (found, text) = line(facts, &plan(), name);
    assert_eq!(found, status, "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
}

fn refused(errno: i32) -> Facts {
    Facts { uring: UringTrial::Refused { call: "io_uring_setup", errno }, ..good() }
}

#[test]
fn a_good_machine_passes_with_one_line_each() {
    let report = report(&good(), &plan());
    let text = report.to_string();
    assert!(text.lines().all(|line| line.starts_with("ok   ")), "{text}");
    assert_eq!(text.lines().count(), 9);
    assert!(text.contains("ok   cores: 0-3 of 0-3, pinned\n"), "{text}");
    assert_eq!(report.require().unwrap().cores, [0, 1, 2, 3]);
}

#[test]
fn the_kernel_must_be_5_8() {
    let kernel = |release: &str| Facts { kernel_release: release.to_owned(), ..good() };
    assert_line(
        &kernel("5.4.0-150"),
        "kernel",
        Status::Fail,
        &["FAIL kernel: 5.4.0-150 is too old - install Linux 5.8"],
    );
    for older in ["5.8", "5.10.0-28-amd64", "6.0.19"] {
        assert_line(&kernel(older), "kernel", Status::Warn, &[older, "Linux 6.1 or newer"]);
    }
    assert_line(&kernel("6.1"), "kernel", Status::Ok, &["ok   kernel: 6.1"]);
    assert_line(&kernel("10.0.1"), "kernel", Status::Ok, &["ok   kernel: 10.0.1"]);
    assert_line(&kernel("strange"), "kernel", Status::Warn, &["no version"]);
}

#[test]
fn a_refused_ring_is_told_apart_by_its_cause() {
    let sysctl = |value| Facts { uring_disabled: Some(value), ..refused(EPERM) };
    assert_line(
        &sysctl(2),
        "io_uring",
        Status::Fail,
        &["for everybody", "sysctl -w kernel.io_uring_disabled=0"],
    );
    assert_line(&sysctl(1), "io_uring", Status::Fail, &["unprivileged", "kernel.io_uring_group"]);
    for errno in [EPERM, ENOSYS] {
        let filtered = Facts { seccomp: Seccomp::Filtered(1), ..refused(errno) };
        assert_line(&filtered, "io_uring", Status::Fail, &["seccomp filter", "seccomp=deploy/seccomp.json"]);
        assert_line(&filtered, "seccomp", Status::Warn, &["a filter is on"]);
    }
    assert_line(&refused(EPERM), "io_uring", Status::Fail, &["without a seccomp filter", "SELinux"]);
    assert_line(
        &refused(ENOSYS),
        "io_uring",
        Status::Fail,
        &["the kernel has no io_uring", "CONFIG_IO_URING"],
    );
    assert_line(&refused(ENOMEM), "io_uring", Status::Fail, &["memlock"]);
    assert_line(&refused(EMFILE), "io_uring", Status::Fail, &["open files"]);
    assert_line(&refused(5), "io_uring", Status::Fail, &["os error 5", "strace"]);
    assert_line(&refused(EPERM), "opcodes", Status::Warn, &["mend io_uring first"]);
    let other_call = Facts { uring: UringTrial::Refused { call: "io_uring_enter", errno: EPERM }, ..good() };
    assert_line(&other_call, "io_uring", Status::Fail, &["io_uring_enter:"]);
}

#[test]
fn a_missing_operation_is_named() {
    let without = |missing: u8| Facts {
        uring: UringTrial::Works((0..48).filter(|op| *op != missing).collect()),
        ..good()
    };
    assert_line(&without(27), "opcodes", Status::Fail, &["missing: RECV"]);
    assert_line(&without(8), "opcodes", Status::Ok, &["all 23"]);
}

#[test]
fn a_filter_that_lets_io_uring_through_is_fine() {
    assert_line(
        &Facts { seccomp: Seccomp::Filtered(2), ..good() },
        "seccomp",
        Status::Ok,
        &["lets io_uring through"],
    );
    assert_line(&Facts { seccomp: Seccomp::Strict, ..good() }, "seccomp", Status::Fail, &["strict mode"]);
}

#[test]
fn locked_memory_is_weighed_by_kernel_and_privilege() {
    let memlock = |kib: u64| Facts { memlock: limit(kib << 10), ..good() };
    assert_line(
        &memlock(64),
        "memlock",
        Status::Fail,
        &["64 KiB for 4 executors", "allow 2 MiB", "LimitMEMLOCK="],
    );
    assert_line(&memlock(1024), "memlock", Status::Warn, &["1 MiB for 4 executors"]);
    let old = Facts { kernel_release: "5.10".to_owned(), ..memlock(1024) };
    assert_line(&old, "memlock", Status::Fail, &[]);
    assert_line(&Facts { may_lock_all: true, ..old }, "memlock", Status::Ok, &["CAP_IPC_LOCK"]);
    // The runtime asks for 512 KiB whatever the privileges.
    assert_line(&Facts { may_lock_all: true, ..memlock(64) }, "memlock", Status::Fail, &[]);
    let unlimited = Facts { memlock: limit(u64::MAX), ..good() };
    assert_line(&unlimited, "memlock", Status::Ok, &["unlimited"]);
}

#[test]
fn open_files_are_weighed_against_the_connections() {
    let files = |soft| Facts { files: limit(soft), ..good() };
    assert_line(
        &files(1024),
        "open files",
        Status::Warn,
        &["896 connections", "max_connections is 10000", "allow 10128"],
    );
    assert_line(&files(100), "open files", Status::Fail, &["the server itself needs 128"]);
    assert_line(&files(u64::MAX), "open files", Status::Ok, &["unlimited"]);
}

#[test]
fn cores_and_quota_are_explained() {
    let quota = |quota_us| Some(Quota { quota_us, period_us: 100_000, group: "/sys/fs/cgroup/a".to_owned() });
    let limited = Facts { quota: quota(150_000), ..good() };
    assert_line(&limited, "cores", Status::Ok, &["2 executors on 0-3, not pinned"]);
    assert_line(&limited, "cpu quota", Status::Ok, &["1.50 CPUs from /sys/fs/cgroup/a"]);
    let greedy = Plan { cores: Some(vec![0, 1, 2]), ..plan() };
    let (status, text) = line(&limited, &greedy, "cpu quota");
    assert_eq!(status, Status::Warn, "{text}");
    assert!(text.contains("for 3 executors - run on at most 2 cores"), "{text}");
    let outside = Plan { cores: Some(vec![1, 9]), ..plan() };
    let (status, text) = line(&good(), &outside, "cores");
    assert_eq!(status, Status::Fail);
    assert!(text.contains("9 cannot be used: this process may only run on 0-3"), "{text}");
    let error = report(&good(), &outside).require().unwrap_err().to_string();
    assert!(error.starts_with("the server cannot run on this machine:\n  FAIL cores: 9 cannot"), "{error}");
}

#[test]
fn several_numa_nodes_are_a_warning() {
    let nodes = vec![(0, vec![0, 1]), (1, vec![2, 3])];
    assert_line(&Facts { nodes: nodes.clone(), ..good() }, "numa", Status::Warn, &["on nodes 0, 1"]);
    let facts = Facts { nodes, ..good() };
    let (status, _) = line(&facts, &Plan { cores: Some(vec![2, 3]), ..plan() }, "numa");
    assert_eq!(status, Status::Ok);
}

#[test]
fn every_check_is_in_the_troubleshooting_guide() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/troubleshooting.md");
    let guide = std::fs::read_to_string(path).unwrap();
    for check in report(&good(), &plan()).checks {
        assert!(guide.contains(&format!("### `{}`", check.name)), "{} is not explained", check.name);
    }
}

#[test]
fn this_machine_is_judged_without_a_panic() {
    let report = examine(&Plan { cores: None, max_cores: Some(1), max_connections: 10 });
    assert_eq!(report.checks.len(), 9, "{report}");
}
