//! The process as the kernel sees it, from `/proc/self`.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Figures of this process. What cannot be read is 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProcessStats {
    /// Processor time, user and system.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// Virtual memory in bytes.
    pub virtual_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// The soft limit of open file descriptors.
    pub max_fds: u64,
    /// When the process started, in seconds since 1970.
    pub started_unix_s: f64,
}

impl ProcessStats {
    /// Reads the figures: a few small files, some tens of microseconds.
    pub fn read() -> Self {
        // The clocks are compared once, so that the start does not wander from scrape to scrape.
        static BOOTED: OnceLock<f64> = OnceLock::new();
        let booted = *BOOTED.get_or_init(booted_unix_s);
        Self::read_under(Path::new("/proc"), ticks_per_second(), page_bytes(), booted)
    }

    fn read_under(proc: &Path, ticks_per_s: u64, page_bytes: u64, booted_unix_s: f64) -> Self {
        let text = |name: &str| fs::read_to_string(proc.join(name)).unwrap_or_default();
        let stat = text("self/stat");
        // The name stands in parentheses and may hold blanks and parentheses itself; what follows the last one is plain.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        // Fields are numbered from 1 in proc(5); after the name comes field 3.
        let field =
            |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let seconds = |ticks: u64| ticks as f64 / ticks_per_s.max(1) as f64;
        Self {
            cpu: Duration::from_secs_f64(seconds(field(14) + field(15))),
            threads: field(20),
            started_unix_s: booted_unix_s + seconds(field(22)),
            virtual_bytes: field(23),
            resident_bytes: field(24) * page_bytes,
            open_fds: open_fds(&proc.join("self/fd")),
            max_fds: line_value(&text("self/limits"), "Max open files").unwrap_or(0),
        }
    }
}

/// The first number behind `name` on the line that starts with it.
fn line_value(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Since Linux 6.2 the directory's size is the count; before, the entries must be counted.
fn open_fds(directory: &Path) -> u64 {
    match fs::metadata(directory) {
        Ok(meta) if meta.len() > 0 => meta.len(),
        _ => fs::read_dir(directory).map_or(0, |entries| entries.count() as u64),
    }
}

/// When the machine booted, by the clock that process start times count on.
fn booted_unix_s() -> f64 {
    let mut since_boot = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `since_boot` is a writable timespec that lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut since_boot) };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    now - since_boot.tv_sec as f64 - since_boot.tv_nsec as f64 / 1e9
}

fn ticks_per_second() -> u64 {
    // SAFETY: `sysconf` reads a constant of the system and touches no memory of ours.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100)
}

fn page_bytes() -> u64 {
    // SAFETY: as above.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4_096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_behind_a_name_with_parentheses() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("self/fd")).unwrap();
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 0 0 0 0 0 250 50 0 0 20 0 4 0 1000 9000000 300 0 0";
        fs::write(root.path().join("self/stat"), stat).unwrap();
        fs::write(root.path().join("self/limits"), "Max open files            1024    4096    files\n")
            .unwrap();
        let stats = ProcessStats::read_under(root.path(), 100, 4096, 1_700_000_000.0);
        assert_eq!(stats.cpu, Duration::from_secs(3));
        assert_eq!((stats.threads, stats.virtual_bytes, stats.resident_bytes), (4, 9_000_000, 300 * 4096));
        assert_eq!((stats.max_fds, stats.started_unix_s), (1024, 1_700_000_010.0));
    }

    fn uptime_s() -> f64 {
        fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap()
    }

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let stats = ProcessStats::read();
        assert!(stats.resident_bytes > 100_000 && stats.virtual_bytes >= stats.resident_bytes, "{stats:?}");
        assert!(stats.open_fds >= 3 && stats.max_fds >= stats.open_fds && stats.threads >= 1, "{stats:?}");
        let age_s = booted_unix_s() + uptime_s() - stats.started_unix_s;
        assert!((-1.0..600.0).contains(&age_s), "started {age_s} s ago");
    }
}
