//! What the kernel tells about a process: CPU time, context switches, memory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use serde::Serialize;

/// A process at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    at: Instant,
    user: Duration,
    system: Duration,
    /// Time on a core to the nanosecond, of the threads that are alive.
    on_core: Duration,
    threads: BTreeMap<u32, Thread>,
    /// Resident memory in bytes.
    pub(crate) rss_bytes: u64,
}

#[derive(Debug, Clone, Default)]
struct Thread {
    name: String,
    voluntary: u64,
    involuntary: u64,
    on_core: Duration,
    /// Time ready to run and not on a core.
    queued: Duration,
}

/// What happened between two samples.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Usage {
    /// Seconds between the samples.
    pub(crate) seconds: f64,
    /// CPU seconds in user mode, to the clock tick.
    pub(crate) user_seconds: f64,
    /// CPU seconds in the kernel, to the clock tick.
    pub(crate) system_seconds: f64,
    /// CPU seconds of the threads alive at the end, to the nanosecond.
    pub(crate) on_core_seconds: f64,
    /// Voluntary context switches of all threads.
    pub(crate) voluntary_switches: u64,
    /// Those that the scheduler forced.
    pub(crate) involuntary_switches: u64,
    /// The threads that used a core or switched.
    pub(crate) threads: Vec<ThreadUsage>,
}

/// One thread's part of a [`Usage`].
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ThreadUsage {
    #[serde(skip)]
    pub(crate) tid: u32,
    pub(crate) name: String,
    pub(crate) cpu_share: f64,
    /// Time ready to run and not on a core, as a share of the time between the samples.
    pub(crate) queued_share: f64,
    pub(crate) voluntary_switches: u64,
}

impl Sample {
    /// Reads the process now.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let at = Instant::now();
        let (user, system) = cpu_times(pid)?;
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let Ok(tid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
            // A thread may end between the listing and the reading.
            if let Ok(thread) = Thread::read(pid, tid) {
                threads.insert(tid, thread);
            }
        }
        let on_core = threads.values().map(|thread| thread.on_core).sum();
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let rss_bytes = field(&status, "VmRSS:").unwrap_or_default() * 1024;
        Ok(Self { at, user, system, on_core, threads, rss_bytes })
    }

    /// How many threads the process has.
    pub(crate) fn thread_count(&self) -> usize {
        self.threads.len()
    }

    /// What happened since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Usage {
        let seconds = (self.at - earlier.at).as_secs_f64().max(1e-9);
        let mut threads = Vec::new();
        let (mut voluntary_switches, mut involuntary_switches) = (0, 0);
        for (tid, now) in &self.threads {
            let none = Thread::default();
            let before = earlier.threads.get(tid).unwrap_or(&none);
            let switches = now.voluntary.saturating_sub(before.voluntary);
            voluntary_switches += switches;
            involuntary_switches += now.involuntary.saturating_sub(before.involuntary);
            let share = |now: Duration, before| now.saturating_sub(before).as_secs_f64() / seconds;
            let (cpu_share, queued_share) =
                (share(now.on_core, before.on_core), share(now.queued, before.queued));
            if switches > 0 || cpu_share > 0.0 {
                let (name, voluntary_switches) = (now.name.clone(), switches);
                threads.push(ThreadUsage { tid: *tid, name, cpu_share, queued_share, voluntary_switches });
            }
        }
        Usage {
            seconds,
            user_seconds: self.user.saturating_sub(earlier.user).as_secs_f64(),
            system_seconds: self.system.saturating_sub(earlier.system).as_secs_f64(),
            on_core_seconds: self.on_core.saturating_sub(earlier.on_core).as_secs_f64(),
            voluntary_switches,
            involuntary_switches,
            threads,
        }
    }
}

impl Usage {
    /// User and kernel time together, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.user_seconds + self.system_seconds
    }

    /// CPU time of the process as a share of one core.
    pub(crate) fn cpu_share(&self) -> f64 {
        self.cpu_seconds() / self.seconds
    }
}

impl Thread {
    fn read(pid: u32, tid: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status"))?;
        let name = status.lines().next().and_then(|line| line.strip_prefix("Name:")).unwrap_or_default();
        // Kernels without scheduler statistics have no such file; the clock ticks still tell the CPU time.
        let schedstat = fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).unwrap_or_default();
        let mut times = schedstat.split_whitespace().map(|ns| ns.parse().unwrap_or_default());
        let mut next = || Duration::from_nanos(times.next().unwrap_or_default());
        Ok(Self {
            name: name.trim().to_owned(),
            voluntary: field(&status, "voluntary_ctxt_switches:").unwrap_or_default(),
            involuntary: field(&status, "nonvoluntary_ctxt_switches:").unwrap_or_default(),
            on_core: next(),
            queued: next(),
        })
    }
}

/// The kernel's number of the calling thread.
pub(crate) fn own_tid() -> u32 {
    // SAFETY: gettid has no preconditions.
    let tid = unsafe { libc::gettid() };
    tid.try_into().unwrap_or_default()
}

/// User and system time of a process with all its threads, ended ones too.
fn cpu_times(pid: u32) -> io::Result<(Duration, Duration)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_stat(&stat, ticks_per_second())
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat reads oddly: {stat:?}")))
}

fn parse_stat(stat: &str, ticks_per_second: f64) -> Option<(Duration, Duration)> {
    // The name in parentheses may hold blanks and parentheses; the state is the first field after it.
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let seconds = |ticks: u64| Duration::from_secs_f64(ticks as f64 / ticks_per_second);
    Some((seconds(ticks(11)?), seconds(ticks(12)?)))
}

fn ticks_per_second() -> f64 {
    // SAFETY: sysconf has no preconditions.
    match unsafe { libc::sysconf(libc::_SC_CLK_TCK) } {
        ticks if ticks > 0 => ticks as f64,
        _ => 100.0,
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_process() {
        let before = Sample::of(std::process::id()).unwrap();
        let busy = Instant::now();
        while busy.elapsed() < Duration::from_millis(30) {
            std::hint::black_box(0);
        }
        std::thread::sleep(Duration::from_millis(5));
        let usage = Sample::of(std::process::id()).unwrap().since(&before);
        assert!(usage.seconds >= 0.035, "{usage:?}");
        assert!(before.rss_bytes > 100_000);
        assert!(usage.cpu_seconds() > 0.0 || usage.on_core_seconds > 0.0, "{usage:?}");
    }

    #[test]
    fn odd_process_names_do_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 250 150 0 0";
        let (user, system) = parse_stat(stat, 100.0).unwrap();
        assert_eq!((user.as_millis(), system.as_millis()), (2500, 1500));
        assert_eq!(parse_stat("nonsense", 100.0), None);
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(Sample::of(u32::MAX).is_err());
    }
}
