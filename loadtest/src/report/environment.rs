//! Where the figures of a report were taken: they mean nothing without it.

use std::fs;

use serde::Serialize;

use crate::machine::Machine;

/// The machine, what ran on it, and how.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Environment {
    pub(crate) cpu_model: String,
    pub(crate) cpus: usize,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) kernel: String,
    /// The governor of the first core's frequency, where the kernel says.
    pub(crate) frequency_governor: Option<String>,
    /// The version of this program, how it was built, and the commit of the folder it ran in.
    pub(crate) version: String,
    pub(crate) build: String,
    pub(crate) commit: String,
    /// Cores of the servers and of the generator, where known.
    pub(crate) server_cpus: Option<String>,
    pub(crate) generator_cpus: Option<String>,
    /// Whether server and generator have cores in common; unknown where the server was there before.
    pub(crate) shared_cores: Option<bool>,
    /// When servers acknowledge a change of the queue, where known.
    pub(crate) journal_mode: Option<String>,
    /// The command of this process; the report has it in a place of its own.
    #[serde(skip)]
    pub(crate) command: String,
}

impl Environment {
    /// This machine, now, with nothing known of the servers.
    pub(crate) fn new(machine: Machine) -> Self {
        let read = |path: &str| fs::read_to_string(path).ok();
        let kib = |meminfo: String| {
            let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")).map(str::to_owned)?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        Self {
            cpu_model: machine.cpu_model,
            cpus: machine.cpus,
            memory_bytes: read("/proc/meminfo").and_then(kib).map(|kib| kib * 1024),
            kernel: machine.kernel,
            frequency_governor: governor.map(|governor| governor.trim().to_owned()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build: build.to_owned(),
            commit: machine.commit,
            server_cpus: None,
            generator_cpus: None,
            shared_cores: None,
            journal_mode: None,
            command: machine.command,
        }
    }

    /// The rows of a table, for people.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        let unknown = || "unknown".to_owned();
        let memory = self.memory_bytes.map(|bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)));
        let shared = self.shared_cores.map(|shared| if shared { "yes" } else { "no" }.to_owned());
        vec![
            ("Processor", format!("{}, {} cores", self.cpu_model, self.cpus)),
            ("Memory", memory.unwrap_or_else(unknown)),
            ("Kernel", self.kernel.clone()),
            ("Frequency governor", self.frequency_governor.clone().unwrap_or_else(unknown)),
            ("ringmesh-loadtest", format!("{}, {} build", self.version, self.build)),
            ("Commit", self.commit.clone()),
            ("Server's cores", self.server_cpus.clone().unwrap_or_else(unknown)),
            ("Generator's cores", self.generator_cpus.clone().unwrap_or_else(|| "not pinned".to_owned())),
            ("Cores in common", shared.unwrap_or_else(unknown)),
            ("Journal", self.journal_mode.clone().unwrap_or_else(unknown)),
        ]
    }
}
