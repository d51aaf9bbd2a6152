//! The checks: each a pure function from facts to one line.

use super::{Check, Facts, Plan, Seccomp, UringTrial};
use crate::runtime::topology::{CoreSet, TopologyError, format_core_list};

/// The first kernel with the ring that sockets are heard through (`IORING_SETUP_DEFER_TASKRUN`).
const KERNEL_WITH_DEFERRED_RINGS: (u32, u32) = (6, 1);
/// The oldest kernel whose io_uring has every operation the runtime uses.
const OLDEST_KERNEL: (u32, u32) = (5, 8);
/// From here on rings are charged to the memory cgroup instead of the limit on locked memory.
const KERNEL_WITHOUT_MEMLOCK_FOR_RINGS: (u32, u32) = (5, 12);
/// What one executor may lock: its rings and its registered buffers.
const MEMLOCK_PER_EXECUTOR: u64 = 512 << 10;
/// Descriptors of one executor: three rings, notifiers, listeners, files.
const FILES_PER_EXECUTOR: u64 = 16;
/// Descriptors of the process besides: standard streams, logs, signal pipe, some for scrapes.
const FILES_OF_PROCESS: u64 = 64;

type Cores = Result<CoreSet, TopologyError>;

/// Descriptors that the plan can come to need.
pub(super) fn files_needed(plan: &Plan, executors: usize) -> u64 {
    plan.max_connections.saturating_add(files_at_rest(executors))
}

fn files_at_rest(executors: usize) -> u64 {
    FILES_OF_PROCESS + FILES_PER_EXECUTOR * executors as u64
}

