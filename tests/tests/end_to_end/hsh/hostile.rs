//! Scripts that mean no good: the process answers with an error, and no signal ends it.

use std::time::{Duration, Instant};

use tests::Run;

use super::cases::cases;

/// Name and options, script, and a part of what standard error says.
const CASES: &str = include_str!("hostile.txt");

#[test]
fn no_script_brings_the_process_down() {
    let mut wrong = String::new();
    for case in cases(CASES) {
        let args = case.section("args").unwrap_or_default().split_whitespace();
        let started = Instant::now();
        let ended = Run::hsh().args(args).args(["-"]).input(case.script).end();
        let took = started.elapsed();
        let stderr = case.section("stderr").unwrap_or_default().trim();
        let stdout = case.section("stdout").unwrap_or_default();
        let status = if stderr.is_empty() { 0 } else { 1 };
        let quick = took < Duration::from_secs(15);
        if ended.status != Some(status) || !ended.stderr.contains(stderr) || ended.stdout != stdout || !quick
        {
            wrong.push_str(&format!("=== {} ({took:?})\n{:.3000}\n", case.name, format!("{ended:#?}")));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
