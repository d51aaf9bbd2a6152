//! The generator as the runner of a comparison: one run against servers that serve, with an eye on those that only stand by.

use std::time::Duration;

use clap::Parser;

use super::bench::{Measured, Runner, Turn};
use super::cluster::Cluster;
use super::cpus::{Cpus, SHARED_NICE};
use super::figures::Figures;
use super::plan::{Layout, Mix, Plan};
use super::subject::Subject;
use crate::options::{Cli, Era};
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
        let job = self.job(turn)?;
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

    fn job(&self, turn: &Turn) -> Result<Job, String> {
        let node = &self.cluster.servers[turn.subject];
        let mut words = words(turn, self.subjects[turn.subject].era(), self.plan);
        let mut flag = |name: &str, value: String| words.extend([format!("--{name}"), value]);
        flag("url", format!("http://{}/mcp", node.http));
        flag("server-pid", node.pid().to_string());
        // Both servers of a round get the same arrivals.
        flag("seed", self.seed.wrapping_add(u64::from(turn.round)).to_string());
        if turn.cell.mix == Mix::QueueRemote {
            let remote = self.cluster.remote.p2p.clone().ok_or("the remote node has no address for peers")?;
            flag("remote", remote);
        }
        if turn.cell.layout == Layout::Apart {
            flag("cpu", self.cpus.generator.to_string());
        }
        let cli = Cli::try_parse_from(&words).map_err(|error| error.to_string())?;
        Job::from_args(&cli.load)
    }
}

/// The load of a run as a command line, as a user would type it.
fn words(turn: &Turn, era: Era, plan: &Plan) -> Vec<String> {
    let seconds = |time: Duration| time.as_secs_f64().to_string();
    let mut words = vec!["ringmesh-loadtest".to_owned()];
    let mut flag = |name: &str, value: String| words.extend([format!("--{name}"), value]);
    flag("mix", turn.cell.mix.name().to_owned());
    flag("era", era.version().to_owned());
    flag("connections", turn.cell.connections.to_string());
    flag("duration-s", seconds(plan.duration));
    flag("warmup-s", seconds(plan.warmup));
    flag("grace-s", GRACE_S.to_owned());
    if let Some(offered) = turn.offered {
        flag("rate", offered.to_string());
    }
    words
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use super::*;
    use crate::compare::bench::tests::quick;
    use crate::pace::Pace as Loop;

    #[test]
    fn every_load_of_a_plan_is_one_that_the_generator_takes() {
        let plan = quick();
        for cell in &plan.cells {
            for offered in [None, Some(1234.0)] {
                let turn = Turn { subject: 0, cell: *cell, offered, round: 0 };
                let mut words = words(&turn, Era::V2026_07_28, &plan);
                words.extend(["--remote", "/ip4/127.0.0.1/tcp/1/p2p/x"].map(str::to_owned));
                let job = Job::from_args(&Cli::try_parse_from(&words).unwrap().load).unwrap();
                assert_eq!((job.connections, job.shape.duration_s), (cell.connections, plan.duration));
                assert_eq!(job.mix.name, cell.mix.name());
                match offered {
                    None => assert_eq!(job.pace, Loop::Closed),
                    Some(rate) => assert!(matches!(job.pace, Loop::Open { rate: at, .. } if at == rate)),
                }
            }
        }
    }

    #[test]
    fn a_shared_run_does_not_lower_the_priority_of_who_asks_for_it() {
        // SAFETY: getpriority takes integers; 0 is the calling thread on Linux.
        let nice = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        let before = nice();
        let words = [
            "x",
            "--target",
            "127.0.0.1:9",
            "--connections",
            "1",
            "--duration-s",
            "0.05",
            "--warmup-s",
            "0.01",
        ];
        let job = Job::from_args(&Cli::try_parse_from(words).unwrap().load).unwrap();
        let run = in_layout(Layout::Shared, job).unwrap();
        assert!(run.void, "nobody is there");
        assert_eq!(nice(), before);
    }
}