/// Bytes that the executors may have to lock.
pub(super) fn memlock_needed(executors: usize) -> u64 {
    MEMLOCK_PER_EXECUTOR * executors as u64
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

pub(super) fn kernel(facts: &Facts) -> Check {
    let release = &facts.kernel_release;
    match version(release) {
        None => Check::warn("kernel", format!("{release:?} is no version"), "Linux 5.8 or newer is needed"),
        Some(found) if found < OLDEST_KERNEL => Check::fail(
            "kernel",
            format!("{release} is too old"),
            "install Linux 5.8 or newer, at best 6.1 or newer",
        ),
        Some(found) if found < KERNEL_WITH_DEFERRED_RINGS => Check::warn(
            "kernel",
            format!(
                "{release} has no ring whose work can be put off, so a small request takes up to twice the CPU"
            ),
            "Linux 6.1 or newer (from 5.12 on, rings do not count against memlock)",
        ),
        Some(_) => Check::ok("kernel", release),
    }
}

pub(super) fn seccomp(facts: &Facts) -> Check {
    let works = matches!(facts.uring, UringTrial::Works(_));
    match facts.seccomp {
        Seccomp::Off => Check::ok("seccomp", "no filter"),
        Seccomp::Unknown => Check::ok("seccomp", "the kernel does not tell"),
        Seccomp::Strict => Check::fail(
            "seccomp",
            "strict mode: only read, write and exit are allowed",
            "start the server outside of the sandbox",
        ),
        Seccomp::Filtered(_) if works => Check::ok("seccomp", "a filter is on and lets io_uring through"),
        Seccomp::Filtered(_) => {
            Check::warn("seccomp", "a filter is on", "it may be what refuses io_uring; see the next line")
        }
    }
}

const SECCOMP_MEND: &str = "allow io_uring_setup, io_uring_enter and io_uring_register: \
    `--security-opt seccomp=deploy/seccomp.json` for Docker or Podman, SystemCallFilter=@system-service for systemd";

pub(super) fn io_uring(facts: &Facts) -> Check {
    let (call, errno) = match facts.uring {
        UringTrial::Works(_) => return Check::ok("io_uring", "a ring was made, asked and entered"),
        UringTrial::Refused { call, errno } => (call, errno),
    };
    let fail = |found: &str, mend: &str| Check::fail("io_uring", format!("{call}: {found}"), mend);
    let filtered = matches!(facts.seccomp, Seccomp::Filtered(_));
    match (errno, facts.uring_disabled) {
        (libc::EPERM, Some(2)) => fail(
            "switched off for everybody (kernel.io_uring_disabled is 2)",
            "run `sysctl -w kernel.io_uring_disabled=0` on the host and keep it in /etc/sysctl.d",
        ),
        (libc::EPERM, Some(1)) => fail(
            "switched off for unprivileged processes (kernel.io_uring_disabled is 1)",
            "add the server's group to kernel.io_uring_group, or set kernel.io_uring_disabled to 0",
        ),
        (libc::EPERM | libc::EACCES | libc::ENOSYS, _) if filtered => {
            fail("refused by a seccomp filter (a container's default profile does so)", SECCOMP_MEND)
        }
        (libc::EPERM | libc::EACCES, _) => fail(
            "refused without a seccomp filter",
            "allow io_uring in the security module's policy (SELinux, AppArmor)",
        ),
        (libc::ENOSYS, _) => fail(
            "the kernel has no io_uring",
            "use a kernel of 5.8 or newer built with CONFIG_IO_URING; gVisor and WSL 1 have none",
        ),
        (libc::ENOMEM, _) => {
            fail("no locked memory is left for a ring", "raise the memlock limit; see below")
        }
        (libc::EMFILE | libc::ENFILE, _) => {
            fail("no file descriptor is left", "raise the limit on open files; see below")
        }
        (errno, _) => fail(
            &format!("error {}", std::io::Error::from_raw_os_error(errno)),
            "run `ringmesh check` under strace and report what it shows",
        ),
    }
}

/// The operations that the runtime's executor insists on, by their number in the kernel's ABI.
const NEEDED_OPS: &[(u8, &str)] = &[
    (0, "NOP"),
    (1, "READV"),
    (2, "WRITEV"),
    (3, "FSYNC"),
    (4, "READ_FIXED"),
    (5, "WRITE_FIXED"),
    (6, "POLL_ADD"),
    (7, "POLL_REMOVE"),
    (9, "SENDMSG"),
    (10, "RECVMSG"),
    (11, "TIMEOUT"),
    (12, "TIMEOUT_REMOVE"),
    (13, "ACCEPT"),
    (15, "LINK_TIMEOUT"),
    (16, "CONNECT"),
    (17, "FALLOCATE"),
    (18, "OPENAT"),
    (19, "CLOSE"),
    (21, "STATX"),
    (22, "READ"),
    (23, "WRITE"),
    (26, "SEND"),
    (27, "RECV"),
];

pub(super) fn opcodes(facts: &Facts) -> Check {
    let UringTrial::Works(supported) = &facts.uring else {
        return Check::warn("opcodes", "not known", "mend io_uring first; see above");
    };
    let missing: Vec<_> =
        NEEDED_OPS.iter().filter(|(op, _)| !supported.contains(op)).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return Check::ok("opcodes", format!("all {} that are needed", NEEDED_OPS.len()));
    }
    Check::fail("opcodes", format!("missing: {}", missing.join(", ")), "use a kernel of 5.8 or newer")
}

pub(super) fn memlock(facts: &Facts, executors: usize) -> Check {
    let needed = memlock_needed(executors);
    let soft = facts.memlock.soft;
    let found = format!("{} for {}", bytes(soft), plural(executors, "executor"));
    let mend = format!(
        "allow {}: LimitMEMLOCK= in the unit, --ulimit memlock= in a container, `ulimit -l` in a shell",
        bytes(needed)
    );
    let rings_count =
        version(&facts.kernel_release).is_some_and(|found| found < KERNEL_WITHOUT_MEMLOCK_FOR_RINGS);
    match soft {
        // The runtime asks this of each executor, whatever its privileges.
        0..MEMLOCK_PER_EXECUTOR => Check::fail("memlock", found, mend),
        _ if soft >= needed => Check::ok("memlock", found),
        _ if facts.may_lock_all => Check::ok("memlock", format!("{found}; CAP_IPC_LOCK lifts it")),
        _ if rings_count => Check::fail("memlock", found, mend),
        _ => Check::warn("memlock", format!("{found}, shared with the user's other processes"), mend),
    }
}

