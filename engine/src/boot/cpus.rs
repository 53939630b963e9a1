//! Which CPUs we may use, and how much of them.

use std::fs;
use std::io;

use crate::os::socket::check;

/// CPUs of the affinity mask.
pub(crate) fn allowed() -> Vec<usize> {
    // SAFETY: all zeros is a valid, empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is valid for writing its size.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    if result != 0 {
        return Vec::new();
    }
    // SAFETY: below CPU_SETSIZE.
    (0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
}

/// Pins the calling thread.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    // SAFETY: all zeros is a valid, empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the number came from such a set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is valid for reading its size.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) }).map(drop)
}

pub(crate) fn default_shards() -> u16 {
    let cpus = allowed().len().max(1);
    let quota = quota(|path| fs::read_to_string(path).ok()).unwrap_or(f64::INFINITY);
    let shards = (quota.ceil().max(1.0)).min(cpus as f64);
    // A number of CPUs: small and positive.
    shards as u16
}

/// The CPU quota of our control group, in CPUs: the lowest of it and those above it. `read` reads a file.
fn quota(read: impl Fn(&str) -> Option<String>) -> Option<f64> {
    let groups = read("/proc/self/cgroup")?;
    let lowest = |found: Vec<f64>| found.into_iter().reduce(f64::min);
    let mut found = Vec::new();
    for line in groups.lines() {
        // "hierarchy:controllers:path"; version 2 has hierarchy 0 and no controllers.
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        if controllers.is_empty() {
            found.extend(
                ancestors(path).filter_map(|path| parse_v2(&read(&format!("/sys/fs/cgroup{path}/cpu.max"))?)),
            );
        } else if controllers.split(',').any(|controller| controller == "cpu") {
            // Where it is mounted depends on the distribution.
            for mount in ["cpu", "cpu,cpuacct", "cpuacct,cpu"] {
                found.extend(ancestors(path).filter_map(|path| {
                    let file = |name: &str| read(&format!("/sys/fs/cgroup/{mount}{path}/cpu.cfs_{name}_us"));
                    parse_v1(&file("quota")?, &file("period")?)
                }));
            }
        }
    }
    lowest(found)
}

/// "/a/b", "/a", "".
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path.trim_end_matches('/')), |path| path.rfind('/').map(|end| &path[..end]))
}

/// "150000 100000", or "max 100000".
fn parse_v2(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    ratio(quota.parse().ok()?, period.parse().ok()?)
}

/// -1 is no quota.
fn parse_v1(quota: &str, period: &str) -> Option<f64> {
    ratio(quota.trim().parse().ok()?, period.trim().parse().ok()?)
}

fn ratio(quota: f64, period: f64) -> Option<f64> {
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn quota_of(files: &[(&str, &str)]) -> Option<f64> {
        let files: HashMap<&str, &str> = files.iter().copied().collect();
        quota(|path| files.get(path).map(|text| text.to_string()))
    }

    #[test]
    fn the_lowest_quota_on_the_way_up_counts() {
        let v2 = [
            ("/proc/self/cgroup", "0::/system.slice/smtpd.service\n"),
            ("/sys/fs/cgroup/system.slice/smtpd.service/cpu.max", "max 100000\n"),
            ("/sys/fs/cgroup/system.slice/cpu.max", "150000 100000\n"),
        ];
        assert_eq!(quota_of(&v2), Some(1.5));
        let container = [("/proc/self/cgroup", "0::/\n"), ("/sys/fs/cgroup/cpu.max", "50000 100000\n")];
        assert_eq!(quota_of(&container), Some(0.5));
        let v1 = [
            ("/proc/self/cgroup", "5:cpu,cpuacct:/docker/1\n1:name=systemd:/docker/1\n0::/x\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us", "300000\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_period_us", "100000\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us", "-1\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us", "100000\n"),
        ];
        assert_eq!(quota_of(&v1), Some(3.0));
        assert_eq!(quota_of(&[("/proc/self/cgroup", "0::/\n")]), None);
        assert_eq!(quota_of(&[]), None);
    }

    #[test]
    fn there_is_at_least_one_shard_and_at_most_one_per_allowed_cpu() {
        let shards = default_shards();
        assert!(shards >= 1 && usize::from(shards) <= allowed().len());
    }
}
