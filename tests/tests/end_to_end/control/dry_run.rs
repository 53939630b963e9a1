//! `--dry-run` says what a change would do, and does nothing. The cases are in `dry_run.txt`.

use tests::{Ended, Halonctl, Smtpd};

use super::changes::pattern;
use crate::halonctl::words;

const CASES: &str = include_str!("dry_run.txt");

#[test]
fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let builder = Smtpd::relay_to(1);
    let dir = builder.dir().to_owned();
    let policy = dir.join("smtpd-policy.yaml");
    let policies = "version: \"6.10\"\npolicies: [{fields: [recipientdomain], default: {rate: 1000/60}}]\n";
    std::fs::write(&policy, policies).expect("a temporary directory can be written");
    let server = builder.environment(&format!("policyconf: \"{}\"", policy.display())).start();
    let halonctl = Halonctl::of(&dir.join("smtpd.ctl"));
    let run = |line: &str| -> Ended {
        let words = words(line);
        halonctl.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for line in [
        "queue suspend add --id s1 --recipientdomain a.example",
        "queue policy add --fields recipientdomain --id p1 --recipientdomain a.example --concurrency 2",
        "hsl memory store k 1",
    ] {
        assert_eq!(run(line).status, Some(0), "{line}");
    }
    let lists = || {
        let lists = ["queue suspend list --json", "queue policy list --json", "hsl memory list"];
        lists.map(|line| run(line).stdout)
    };
    let changes = || server.log().iter().filter(|line| line.contains("control: uid ")).count();
    server.wait_for_log("hsl memory store k");
    let before = (lists(), changes());

    let mut ran: Option<(&str, Ended, i32)> = None;
    let check = |ran: Option<(&str, Ended, i32)>| {
        if let Some((command, ended, status)) = ran {
            assert_eq!(ended.status, Some(status), "{command}: {ended:?}");
        }
    };
    for line in CASES.lines() {
        if let Some(edit) = line.strip_prefix("edit ") {
            let (file, change) = edit.split_once(' ').expect("FILE OLD -> NEW");
            let (old, new) = change.split_once(" -> ").expect("OLD -> NEW");
            let text = std::fs::read_to_string(dir.join(file)).expect("it is there");
            assert!(text.contains(old), "{line}: {text}");
            std::fs::write(dir.join(file), text.replacen(old, new, 1)).expect("it can be written");
        } else if let Some(command) = line.strip_prefix("$ ") {
            check(ran.take());
            ran = Some((command, run(command), 0));
        } else if let (Some(wanted), Some((command, ended, _))) = (line.strip_prefix("> "), &ran) {
            let is_there = ended.stdout.lines().any(|line| pattern(wanted).is_match(line));
            assert!(is_there, "{command}: {ended:?}");
        } else if let (Some(wanted), Some((command, ended, _))) = (line.strip_prefix("2 "), &ran) {
            assert!(ended.stderr.contains(wanted), "{command}: {ended:?}");
        } else if let (Some(status), Some((_, _, wanted))) = (line.strip_prefix("exit "), &mut ran) {
            *wanted = status.parse().expect("a status");
        }
    }
    check(ran);
    assert_eq!((lists(), changes()), before);
}
