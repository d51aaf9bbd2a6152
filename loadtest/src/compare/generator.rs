//! The generator as the runner of a comparison: one run against servers that serve, with an eye on those that only stand by.

use std::time::Duration;

use clap::Parser;

use super::bench::{Measured, Runner, Turn};
use super::cluster::Cluster;
use super::cpus::{Cpus, SHARED_NICE};
use super::figures::Figures;
use super::plan::{Layout, Mix, Plan};
use super::subject::Subject;
use crate::options::Cli;
use crate::procfs::Sample;
use crate::run::{self, Job};
use crate::run_result::RunResult;

/// How long the last answers of a run may take.
const GRACE_S: &str = "5";

/// The generator, and the servers of one layout.
pub(crate) struct Generator<'a> {
    pub(crate) cluster: Cluster,
    pub(crate) subjects: &'a [Subject],
    pub(crate) cpus: &'a Cpus,
    pub(crate) plan: &'a Plan,
    pub(crate) seed: u64,
}

impl Runner for Generator<'_> {
    fn run(&mut self, turn: &Turn) -> Result<Measured, String> {
        let words = self.words(turn)?;
        let cli = Cli::try_parse_from(&words).map_err(|error| error.to_string())?;
        let job = Job::from_args(&cli.load)?;
        let before = self.samples();
        let run = in_layout(turn.cell.layout, job);
        self.cluster.check_alive()?;
        let run = run?;
        let after = self.samples();
        let mut measured = Measured { figures: Figures::from(&run), ..Measured::default() };
        for (at, (before, after)) in before.servers.iter().zip(&after.servers).enumerate() {
            let (Some(before), Some(after)) = (before, after) else { continue };
            if at != turn.subject {
                let usage = after.since(before);
                let share = usage.on_core_seconds / usage.seconds;
                measured.bystander_share = measured.bystander_share.max(share);
            }
        }
        if let (Mix::QueueRemote, Some(before), Some(after)) = (turn.cell.mix, before.remote, after.remote) {
            // The samples hold the warm-up as well, in which as much was asked a second as in the measured time.
            let all = (self.plan.warmup + self.plan.duration).as_secs_f64();
            let requests = run.requests_per_second * all;
            let cpu_us = after.since(&before).on_core_seconds * 1e6;
            measured.remote_cpu_us = (requests > 0.0).then(|| cpu_us / requests);
        }
        measured.result = Some(run);
        Ok(measured)
    }
}

/// Every process at one moment.
struct Samples {
    servers: Vec<Option<Sample>>,
    remote: Option<Sample>,
}

impl Generator<'_> {
    fn samples(&self) -> Samples {
        let sample = |pid: u32| Sample::of(pid).ok();
        Samples {
            servers: self.cluster.servers.iter().map(|node| sample(node.pid())).collect(),
            remote: sample(self.cluster.remote.pid()),
        }
    }

    /// The command line of a run, as a user would type it.
    fn words(&self, turn: &Turn) -> Result<Vec<String>, String> {
        let (subject, node) = (&self.subjects[turn.subject], &self.cluster.servers[turn.subject]);
        let mut words = vec!["ringmesh-loadtest".to_owned()];
        let mut flag = |name: &str, value: String| words.extend([format!("--{name}"), value]);
        let seconds = |time: Duration| time.as_secs_f64().to_string();
        flag("url", format!("http://{}/mcp", node.http));
        flag("mix", turn.cell.mix.name().to_owned());
        flag("era", subject.era().version().to_owned());
        flag("connections", turn.cell.connections.to_string());
        flag("duration-s", seconds(self.plan.duration));
        flag("warmup-s", seconds(self.plan.warmup));
        flag("grace-s", GRACE_S.to_owned());
        flag("server-pid", node.pid().to_string());
        // Both servers of a round get the same arrivals.
        flag("seed", self.seed.wrapping_add(u64::from(turn.round)).to_string());
        if turn.cell.mix == Mix::QueueRemote {
            let remote = self.cluster.remote.p2p.clone().ok_or("the remote node has no address for peers")?;
            flag("remote", remote);
        }
        if let Some(offered) = turn.offered {
            flag("rate", offered.to_string());
        }
        if turn.cell.layout == Layout::Apart {
            flag("cpu", self.cpus.generator.to_string());
        }
        Ok(words)
    }
}

/// Runs a job; where cores are shared, with a low priority.
fn in_layout(layout: Layout, job: Job) -> Result<RunResult, String> {
    if layout == Layout::Apart {
        return run::run(&job);
    }
    // A thread cannot have its priority back, so this one is thrown away; the generator's threads inherit it.
    let niced = std::thread::spawn(move || {
        // SAFETY: setpriority takes integers; 0 is the calling thread on Linux.
        if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, SHARED_NICE) } != 0 {
            return Err(format!("no lower priority: {}", std::io::Error::last_os_error()));
        }
        run::run(&job)
    });
    niced.join().unwrap_or_else(|_| Err("the generator panicked".to_owned()))
}
