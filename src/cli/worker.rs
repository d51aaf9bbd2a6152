//! `ringmesh worker`: the flags, what they come to, and the process around the worker.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::client::{HeaderFlag, Output, Reach, Unattended};
use super::{exit, refuse};
use crate::client;
use crate::observe::{self, LogFormat};
use crate::runtime::StopFlag;
use crate::worker::docker::{Docker, EXECUTE, GITHUB};
use crate::worker::machine::{End, Pace};
use crate::worker::reaper::{Reaper, reap_at_end};
use crate::worker::{Groups, Kinds, RunLimits, Settings, work};

pub(super) const HELP: &str = "\
The command:
  standard input   the task's payload, a JSON object
  environment      RINGMESH_TASK_ID, RINGMESH_TASK_TYPE, RINGMESH_MODEL_NAME, RINGMESH_ATTEMPT
  standard output  the result: one JSON object, or else {\"stdout\": text}
  standard error   the task's log
  descriptor 3     its progress: JSON objects, one a line
  exit code        0 completes the task; 75 fails it for now, to be tried again; another fails it for good

Examples:
  ringmesh worker --connect localhost:8000 --types resize --exec './resize.sh'
  ringmesh worker --connect localhost:8000 --types a,b --exec 'jq -c .x' --concurrency 4 --timeout-s 60
  ringmesh worker --connect /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW… --types a --exec ./run --p2p-token-file token
  ringmesh worker --connect localhost:8000 --docker --docker-allow-volume /srv/data

SIGTERM and SIGINT: it claims no more, and ends once what runs has ended, or --drain-s is over; what still runs then goes
back to the queue. A second signal ends it and its commands at once.

Exit codes:
  0    it was told to stop, and the server knows of every task's end
  1    it failed, the server will not have it, or the ends of tasks did not reach the server
  2    the command line is wrong
  3    the machine lacks something that is needed (see `ringmesh check`, docker)
  130  a second signal ended it at once
All of it: docs/worker.md.";

/// The arguments of `worker`.
#[derive(Debug, clap::Args)]
pub struct WorkerFlags {
    /// The server: an http or https URL, host:port, or a peer over libp2p: /ip4/…/tcp/…/p2p/ID.
    #[arg(long, value_name = "TARGET")]
    pub connect: String,
    /// The types of tasks to claim.
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',')]
    pub types: Vec<String>,
    /// What to run for each task, with `sh -c`.
    #[arg(long, value_name = "COMMAND")]
    pub exec: Option<String>,
    /// The worker's name; no two may have the same. Default: the host's name, the process's number and chance.
    #[arg(long, value_name = "NAME")]
    pub worker_id: Option<String>,
    /// How many tasks to run at once, from 1 to 256.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,
    /// Seconds that a claim holds without a sign of life; signs are sent three times as often.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds::<1, 86_400>)]
    pub lease_s: Duration,
    /// Seconds that the server may hold back its answer until there is a task; 0 asks again and again.
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = seconds::<0, 300>)]
    pub wait_s: Duration,
    /// Seconds that a task's command may take; without it, as long as it likes.
    #[arg(long, value_name = "SECONDS", value_parser = seconds::<0, 604_800>)]
    pub timeout_s: Option<Duration>,
    /// Seconds that what runs may go on after the first signal.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds::<0, 86_400>)]
    pub drain_s: Duration,
    /// The session whose tasks it may have as well.
    #[arg(long, value_name = "NAME")]
    pub session: Option<String>,
    /// Bytes of standard output that are kept; what comes after them is cut.
    #[arg(long, value_name = "BYTES", default_value_t = 262_144, value_parser = clap::value_parser!(u32).range(0..=786_432))]
    pub max_output_bytes: u32,
    /// Seconds that each answer of the server may take, connecting included.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds::<1, 600>)]
    pub timeout: Duration,
    /// A header for every request, or `@FILE` with one a line. May be repeated.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<HeaderFlag>,
    /// A PEM file of certificate authorities that are trusted beside the system's.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The private key to prove oneself with to a peer; without it, a new one for this process.
    #[arg(long, value_name = "FILE")]
    pub p2p_key_file: Option<PathBuf>,
    /// A file with the token that a peer's operator shares; without it, RINGMESH_P2P_TOKEN.
    #[arg(long, value_name = "FILE")]
    pub p2p_token_file: Option<PathBuf>,
    /// The revision to speak, instead of finding out what the server speaks.
    #[arg(long, value_name = "REVISION")]
    pub protocol_version: Option<String>,
    /// Run the containers of docker.execute and docker.github tasks.
    #[arg(long)]
    pub docker: bool,
    /// The docker program.
    #[arg(long, value_name = "PATH", default_value = "docker")]
    pub docker_command: PathBuf,
    /// A directory below which tasks may name volumes. May be repeated; without it, none may.
    #[arg(long = "docker-allow-volume", value_name = "DIR")]
    pub docker_allow_volumes: Vec<PathBuf>,
    /// An argument for every `docker run`, for example --docker-arg=--network=none. May be repeated.
    #[arg(long = "docker-arg", value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub docker_args: Vec<String>,
    /// What is logged to standard error: error, warn, info, debug, trace, or a filter.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log_filter: String,
    /// How it is logged.
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub log_format: Format,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

