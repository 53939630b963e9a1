//! A host for scripts that only compute, and clocks of CPU time.

use std::any::Any;

use jiff::tz::TimeZone;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::time::{ClockId, clock_gettime};
use script::host::Host;
use script::std::regex::PatternCache;

/// Keeps the last line that was printed.
pub(super) struct BenchHost {
    line: Vec<u8>,
    patterns: PatternCache,
    zone: TimeZone,
}

impl Default for BenchHost {
    fn default() -> Self {
        BenchHost { line: Vec::new(), patterns: PatternCache::default(), zone: TimeZone::UTC }
    }
}

impl BenchHost {
    /// What was printed last.
    pub(super) fn line(&self) -> String {
        String::from_utf8_lossy(&self.line).into_owned()
    }
}

impl Host for BenchHost {
    fn now(&self) -> f64 {
        0.0
    }
    fn monotonic(&self) -> f64 {
        0.0
    }
    fn uptime(&self) -> f64 {
        0.0
    }
    fn execution_time(&self) -> f64 {
        0.0
    }
    fn random(&mut self, out: &mut [u8]) {
        out.fill(7);
    }
    fn echo(&mut self, text: &[u8]) {
        self.line = text.to_vec();
    }
    fn syslog(&mut self, _priority: u32, _text: &[u8]) {}
    fn hostname(&self) -> String {
        "bench.example".into()
    }
    fn timezone(&self) -> &TimeZone {
        &self.zone
    }
    fn patterns(&mut self) -> &mut PatternCache {
        &mut self.patterns
    }
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// CPU time of this thread.
pub(super) fn thread_cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every Linux has it");
    time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9
}

/// CPU time of all children that have ended.
pub(super) fn children_cpu_seconds() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("every Linux has it");
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// Resident memory of this process.
pub(super) fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}
