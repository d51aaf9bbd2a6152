//! Which cores to run on: those the scheduler allows, and no more than the cgroup's quota pays for.

use std::fmt;
use std::io;
use std::path::Path;

mod cgroup;

pub use cgroup::Quota;

/// A core list longer than this is a mistake, not a machine.
const MAX_CORE: usize = 4_095;

/// What the kernel lets this process use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The cores of the affinity mask (which the cpuset narrows), ascending.
    pub affinity: Vec<usize>,
    /// The tightest CPU quota of the process's control groups.
    pub quota: Option<Quota>,
}

/// The cores that get an executor each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreSet {
    /// Core numbers, ascending, at least one.
    pub cores: Vec<usize>,
    /// Whether each executor is bound to its core. Under a quota smaller than the mask it is not: several servers that
    /// share a machine would all bind to its first cores while others idle.
    pub pinned: bool,
    /// Why it is not every core of the mask.
    pub chosen_by: ChosenBy,
}

/// What decided how many cores are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChosenBy {
    /// The affinity mask: all of it is used.
    Affinity,
    /// The quota of the control group.
    Quota,
    /// The setting `max_cores`.
    MaxCores,
    /// The setting `cores`.
    Request,
}

/// Why no set of cores could be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopologyError {
    /// A core list that is not numbers and ranges; holds the piece that is wrong.
    BadCoreList(String),
    /// Requested cores outside the affinity mask.
    NotAllowed {
        /// The cores that were asked for and are not allowed.
        refused: Vec<usize>,
        /// The cores that are.
        allowed: Vec<usize>,
    },
    /// The list of requested cores is empty.
    NoCores,
    /// The kernel did not tell the affinity mask.
    Unknown(String),
}

impl fmt::Display for TopologyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopologyError::BadCoreList(piece) => {
                write!(f, "{piece:?} is neither a core number up to {MAX_CORE} nor a range like 0-3")
            }
            TopologyError::NotAllowed { refused, allowed } => {
                let (refused, allowed) = (format_core_list(refused), format_core_list(allowed));
                write!(f, "{refused} cannot be used: this process may only run on {allowed}")
            }
            TopologyError::NoCores => f.write_str("the list of cores is empty; name at least one"),
            TopologyError::Unknown(reason) => write!(f, "the allowed cores cannot be read: {reason}"),
        }
    }
}

impl std::error::Error for TopologyError {}

impl CoreSet {
    /// The core to bind the executor of this index to, if it is to be bound.
    pub fn pin(&self, index: usize) -> Option<usize> {
        self.cores.get(index).copied().filter(|_| self.pinned)
    }
}

/// Chooses the cores of this process: those requested, or all that are allowed; at most `max`.
///
/// # Errors
/// A requested core outside the affinity mask, or a mask that cannot be read.
pub fn select(requested: Option<&[usize]>, max: Option<usize>) -> Result<CoreSet, TopologyError> {
    let machine = Machine::detect().map_err(|error| TopologyError::Unknown(error.to_string()))?;
    machine.select(requested, max)
}

impl Machine {
    /// Asks the kernel.
    ///
    /// # Errors
    /// The affinity mask cannot be read. A quota that cannot be read counts as none.
    pub fn detect() -> io::Result<Self> {
        Ok(Self { affinity: affinity()?, quota: cgroup::quota_under(Path::new("/")) })
    }

    /// Chooses cores on this machine; see [`select`].
    ///
    /// # Errors
    /// As [`select`].
    pub fn select(&self, requested: Option<&[usize]>, max: Option<usize>) -> Result<CoreSet, TopologyError> {
        let mut set = match requested {
            Some(requested) => self.requested(requested)?,
            None => self.allowed(),
        };
        if let Some(max) = max.map(|max| max.max(1)).filter(|max| *max < set.cores.len()) {
            set.cores.truncate(max);
            set.chosen_by = ChosenBy::MaxCores;
        }
        if set.cores.is_empty() { Err(TopologyError::NoCores) } else { Ok(set) }
    }