fn seconds<const MIN: u32, const MAX: u32>(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it must be a number of seconds".to_owned())?;
    match (f64::from(MIN)..=f64::from(MAX)).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(format!("it must be from {MIN} to {MAX} seconds")),
    }
}

/// Runs a worker until a signal ends it.
pub fn run_worker(flags: WorkerFlags) -> ExitCode {
    let format = if flags.log_format == Format::Json { LogFormat::Json } else { LogFormat::Text };
    if let Err(error @ observe::LogError::BadFilter(_)) = observe::init_tracing(&flags.log_filter, format) {
        return refuse(exit::USAGE, &error);
    }
    let ready = match Prepared::new(flags) {
        Ok(ready) => ready,
        Err((code, why)) => return refuse(code, &why),
    };
    let reaper = match Reaper::start() {
        Ok(reaper) => reaper,
        Err(error) => {
            let why = format!("cannot start the process that ends commands if the worker is killed: {error}");
            return refuse(exit::FAILURE, &why);
        }
    };
    let (groups, stop) = (Groups::with_reaper(reaper), StopFlag::new());
    if let Err(error) = hear_signals(stop.clone(), groups.clone()) {
        return refuse(exit::FAILURE, &error);
    }
    match client::run(move |_| async move { Ok(work(ready.settings(), groups, stop).await?) }) {
        Ok(End::Drained) => ExitCode::from(exit::OK),
        Ok(End::Unreported(tasks)) => refuse(
            exit::FAILURE,
            &format!("the server does not know how {tasks} tasks ended; their leases will run out"),
        ),
        Ok(End::Refused(why)) => {
            refuse(exit::FAILURE, &format!("the server will not have this worker: {why}"))
        }
        Err(error) => refuse(exit::FAILURE, &error),
    }
}

/// Runs the reaper of a worker until the worker is gone and what it left has ended.
pub fn run_reaper() -> ExitCode {
    match reap_at_end() {
        Ok(()) => ExitCode::from(exit::OK),
        Err(error) => refuse(exit::USAGE, &error),
    }
}

/// What the flags come to, checked. The settings themselves stay on the thread of their executor.
struct Prepared {
    reach: Unattended,
    flags: WorkerFlags,
    worker_id: String,
    kinds: Kinds,
}

impl Prepared {
    fn new(mut flags: WorkerFlags) -> Result<Prepared, (u8, String)> {
        let usage = |why: String| (exit::USAGE, why);
        let kinds = kinds(&mut flags)?;
        let worker_id = match &flags.worker_id {
            Some(name) if (1..=256).contains(&name.len()) && !name.contains(char::is_control) => name.clone(),
            Some(_) => {
                return Err(usage("--worker-id has 1 to 256 bytes and no control characters".to_owned()));
            }
            None => default_name(),
        };
        let reach = Reach {
            target: flags.connect.clone(),
            output: Output::Text,
            timeout: flags.timeout,
            headers: std::mem::take(&mut flags.headers),
            ca_file: flags.ca_file.take(),
            p2p_key_file: flags.p2p_key_file.take(),
            p2p_token_file: flags.p2p_token_file.take(),
            protocol_version: flags.protocol_version.take(),
            roots: Vec::new(),
            log_level: None,
        };
        Ok(Prepared { reach: Unattended::new(&reach)?, flags, worker_id, kinds })
    }

