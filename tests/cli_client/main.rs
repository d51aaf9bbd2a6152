//! The commands that ask a server, as a person or a script meets them: what they print, where, and how they end.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests say what they expect by unwrapping it, and this file is the whole crate"
)]

#[path = "../common/mod.rs"]
mod common;
mod fake;
mod https;
mod interactive;
#[path = "../common/peer.rs"]
mod peer;
mod peers;
mod real;
#[path = "../client_http/server.rs"]
mod server;
mod usage;

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The command, without what the environment of the tests may configure.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmesh"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RINGMESH_") {
            command.env_remove(&name);
        }
    }
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Runs it to its end, within the tests' patience.
pub(crate) fn ringmesh(arguments: &[&str]) -> Ended {
    with_input(arguments, "")
}

pub(crate) fn with_input(arguments: &[&str], input: &str) -> Ended {
    let mut child = command(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    ended(child)
}

/// Waits for the end; a command that does not end is killed, and the test fails.
pub(crate) fn ended(mut child: Child) -> Ended {
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let read = move || {
        let (mut out, mut err) = (String::new(), String::new());
        if let Some(pipe) = &mut stderr {
            pipe.read_to_string(&mut err).unwrap();
        }
        if let Some(pipe) = &mut stdout {
            pipe.read_to_string(&mut out).unwrap();
        }
        (out, err)
    };
    let reader = std::thread::spawn(read);
    let late = Instant::now() + 2 * PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > late {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the command did not end: {:?}", reader.join());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let (stdout, stderr) = reader.join().unwrap();
    Ended { code: status.code(), stdout, stderr }
}

/// It succeeded, and standard error is empty.
pub(crate) fn succeeded(arguments: &[&str]) -> String {
    let ended = ringmesh(arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}: {}", ended.stdout);
    ended.stdout
}