    fn requested(&self, requested: &[usize]) -> Result<CoreSet, TopologyError> {
        let mut cores = requested.to_vec();
        cores.sort_unstable();
        cores.dedup();
        let refused: Vec<_> = cores.iter().copied().filter(|core| !self.affinity.contains(core)).collect();
        if !refused.is_empty() {
            return Err(TopologyError::NotAllowed { refused, allowed: self.affinity.clone() });
        }
        Ok(CoreSet { cores, pinned: true, chosen_by: ChosenBy::Request })
    }

    fn allowed(&self) -> CoreSet {
        let paid = self.quota.as_ref().map(Quota::cores).filter(|paid| *paid < self.affinity.len());
        let cores: Vec<_> = self.affinity.iter().copied().take(paid.unwrap_or(usize::MAX)).collect();
        let chosen_by = if paid.is_some() { ChosenBy::Quota } else { ChosenBy::Affinity };
        CoreSet { cores, pinned: paid.is_none(), chosen_by }
    }
}

/// Reads a core list as the kernel writes it: numbers and ranges by commas. Sorted, without doubles.
///
/// # Errors
/// The first piece that is neither a number nor a range.
pub fn parse_core_list(text: &str) -> Result<Vec<usize>, TopologyError> {
    let mut cores = Vec::new();
    for piece in text.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
        let bad = || TopologyError::BadCoreList(piece.to_owned());
        let number =
            |text: &str| text.trim().parse().ok().filter(|core: &usize| *core <= MAX_CORE).ok_or_else(bad);
        let (first, last) = match piece.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(piece)?, number(piece)?),
        };
        if first > last {
            return Err(bad());
        }
        cores.extend(first..=last);
    }
    cores.sort_unstable();
    cores.dedup();
    if cores.is_empty() { Err(TopologyError::NoCores) } else { Ok(cores) }
}

/// Writes cores as a list with ranges: `0-3,5`.
pub fn format_core_list(cores: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &core in cores {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == core => *last = core,
            _ => runs.push((core, core)),
        }
    }
    let write = |&(first, last): &(usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    runs.iter().map(write).collect::<Vec<_>>().join(",")
}

/// The cores that the calling thread may run on, ascending.
///
/// # Errors
/// The kernel refuses to tell, which only a seccomp filter makes it do.
pub fn affinity() -> io::Result<Vec<usize>> {
    // The mask is as long as the kernel was built for; a fixed `cpu_set_t` fails on machines with more than 1024 cores.
    let mut mask = [0_u64; (MAX_CORE + 1) / 64];
    // SAFETY: the kernel writes at most `size_of_val(&mask)` bytes into `mask`, which is writable and lives on.
    let written = unsafe {
        libc::syscall(libc::SYS_sched_getaffinity, 0, std::mem::size_of_val(&mask), mask.as_mut_ptr())
    };
    if written < 0 {
        return Err(io::Error::last_os_error());
    }
    let allowed = |core: &usize| mask[core / 64] & (1 << (core % 64)) != 0;
    Ok((0..=MAX_CORE).filter(allowed).collect())
}