    fn settings(self) -> Settings {
        let (target, client) = self.reach.client();
        let flags = self.flags;
        tracing::info!(worker = self.worker_id, types = ?flags.types, "working for {target}");
        Settings {
            target,
            client,
            worker_id: self.worker_id,
            types: flags.types,
            session: flags.session,
            wait: flags.wait_s,
            pace: Pace {
                concurrency: flags.concurrency.into(),
                lease: flags.lease_s,
                drain: flags.drain_s,
                random: client::random,
            },
            limits: RunLimits {
                timeout: flags.timeout_s,
                max_output_bytes: usize::try_from(flags.max_output_bytes).unwrap_or(usize::MAX),
            },
            kinds: self.kinds,
        }
    }
}

/// What is run, and completes the list of types.
fn kinds(flags: &mut WorkerFlags) -> Result<Kinds, (u8, String)> {
    let usage = |why: &str| Err((exit::USAGE, why.to_owned()));
    flags.types.iter_mut().for_each(|name| *name = name.trim().to_owned());
    flags.types.retain(|name| !name.is_empty());
    let wants_docker = flags.docker || flags.types.iter().any(|name| Docker::takes(name));
    if flags.docker && !flags.types.iter().any(|name| Docker::takes(name)) {
        flags.types.extend([EXECUTE.to_owned(), GITHUB.to_owned()]);
    }
    let has_others = flags.types.iter().any(|name| !Docker::takes(name));
    if flags.types.is_empty() {
        return usage("name the types of tasks with --types, or give --docker");
    }
    if has_others != flags.exec.is_some() {
        return usage("--types names what --exec is run for: give both, or neither and --docker");
    }
    if !wants_docker && !flags.docker_allow_volumes.is_empty() {
        return usage("--docker-allow-volume needs --docker");
    }
    let docker = match wants_docker {
        true => Some(docker(flags)?),
        false => None,
    };
    Ok(Kinds { command: flags.exec.take(), docker })
}

/// Docker, which must answer before anything is claimed for it.
fn docker(flags: &WorkerFlags) -> Result<Docker, (u8, String)> {
    let canonical = |path: &PathBuf| {
        let path = std::fs::canonicalize(path);
        path.map_err(|error| (exit::USAGE, format!("--docker-allow-volume: {error}")))
    };
    let allowed_volumes = flags.docker_allow_volumes.iter().map(canonical).collect::<Result<_, _>>()?;
    check_docker(&flags.docker_command).map_err(|why| (exit::PREFLIGHT, why))?;
    Ok(Docker {
        program: flags.docker_command.clone(),
        arguments: flags.docker_args.clone(),
        allowed_volumes,
    })
}

fn check_docker(program: &Path) -> Result<(), String> {
    let mut info = Command::new(program);
    info.arg("info").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let output = info.output().map_err(|error| format!("cannot run {} info: {error}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{} info fails, so no container can run: {last}", program.display())),
    }
}

/// The host's name, the process's number, and eight digits of chance.
fn default_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let host = if host.is_empty() { "worker" } else { host };
    format!("{host}-{}-{:08x}", std::process::id(), getrandom::u32().unwrap_or_default())
}

/// The first signal stops the worker, the second one ends everything at once.
fn hear_signals(stop: StopFlag, groups: Groups) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let wait = move || {
        for (count, _) in signals.forever().enumerate() {
            if count > 0 {
                groups.kill_all();
                std::process::exit(i32::from(exit::SECOND_SIGNAL));
            }
            stop.stop();
        }
    };
    thread::Builder::new().name("signals".to_owned()).stack_size(128 << 10).spawn(wait).map(drop)
}
