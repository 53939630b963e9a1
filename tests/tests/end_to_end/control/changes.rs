//! Every change is in the log, with who made it and what it was about. The cases are in `changes.txt`.

use std::time::Duration;

use control::command::TABLE;
use regex::Regex;
use tests::{Client, Halonctl, Smtpd, wait_until};

use super::{BODY, busy_sink};
use crate::halonctl::words;

const CASES: &str = include_str!("changes.txt");

/// Letters of commands that change nothing: they list, count, explain, or look at what stands at a breakpoint.
const READ_ONLY: &str = "bdefgnqsvyKDFILQR125";

/// A pattern, in which `…` stands for anything.
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(&format!("^{}$", regex::escape(text).replace('…', ".*"))).expect("it is escaped")
}

#[test]
fn every_command_that_changes_something_says_so_with_user_process_filter_and_count() {
    let letters = |given: &mut dyn Iterator<Item = char>| -> String {
        let mut all: Vec<char> = given.collect();
        all.sort_unstable();
        all.into_iter().collect()
    };
    let named = CASES.lines().filter_map(|line| line.strip_prefix("== ")).flat_map(str::chars);
    let known = TABLE.iter().map(|row| char::from(row.letter));
    assert_eq!(letters(&mut named.chain(READ_ONLY.chars())), letters(&mut { known }), "each has a case");

    let sink = busy_sink();
    let builder = Smtpd::relay_to(sink.port()).without_retry().argument("--frozen");
    let dir = builder.dir().to_owned();
    let directory = dir.to_str().expect("ASCII").to_owned();
    let policy = dir.join("smtpd-policy.yaml");
    let policies = "version: \"6.10\"\npolicies: [{fields: [recipientdomain], default: {rate: 1000/60}}]\n";
    std::fs::write(&policy, policies).expect("a temporary directory can be written");
    let server = builder
        .environment(&format!("policyconf: \"{}\"", policy.display()))
        .startup(&format!(
            "plugins: [{{id: http-bulk, config: {{queues: [{{id: q, path: {directory}/items, url: \"http://127.0.0.1:1/\"}}]}}}}]"
        ))
        .start();
    let halonctl = Halonctl::of(&dir.join("smtpd.ctl"));
    let mut ran = None;
    for line in CASES.lines() {
        if let Some(send) = line.strip_prefix("send ") {
            let (from, to) = send.split_once(" -> ").expect("FROM -> TO");
            let to: Vec<&str> = to.split_whitespace().collect();
            Client::connect(server.port()).send(from, &to, BODY);
            let deferred = || halonctl.run(&["queue", "list", "--state", "DEFER", "-F", "recipient"]).stdout;
            let all = || to.iter().all(|to| deferred().contains(to));
            assert!(wait_until(Duration::from_secs(60), all), "{}", deferred());
        } else if let Some(command) = line.strip_prefix("$ ") {
            let words = words(&command.replace("@DIR", &directory));
            let ended = halonctl.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(ended.status, Some(0), "{command}: {ended:?}");
            ran = Some((command, ended));
        } else if let Some(wanted) = line.strip_prefix("> ") {
            let (command, ended) = ran.take().expect("a command comes before what it logs");
            let who = format!("control: uid {}, pid {}: ", nix::unistd::geteuid(), ended.pid);
            let logged = || {
                let log = server.log();
                log.iter().find_map(|line| Some(line.split_once(&who)?.1.replace(&directory, "@DIR")))
            };
            assert!(
                wait_until(Duration::from_secs(60), || logged().is_some()),
                "{command}: {:?}",
                server.log()
            );
            let logged = logged().unwrap_or_default();
            assert!(pattern(wanted).is_match(&logged), "{command}: {logged}");
        }
    }
}
