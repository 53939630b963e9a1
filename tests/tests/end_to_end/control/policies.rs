//! Conditions of policies that are added while the server runs.

use std::time::{SystemTime, UNIX_EPOCH};

use control::Command;
use control::smtpd as proto;
use proto::QueueState;
use proto::rate::Algorithm;
use proto::waiting::Kind;
use tests::{ControlClient, Halonctl, Sink, Smtpd};

use super::{in_states, send, wait_for_rows};

/// What is known of the only policy.
fn policy(control: &mut ControlClient) -> proto::Policy {
    let answer: proto::PolicyConditionResponse =
        control.ask_plainly(Command::PolicyList).expect("policies are listed");
    assert_eq!(answer.policies.len(), 1);
    answer.policies[0].clone()
}

fn halonctl(server: &Smtpd, arguments: &[&str]) -> String {
    let ended = Halonctl::of(&server.dir().join("smtpd.ctl")).run(arguments);
    assert_eq!(ended.status, Some(0), "{arguments:?}: {ended:?}");
    ended.stdout
}

fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs_f64()
}

/// What the only recipient that waits waits for.
fn wait_of_one(control: &mut ControlClient) -> proto::Waiting {
    wait_for_rows(control, &in_states(&[QueueState::Active]), 1)[0].waiting.clone().expect("it is said")
}

fn wait_for_the_policy(control: &mut ControlClient) {
    let mut waiting = proto::Waiting::default();
    let waits = tests::wait_until(std::time::Duration::from_secs(20), || {
        waiting = wait_of_one(control);
        waiting.kind() == Kind::Policy
    });
    assert!(waits && waiting.text == "policy recipientdomain=a.example: rate", "{waiting:?}");
    assert!(waiting.until > now_s(), "when a message may go again: {waiting:?}");
}

#[test]
fn a_condition_is_added_counted_kept_over_a_crash_changed_refilled_and_removed() {
    let sink = Sink::start();
    let builder = Smtpd::relay_to(sink.port());
    let path = builder.dir().join("smtpd-policy.yaml");
    // Rates of such an old file are counted in windows.
    let file = "version: \"6.1\"\npolicies:\n  - {fields: [recipientdomain]}\n";
    std::fs::write(&path, file).expect("it can be written");
    let server = builder.environment(&format!("policyconf: \"{}\"", path.display())).start();
    let mut control = server.control();
    let added = halonctl(
        &server,
        &[
            "queue",
            "policy",
            "add",
            "--fields",
            "recipientdomain",
            "--recipientdomain",
            "a.example",
            "--id",
            "slow",
            "--type",
            "backoff",
            "--rate",
            "1/36000",
            "--ttl",
            "6000",
            "--tag",
            "t",
        ],
    );
    assert_eq!(added, "slow\n");
    send(server.port(), &["1@a.example"]);
    sink.wait_for(1);
    send(server.port(), &["2@a.example"]);
    wait_for_the_policy(&mut control);
    let listed = policy(&mut control);
    let condition = &listed.conditions[0];
    assert_eq!((condition.id(), condition.r#type()), ("slow", proto::PolicyConditionType::Backoff));
    assert!(condition.ttl.is_some_and(|ttl| (1.0..6000.0).contains(&ttl)), "{condition:?}");
    let rate = condition.then.as_ref().and_then(|then| then.rate.as_ref()).expect("it has a rate");
    assert_eq!((rate.count, rate.interval, rate.algorithm()), (1, 36_000.0, Algorithm::Fixedwindow));
    let used = listed.entries[0].rate.as_ref().expect("it is counted");
    assert!(used.used == 1 && used.next > now_s() + 30_000.0, "the window is open for ten hours: {used:?}");
    let explained = halonctl(&server, &["queue", "explain", "3@a.example"]);
    assert!(explained.contains("│ backoff slow │"), "{explained}");
    let end = "1 of 1 queued recipients wait for policy recipientdomain=a.example: rate until 20";
    assert!(explained.contains(end), "{explained}");

    // That the first one was delivered is on disk within 20 ms; else it is delivered again, and takes what the second one waits for.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let server = server.kill().start();
    let mut control = server.control();
    // Counters begin anew.
    sink.wait_for(2);
    let kept = policy(&mut control).conditions[0].clone();
    assert_eq!((kept.id(), kept.then.as_ref()), ("slow", condition.then.as_ref()));
    assert!(kept.ttl < condition.ttl && kept.ttl > Some(1.0), "{kept:?}");
    send(server.port(), &["3@a.example"]);
    wait_for_the_policy(&mut control);

    // Its time goes on, as nothing is said of it.
    halonctl(&server, &["queue", "policy", "update", "--id", "slow", "--rate", "1/72000"]);
    let changed = policy(&mut control).conditions[0].clone();
    let rate = changed.then.as_ref().and_then(|then| then.rate.as_ref()).expect("it has a rate");
    assert_eq!((rate.interval, rate.algorithm()), (72_000.0, Algorithm::Fixedwindow));
    assert!(changed.ttl.is_some() && changed.ttl <= kept.ttl, "{changed:?}");
    wait_for_the_policy(&mut control);

    let refill = ["queue", "policy", "refill", "--fields", "recipientdomain", "--value", "a.example"];
    assert_eq!(halonctl(&server, &refill), "1 rates refilled\n");
    sink.wait_for(3);
    send(server.port(), &["4@a.example"]);
    wait_for_the_policy(&mut control);

    let delete = ["queue", "policy", "delete", "--id", "slow"];
    assert_eq!(halonctl(&server, &delete), "1 conditions removed\n");
    sink.wait_for(4);
    assert_eq!(policy(&mut control).conditions, []);
    assert_eq!(halonctl(&server, &delete), "0 conditions removed\n");
    let ended = Halonctl::of(&server.dir().join("smtpd.ctl"))
        .run(&["queue", "policy", "update", "--id", "slow", "--rate", "1/60"]);
    assert_eq!(
        (ended.status, ended.stderr.contains("no dynamic condition slow")),
        (Some(1), true),
        "{ended:?}"
    );
}
