//! The facts that the checks judge, read from the kernel.

use std::fs;
use std::path::Path;

use super::super::topology::{self, Quota};
use super::uring::{UringTrial, try_io_uring};

/// A resource limit; `u64::MAX` means none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeLimit {
    /// What is in force.
    pub soft: u64,
    /// How far the process may raise it.
    pub hard: u64,
}

/// Whether system calls are filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seccomp {
    /// They are not.
    Off,
    /// Only read, write and exit are left.
    Strict,
    /// This many filters look at each call (0 where the kernel does not count them).
    Filtered(u32),
    /// The kernel does not tell.
    Unknown,
}

/// What is known about the machine and this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The kernel's release, as `uname -r` says it.
    pub kernel_release: String,
    /// How the trial of io_uring went.
    pub uring: UringTrial,
    /// The sysctl `kernel.io_uring_disabled`; kernels before 6.6 have none.
    pub uring_disabled: Option<u32>,
    /// The filter on system calls.
    pub seccomp: Seccomp,
    /// The limit on locked memory, in bytes.
    pub memlock: RangeLimit,
    /// Whether the process may lock memory without limit (CAP_IPC_LOCK).
    pub may_lock_all: bool,
    /// The limit on open files.
    pub files: RangeLimit,
    /// The tightest CPU quota.
    pub quota: Option<Quota>,
    /// The cores of the affinity mask.
    pub affinity: Vec<usize>,
    /// Cores of each NUMA node.
    pub nodes: Vec<(usize, Vec<usize>)>,
}

/// Bit of CAP_IPC_LOCK in a capability mask.
const CAP_IPC_LOCK: u64 = 14;

impl Facts {
    /// Reads the facts of this process.
    pub fn gather() -> Self {
        let root = Path::new("/");
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        let status = text("proc/self/status");
        let capabilities =
            status_value(&status, "CapEff").and_then(|mask| u64::from_str_radix(mask, 16).ok());
        let machine = topology::Machine::detect();
        let (affinity, quota) =
            machine.map_or_else(|_| (Vec::new(), None), |found| (found.affinity, found.quota));
        Self {
            kernel_release: kernel_release(),
            uring: try_io_uring(),
            uring_disabled: text("proc/sys/kernel/io_uring_disabled").trim().parse().ok(),
            seccomp: seccomp(&status),
            memlock: limit(libc::RLIMIT_MEMLOCK),
            may_lock_all: capabilities.is_some_and(|mask| mask & (1 << CAP_IPC_LOCK) != 0),
            files: limit(libc::RLIMIT_NOFILE),
            quota,
            affinity,
            nodes: topology::numa_nodes(root),
        }
    }
}

fn status_value<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn seccomp(status: &str) -> Seccomp {
    let filters = status_value(status, "Seccomp_filters").and_then(|count| count.parse().ok());
    match status_value(status, "Seccomp") {
        Some("0") => Seccomp::Off,
        Some("1") => Seccomp::Strict,
        Some("2") => Seccomp::Filtered(filters.unwrap_or(0)),
        _ => Seccomp::Unknown,
    }
}

fn kernel_release() -> String {
    // SAFETY: `utsname` is plain bytes, for which all zeros is a value.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: `name` is a writable utsname that lives through the call.
    let told = unsafe { libc::uname(&raw mut name) } == 0;
    let release: Vec<u8> =
        name.release.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect();
    if told { String::from_utf8_lossy(&release).into_owned() } else { "unknown".to_owned() }
}

type Resource = libc::__rlimit_resource_t;

fn limit(resource: Resource) -> RangeLimit {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a writable rlimit that lives through the call.
    unsafe { libc::getrlimit(resource, &raw mut limit) };
    // RLIM_INFINITY is the largest number, so that it compares as it should.
    RangeLimit { soft: limit.rlim_cur, hard: limit.rlim_max }
}

/// Raises a soft limit to `wanted`, or as far as the hard limit allows. A refusal shows in the check that follows.
pub(super) fn raise_limit(resource: Resource, wanted: u64) {
    let RangeLimit { soft, hard } = limit(resource);
    let target = wanted.min(hard);
    if soft < target {
        let raised = libc::rlimit { rlim_cur: target, rlim_max: hard };
        // SAFETY: `raised` is a readable rlimit that lives through the call.
        unsafe { libc::setrlimit(resource, &raw const raised) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_read_from_the_status() {
        assert_eq!(seccomp("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t3\n"), Seccomp::Filtered(3));
        assert_eq!(seccomp("Seccomp:\t2\n"), Seccomp::Filtered(0));
        assert_eq!(seccomp("Seccomp:\t0\nSeccomp_filters:\t0\n"), Seccomp::Off);
        assert_eq!(seccomp("Seccomp:\t1\n"), Seccomp::Strict);
        assert_eq!(seccomp(""), Seccomp::Unknown);
    }

    #[test]
    fn this_machine_has_facts() {
        let facts = Facts::gather();
        assert!(facts.kernel_release.contains('.'), "{facts:?}");
        assert!(!facts.affinity.is_empty() && facts.files.soft > 0, "{facts:?}");
    }

    #[test]
    fn a_soft_limit_is_raised_but_never_lowered() {
        let before = limit(libc::RLIMIT_NOFILE);
        raise_limit(libc::RLIMIT_NOFILE, 1);
        assert_eq!(limit(libc::RLIMIT_NOFILE), before);
        raise_limit(libc::RLIMIT_NOFILE, before.soft);
        assert_eq!(limit(libc::RLIMIT_NOFILE), before);
    }
}
