//! The stop flag across executors, and signals in a process of their own.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ringmesh::runtime::signal::{self, SECOND_SIGNAL_EXIT};
use ringmesh::runtime::{ExecutorSettings, StopFlag, spawn_executor, warm_up};

#[test]
fn the_flag_wakes_every_executor_at_once_and_stays_set() {
    let stop = StopFlag::new();
    let (ready, is_ready) = mpsc::channel();
    let executors: Vec<_> = (0..2)
        .map(|core| {
            let (stop, ready) = (stop.clone(), ready.clone());
            let main = move || async move {
                warm_up().await;
                ready.send(()).unwrap();
                stop.stopped().await;
                stop.stopped().await;
                Instant::now()
            };
            spawn_executor(None, &format!("core {core}"), &ExecutorSettings::default(), main).unwrap()
        })
        .collect();
    for _ in &executors {
        is_ready.recv().unwrap();
    }
    thread::sleep(Duration::from_millis(20));
    assert!(!stop.is_stopped());
    let start = Instant::now();
    stop.stop();
    for executor in executors {
        let woken_after = executor.join().unwrap() - start;
        assert!(woken_after < Duration::from_millis(50), "{woken_after:?}");
    }
    assert!(stop.is_stopped());
}

/// Not a test of its own: the process that the next tests send signals to.
#[test]
fn child_process_waiting_for_signals() {
    let Ok(after_stop) = std::env::var("RINGMESH_TEST_SIGNAL_CHILD") else { return };
    let stop = StopFlag::new();
    let guard = signal::install(stop.clone()).unwrap();
    let main = move || async move {
        warm_up().await;
        eprintln!("ready");
        stop.stopped().await;
        eprintln!("stopping");
    };
    spawn_executor(None, "core", &ExecutorSettings::default(), main).unwrap().join().unwrap();
    if after_stop == "hang" {
        thread::sleep(Duration::from_secs(20));
    }
    drop(guard);
    std::process::exit(0);
}

struct Waiting {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Waiting {
    fn start(after_stop: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_process_waiting_for_signals", "--nocapture"])
            .env("RINGMESH_TEST_SIGNAL_CHILD", after_stop)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut waiting = Self { child, lines };
        waiting.expect("ready");
        waiting
    }

    fn expect(&mut self, line: &str) {
        assert!(self.lines.by_ref().map(Result::unwrap).any(|said| said == line), "it never said {line}");
    }

    fn signal(&self, signal: i32) {
        // SAFETY: sends a signal to a child that was not waited for, so its number is still its own.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }
}

#[test]
fn the_first_signal_stops_in_good_order() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let mut waiting = Waiting::start("return");
        waiting.signal(signal);
        waiting.expect("stopping");
        assert_eq!(waiting.child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let mut waiting = Waiting::start("hang");
    waiting.signal(libc::SIGTERM);
    waiting.expect("stopping");
    let start = Instant::now();
    waiting.signal(libc::SIGINT);
    assert_eq!(waiting.child.wait().unwrap().code(), Some(SECOND_SIGNAL_EXIT));
    assert!(start.elapsed() < Duration::from_secs(5));
}
