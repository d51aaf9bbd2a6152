//! The CPU quota of the process's control groups, of version 2 and of version 1.

use std::path::{Path, PathBuf};

/// CPU time that a control group may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Microseconds of CPU time in each period.
    pub quota_us: u64,
    /// The period in microseconds.
    pub period_us: u64,
    /// The group's directory, as this process sees it.
    pub group: String,
}

impl Quota {
    /// The quota in whole cores, rounded up, at least 1.
    pub fn cores(&self) -> usize {
        usize::try_from(self.quota_us.div_ceil(self.period_us.max(1)).max(1)).unwrap_or(usize::MAX)
    }

    /// The quota in cores with its fraction.
    pub fn cpus(&self) -> f64 {
        self.quota_us as f64 / self.period_us.max(1) as f64
    }
}

/// The tightest quota of this process's groups and all groups above them; files are looked up under `root`.
pub(super) fn quota_under(root: &Path) -> Option<Quota> {
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mounts = std::fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
    let hierarchies = mounts.lines().filter_map(Hierarchy::parse);
    let quotas = hierarchies.filter_map(|hierarchy| {
        let group = groups.lines().find_map(|line| hierarchy.group_of(line))?;
        hierarchy.tightest(root, group)
    });
    tighter(quotas)
}

fn tighter(quotas: impl Iterator<Item = Quota>) -> Option<Quota> {
    quotas.min_by(|left, right| left.cpus().total_cmp(&right.cpus()))
}

/// One mounted hierarchy that can limit CPU time.
struct Hierarchy {
    version_2: bool,
    /// The group that is mounted; not `/` inside a container that has no cgroup namespace.
    mounted_group: String,
    mount_point: PathBuf,
}

impl Hierarchy {
    /// Reads a line of mountinfo: `id parent dev root mount-point options [tags] - type source super-options`.
    fn parse(line: &str) -> Option<Self> {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut filesystem = filesystem.split(' ');
        let version_2 = match filesystem.next()? {
            "cgroup2" => true,
            "cgroup" => false,
            _ => return None,
        };
        let has_cpu =
            filesystem.nth(1).is_some_and(|options| options.split(',').any(|option| option == "cpu"));
        if !version_2 && !has_cpu {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let mounted_group = fields.next()?.to_owned();
        let mount_point = PathBuf::from(fields.next()?.trim_start_matches('/').replace("\\040", " "));
        Some(Self { version_2, mounted_group, mount_point })
    }

    /// The process's group in this hierarchy, from a line `id:controllers:path`.
    fn group_of<'a>(&self, line: &'a str) -> Option<&'a str> {
        let mut parts = line.splitn(3, ':');
        let (id, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let mine = match self.version_2 {
            true => id == "0" && controllers.is_empty(),
            false => controllers.split(',').any(|controller| controller == "cpu"),
        };
        mine.then_some(path)
    }

    fn tightest(&self, root: &Path, group: &str) -> Option<Quota> {
        let below = match self.mounted_group.as_str() {
            "/" => group,
            // The process may sit outside of what is mounted here; then only the mounted group itself is known.
            mounted => group.strip_prefix(mounted).unwrap_or(""),
        };
        let below = Path::new(below.trim_start_matches('/'));
        // `..` names a group above this namespace, which no path of ours reaches.
        let inside = !below.components().any(|part| part.as_os_str() == "..");
        let below = if inside { below } else { Path::new("") };
        tighter(below.ancestors().filter_map(|group| {
            let group = self.mount_point.join(group);
            let (quota_us, period_us) = self.limit(&root.join(&group))?;
            Some(Quota { quota_us, period_us, group: format!("/{}", group.display()) })
        }))
    }

    fn limit(&self, group: &Path) -> Option<(u64, u64)> {
        let read = |name: &str| std::fs::read_to_string(group.join(name)).ok();
        let (quota, period) = if self.version_2 {
            let line = read("cpu.max")?;
            let mut words = line.split_whitespace().map(str::to_owned);
            (words.next()?, words.next()?)
        } else {
            (read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?)
        };
        // "max" and -1 both mean that there is no limit; neither is a number here.
        let quota_us = quota.trim().parse().ok().filter(|quota| *quota > 0)?;
        let period_us = period.trim().parse().ok().filter(|period| *period > 0)?;
        Some((quota_us, period_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIFIED: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn nested_groups_take_the_tightest_quota() {
        let root = tree(&[
            ("proc/self/cgroup", "0::/app.slice/web.service\n"),
            ("proc/self/mountinfo", UNIFIED),
            ("sys/fs/cgroup/app.slice/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/app.slice/web.service/cpu.max", "800000 100000\n"),
        ]);
        let quota = quota_under(root.path()).unwrap();
        assert_eq!((quota.quota_us, quota.cores()), (150_000, 2));
        assert_eq!(quota.group, "/sys/fs/cgroup/app.slice");
    }

    #[test]
    fn no_limit_is_no_quota() {
        let root = tree(&[
            ("proc/self/cgroup", "0::/\n"),
            ("proc/self/mountinfo", UNIFIED),
            ("sys/fs/cgroup/cpu.max", "max 100000\n"),
        ]);
        assert_eq!(quota_under(root.path()), None);
        assert_eq!(quota_under(tree(&[]).path()), None);
    }

    #[test]
    fn a_container_with_its_own_namespace_reads_the_root_of_its_mount() {
        let root = tree(&[
            ("proc/self/cgroup", "0::/\n"),
            ("proc/self/mountinfo", UNIFIED),
            ("sys/fs/cgroup/cpu.max", "50000 100000\n"),
        ]);
        assert_eq!(quota_under(root.path()).unwrap().cores(), 1);
    }

    #[test]
    fn a_container_without_a_namespace_finds_its_group_below_the_mounted_one() {
        let root = tree(&[
            ("proc/self/cgroup", "0::/docker/abc/inner\n"),
            ("proc/self/mountinfo", "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw"),
            ("sys/fs/cgroup/inner/cpu.max", "300000 100000\n"),
            ("sys/fs/cgroup/cpu.max", "max 100000\n"),
        ]);
        assert_eq!(quota_under(root.path()).unwrap().cores(), 3);
    }

    #[test]
    fn version_1_and_its_absent_limit_are_read() {
        let mounts = "34 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      35 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
        let files = |quota| {
            [
                ("proc/self/cgroup", "4:memory:/m\n3:cpu,cpuacct:/pod/box\n"),
                ("proc/self/mountinfo", mounts),
                ("sys/fs/cgroup/cpu,cpuacct/pod/box/cpu.cfs_quota_us", quota),
                ("sys/fs/cgroup/cpu,cpuacct/pod/box/cpu.cfs_period_us", "50000\n"),
            ]
        };
        assert_eq!(quota_under(tree(&files("120000\n")).path()).unwrap().cores(), 3);
        assert_eq!(quota_under(tree(&files("-1\n")).path()), None);
    }

    #[test]
    fn a_group_above_the_namespace_is_not_followed() {
        let root = tree(&[
            ("proc/self/cgroup", "0::/../../other\n"),
            ("proc/self/mountinfo", UNIFIED),
            ("sys/fs/cgroup/cpu.max", "200000 100000\n"),
        ]);
        assert_eq!(quota_under(root.path()).unwrap().cores(), 2);
    }
}
