//! The server as a process that is killed.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Mutex;

use super::common;

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    process: Mutex<Child>,
}

impl Server {
    /// Starts the command on this data directory and waits until it serves.
    pub(crate) fn start(data_dir: &Path) -> Server {
        let mut command = common::command();
        command.args(["serve", "--listen", "127.0.0.1:0", "--max-cores", "2", "--p2p-deterministic=false"]);
        // Small segments and snapshots, so that both come and go all the time.
        for limit in
            ["journal_segment_bytes=8388608", "journal_snapshot_bytes=1048576", "max_finished_tasks=1000000"]
        {
            command.args(["--limit", limit]);
        }
        command.arg("--data-dir").arg(data_dir).env("NO_COLOR", "1");
        let mut process =
            command.stdin(Stdio::null()).stderr(Stdio::inherit()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            let rest = line.split("running at http://").nth(1)?;
            rest.split('/').next()?.parse().ok()
        });
        let Some(address) = address else { panic!("the server did not start: {:?}", process.wait()) };
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Server { address, process: Mutex::new(process) }
    }

    /// Kills it, and waits until it is gone.
    pub(crate) fn kill(&self) {
        let mut process = self.process.lock().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut process = self.process.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = process.kill();
        let _ = process.wait();
    }
}