/// The cores of each NUMA node under `root`, by node number; empty where the kernel does not tell.
pub fn numa_nodes(root: &Path) -> Vec<(usize, Vec<usize>)> {
    let Ok(entries) = std::fs::read_dir(root.join("sys/devices/system/node")) else { return Vec::new() };
    let node = |entry: std::fs::DirEntry| {
        let number = entry.file_name().to_str()?.strip_prefix("node")?.parse().ok()?;
        let list = std::fs::read_to_string(entry.path().join("cpulist")).ok()?;
        Some((number, parse_core_list(list.trim()).ok()?))
    };
    let mut nodes: Vec<_> = entries.flatten().filter_map(node).collect();
    nodes.sort_unstable();
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(cores: usize, quota_us: Option<u64>) -> Machine {
        let quota = quota_us.map(|quota_us| Quota { quota_us, period_us: 100_000, group: "/x".to_owned() });
        Machine { affinity: (0..cores).collect(), quota }
    }

    #[test]
    fn core_lists_are_read_and_written_as_the_kernel_writes_them() {
        assert_eq!(parse_core_list("0-3,5").unwrap(), [0, 1, 2, 3, 5]);
        assert_eq!(parse_core_list(" 5 , 1-2,2 ").unwrap(), [1, 2, 5]);
        assert_eq!(format_core_list(&[0, 1, 2, 3, 5, 8, 9]), "0-3,5,8-9");
        assert_eq!(format_core_list(&[]), "");
        for bad in ["x", "3-1", "0-", "-1", "99999", "0-99999", "1.5"] {
            assert_eq!(parse_core_list(bad), Err(TopologyError::BadCoreList(bad.to_owned())));
        }
        assert_eq!(parse_core_list(" , "), Err(TopologyError::NoCores));
    }

    #[test]
    fn without_a_request_every_allowed_core_is_used_and_pinned() {
        let set = machine(4, None).select(None, None).unwrap();
        assert_eq!((set.cores.as_slice(), set.chosen_by), (&[0, 1, 2, 3][..], ChosenBy::Affinity));
        assert_eq!((set.pin(3), set.pin(4)), (Some(3), None));
    }

    #[test]
    fn a_quota_below_the_mask_is_rounded_up_and_leaves_executors_unpinned() {
        let set = machine(8, Some(150_000)).select(None, None).unwrap();
        assert_eq!((set.cores.as_slice(), set.chosen_by, set.pin(0)), (&[0, 1][..], ChosenBy::Quota, None));
        let roomy = machine(2, Some(400_000)).select(None, None).unwrap();
        assert_eq!((roomy.cores.len(), roomy.chosen_by, roomy.pinned), (2, ChosenBy::Affinity, true));
        assert_eq!(machine(8, Some(1_000)).select(None, None).unwrap().cores, [0]);
    }

    #[test]
    fn a_request_wins_over_the_quota_but_not_over_the_mask() {
        let set = machine(8, Some(100_000)).select(Some(&[5, 2, 5]), None).unwrap();
        assert_eq!((set.cores.as_slice(), set.pinned), (&[2, 5][..], true));
        let error = machine(2, None).select(Some(&[1, 2, 3]), None).unwrap_err();
        assert_eq!(error.to_string(), "2-3 cannot be used: this process may only run on 0-1");
        assert_eq!(machine(2, None).select(Some(&[]), None), Err(TopologyError::NoCores));
    }

    #[test]
    fn max_cores_cuts_what_was_chosen() {
        let set = machine(4, None).select(None, Some(2)).unwrap();
        assert_eq!((set.cores.as_slice(), set.chosen_by), (&[0, 1][..], ChosenBy::MaxCores));
        assert_eq!(machine(4, None).select(Some(&[2, 3]), Some(9)).unwrap().chosen_by, ChosenBy::Request);
    }

    #[test]
    fn the_kernel_tells_at_least_one_core() {
        let cores = affinity().unwrap();
        assert!(!cores.is_empty());
        assert_eq!(select(Some(&cores[..1]), None).unwrap().cores, cores[..1]);
    }

    #[test]
    fn numa_nodes_are_read_from_the_tree() {
        let root = tempfile::tempdir().unwrap();
        let nodes = root.path().join("sys/devices/system/node");
        for (name, list) in [("node1", "2-3\n"), ("node0", "0-1\n"), ("power", "")] {
            std::fs::create_dir_all(nodes.join(name)).unwrap();
            std::fs::write(nodes.join(name).join("cpulist"), list).unwrap();
        }
        assert_eq!(numa_nodes(root.path()), [(0, vec![0, 1]), (1, vec![2, 3])]);
        assert_eq!(numa_nodes(&root.path().join("none")), []);
    }
}