pub(super) fn files(facts: &Facts, plan: &Plan, executors: usize) -> Check {
    let (soft, at_rest) = (facts.files.soft, files_at_rest(executors));
    let needed = files_needed(plan, executors);
    let mend = format!(
        "allow {needed} open files (LimitNOFILE=, --ulimit nofile=, `ulimit -Hn`) or lower max_connections"
    );
    if soft < at_rest {
        return Check::fail(
            "open files",
            format!("{soft}, of which the server itself needs {at_rest}"),
            mend,
        );
    }
    if soft >= needed {
        return Check::ok(
            "open files",
            format!("{} for max_connections = {}", count(soft), plan.max_connections),
        );
    }
    let found = format!(
        "{soft}: enough for {} connections, but max_connections is {}",
        soft - at_rest,
        plan.max_connections
    );
    Check::warn("open files", found, mend)
}

pub(super) fn cores(facts: &Facts, cores: &Cores) -> Check {
    match cores {
        Ok(set) => {
            let how =
                if set.pinned { "pinned" } else { "not pinned, because the quota is smaller than the mask" };
            let (chosen, allowed) = (format_core_list(&set.cores), format_core_list(&facts.affinity));
            let found = match set.pinned {
                true => format!("{chosen} of {allowed}, {how}"),
                false => format!("{} on {allowed}, {how}", plural(set.cores.len(), "executor")),
            };
            Check::ok("cores", found)
        }
        Err(error @ TopologyError::Unknown(_)) => {
            Check::fail("cores", error.to_string(), "allow sched_getaffinity in the seccomp filter")
        }
        Err(error) => Check::fail(
            "cores",
            error.to_string(),
            "name allowed cores in `cores`, or widen the mask (CPUAffinity=, --cpuset-cpus=, taskset)",
        ),
    }
}

pub(super) fn quota(facts: &Facts, cores: &Cores) -> Check {
    let Some(quota) = &facts.quota else { return Check::ok("cpu quota", "none") };
    let executors = cores.as_ref().map_or(1, |set| set.cores.len());
    let found = format!("{:.2} CPUs from {}", quota.cpus(), quota.group);
    // A fraction of a core that is rounded up is throttled at times too, but fewer executors would waste it.
    if executors > quota.cores() {
        let most = plural(quota.cores(), "core");
        let mend = format!("run on at most {most}, or raise the quota; throttling stalls every core");
        return Check::warn("cpu quota", format!("{found} for {}", plural(executors, "executor")), mend);
    }
    Check::ok("cpu quota", found)
}

pub(super) fn numa(facts: &Facts, cores: &Cores) -> Check {
    let Ok(set) = cores else { return Check::ok("numa", "no cores were chosen") };
    let touches = |node: &&(usize, Vec<usize>)| node.1.iter().any(|core| set.cores.contains(core));
    let used: Vec<String> = facts.nodes.iter().filter(touches).map(|(node, _)| node.to_string()).collect();
    match used.as_slice() {
        [] => Check::ok("numa", "the kernel tells of no nodes"),
        [node] => Check::ok("numa", format!("all cores on node {node}")),
        nodes => Check::warn(
            "numa",
            format!("the cores lie on nodes {}", nodes.join(", ")),
            "expect slower memory now and then; one server per node with `cores` set avoids it",
        ),
    }
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn count(limit: u64) -> String {
    if limit == u64::MAX { "unlimited".to_owned() } else { limit.to_string() }
}

fn bytes(limit: u64) -> String {
    match limit {
        u64::MAX => "unlimited".to_owned(),
        limit if limit % (1 << 20) == 0 => format!("{} MiB", limit >> 20),
        limit => format!("{} KiB", limit >> 10),
    }
}
