//! A server under test: started from its command, watched, and stopped.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::compare::node::{Node, Says};
use crate::probe;
use crate::procfs::{Sample, Usage};
use crate::run::Job;

/// How long a server may take until its first right answer.
const START_WITHIN: Duration = Duration::from_secs(20);
/// Where the servers of this project keep their data.
const DATA_DIR: &str = "RINGMESH_DATA_DIR";

/// What a command's placeholders stand for.
#[derive(Debug, Clone)]
pub(crate) struct Fill {
    pub(crate) port: u16,
    pub(crate) cpu: usize,
    pub(crate) response_bytes: usize,
}

impl Fill {
    fn apply(&self, command: &str) -> String {
        command
            .replace("{port}", &self.port.to_string())
            .replace("{cpu}", &self.cpu.to_string())
            .replace("{response_bytes}", &self.response_bytes.to_string())
    }
}

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    node: Node,
    /// From just before the process was spawned to its first right answer.
    pub(crate) first_answer: Duration,
    /// The length of that answer, in bytes.
    pub(crate) answer_bytes: usize,
}

/// What a server uses while nobody asks it anything.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Idle {
    pub(crate) rss_bytes: u64,
    pub(crate) cpu_share: f64,
    pub(crate) voluntary_switches_per_second: f64,
    pub(crate) threads: usize,
}

impl Server {
    /// Starts the command, on `pin` with all its threads if given, and waits for the first right answer to `job`.
    pub(crate) fn start(command: &str, fill: &Fill, pin: Option<usize>, job: &Job) -> Result<Self, String> {
        let command = fill.apply(command);
        let mut words = command.split_whitespace();
        let program = words.next().ok_or("an empty command")?;
        let process = |folder: &Path| {
            let mut process = match pin {
                Some(cpu) => {
                    // taskset replaces itself by the server, so the process id is the server's.
                    let mut process = Command::new("taskset");
                    process.args(["-c", &cpu.to_string(), program]);
                    process
                }
                None => Command::new(program),
            };
            process.args(words);
            // Whatever server of ours is started writes there, and not into the home of who runs this.
            if std::env::var_os(DATA_DIR).is_none() {
                process.env(DATA_DIR, folder);
            }
            process
        };
        let spawned = Instant::now();
        let says = Says::Nothing(([127, 0, 0, 1], fill.port).into());
        let mut node = Node::start(&command, process, says, &std::env::temp_dir())?;
        let answered = probe::wait_for_answer(job, spawned + START_WITHIN);
        let answer_bytes =
            answered.map_err(|error| node.check_alive().err().unwrap_or(format!("{command}: {error}")))?;
        Ok(Self { node, first_answer: spawned.elapsed(), answer_bytes })
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.node.pid()
    }

    /// Watches the server for `time` while nobody asks it anything.
    pub(crate) fn watch_idle(&self, time: Duration) -> Result<Idle, String> {
        let sample = || Sample::of(self.pid()).map_err(|error| error.to_string());
        // The first second still holds what starting left over.
        std::thread::sleep(Duration::from_secs(1));
        let before = sample()?;
        std::thread::sleep(time);
        let after = sample()?;
        let usage: Usage = after.since(&before);
        Ok(Idle {
            rss_bytes: after.rss_bytes,
            cpu_share: usage.on_core_seconds / usage.seconds,
            voluntary_switches_per_second: usage.voluntary_switches as f64 / usage.seconds,
            threads: after.thread_count(),
        })
    }
}

/// A port of the loopback address that nobody uses now.
pub(crate) fn free_port() -> Result<u16, String> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in() {
        let fill = Fill { port: 81, cpu: 3, response_bytes: 400 };
        assert_eq!(fill.apply("x --p {port} --c {cpu},{cpu} {response_bytes}"), "x --p 81 --c 3,3 400");
        assert!(free_port().unwrap() > 0);
    }
}
