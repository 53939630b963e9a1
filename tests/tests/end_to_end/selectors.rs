//! Every selector, column, sort order and grouping of the queue's commands, through `halonctl`: `selectors.txt`.

use std::time::Duration;

use serde_json::Value;
use tests::{Client, Ended, Halonctl, Sink, SinkReply, Smtpd, wait_until};

const SELECTORS: &str = include_str!("selectors.txt");

const RUNNING: &str = r#"
queues: {grouping: {groupings: [{id: g, remoteip: ["127.0.0.0/8"]}]}}
scripting:
  hooks:
    auth:
      - id: a
        data: "Accept();"
    eod:
      - id: x
        data: |
          foreach ($transaction["recipients"] as $r) {
              $options = ["hold" => true, "metadata" => ["k" => "1"], "jobid" => "j2", "tenantid" => "t2"];
              if ($r["address"]["localpart"] == "one")
                  $options = ["metadata" => ["k" => "7"], "jobid" => "j1", "tenantid" => "t1", "priority" => 1];
              $arguments["mail"]->queue($transaction["senderaddress"], $r["address"], $r["transportid"], $options);
          }
          Accept();
"#;

const POLICIES: &str = "version: \"6.10\"\npolicies:\n  \
    - {fields: [recipientdomain], conditions: [{if: {recipientdomain: a.example}, then: {tag: slow}}]}\n";

/// A server with the two recipients of the file of cases, and their transactions.
fn stage(sink: &Sink) -> (Smtpd, Halonctl, [String; 2]) {
    sink.answer(SinkReply::Rcpt("451 4.3.0 come back later".to_owned()));
    let builder = Smtpd::relay_to(sink.port())
        .without_retry()
        .server("phases: {auth: {hook: a, tls: false}, eod: {hook: x}}")
        .running(RUNNING);
    let policy = builder.dir().join("smtpd-policy.yaml");
    std::fs::write(&policy, POLICIES).expect("a temporary directory can be written");
    let server = builder.environment(&format!("policyconf: \"{}\"", policy.display())).start();
    let halonctl = Halonctl::of(&server.dir().join("smtpd.ctl"));
    let mut one = Client::connect(server.port());
    one.command("EHLO one.example\r\n", "250");
    // The user u1.
    one.command("AUTH PLAIN AHUxAHA=\r\n", "235");
    let long = format!("Subject: x\r\n\r\n{}", "x\r\n".repeat(1_000));
    one.send("s@one.example", &["one@a.example"], long.as_bytes());
    Client::connect(server.port()).send("s@two.example", &["two@b.example"], b"Subject: x\r\n\r\nx\r\n");
    let mut rows: Vec<Value> = Vec::new();
    let there = wait_until(Duration::from_secs(60), || {
        let listed = halonctl.run(&["queue", "list", "--sort", "recipient", "--json"]);
        rows = serde_json::from_str(&listed.stdout).unwrap_or_default();
        rows.len() == 2 && rows[0]["state"] == "DEFER" && rows[1]["state"] == "HOLD"
    });
    assert!(there, "{rows:?}\n{}", server.log().join("\n"));
    let ids = [0, 1].map(|at: usize| rows[at]["id"]["transaction"].as_str().expect("an id").to_owned());
    let moved = halonctl.run(&["queue", "update", "--state", "HOLD", "--set-transportid", "other"]);
    assert!(moved.stdout.starts_with("1 messages affected"), "{moved:?}");
    (server, halonctl, ids)
}

fn good(ended: &Ended) -> &str {
    assert!(ended.status == Some(0) && ended.stderr.is_empty(), "{ended:?}");
    &ended.stdout
}

#[test]
fn every_selector_selects_in_every_command() {
    let sink = Sink::start();
    let (_server, halonctl, ids) = stage(&sink);
    let mut count = 0;
    let lines = SELECTORS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let (who, selector) = line.split_once(' ').expect("WHO SELECTOR");
        let selector = selector.replace("{ONE}", &ids[0]).replace("{TWO}", &ids[1]);
        let selector: Vec<&str> = selector.split_whitespace().map(|word| word.trim_matches('\'')).collect();
        let expected: &[&str] = match who {
            "one" => &["one@a.example"],
            "two" => &["two@b.example"],
            "both" => &["one@a.example", "two@b.example"],
            _ => &[],
        };
        let run = |words: &[&str]| halonctl.run(&[words, &selector].concat());
        let listed = run(&["queue", "list", "--sort", "recipient", "--json"]);
        let rows: Vec<Value> = serde_json::from_str(good(&listed)).expect("JSON");
        let recipients: Vec<&str> = rows.iter().filter_map(|row| row["recipient"].as_str()).collect();
        assert_eq!(recipients, expected, "{line}");
        let grouped = run(&["queue", "groupby", "-G", "recipient", "--json"]);
        let groups: Vec<Value> = serde_json::from_str(good(&grouped)).expect("JSON");
        assert_eq!(groups.len(), expected.len(), "{line}: {groups:?}");
        let would = format!("{} messages would be affected\n", expected.len());
        let updated = run(&["queue", "update", "--dry-run", "--defer", "7"]);
        assert_eq!(good(&updated), would, "{line}");
        let unloaded = run(&["queue", "unload", "--dry-run"]);
        assert_eq!(good(&unloaded), would, "{line}");
        count += 1;
    }
    assert!(count > 50, "{count}");
}

#[test]
fn every_column_is_shown_and_every_field_sorts_and_groups() {
    let sink = Sink::start();
    let (_server, halonctl, _) = stage(&sink);
    const COLUMNS: &str = "id state ts age sender recipient senderdomain recipientdomain senderip senderhelo saslusername \
        serverid transportid jobid tenantid grouping localip remoteip remotemx retrycount retrydelay retryts size priority \
        tags metadata duration subject";
    let named = COLUMNS.split_whitespace().flat_map(|column| ["-F", column]);
    let list = vec!["queue", "list", "--sort", "recipient", "--limit", "10"];
    let listed = halonctl.run(&[list, named.collect()].concat());
    let lines: Vec<&str> = good(&listed).lines().collect();
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('│').split('│').map(|cell| cell.trim().to_owned()).collect()
    };
    let (names, one) = (cells(lines[1]), cells(lines[3]));
    assert_eq!(names.len(), COLUMNS.split_whitespace().count());
    for (name, cell) in COLUMNS.split_whitespace().zip(&one) {
        assert!(!cell.is_empty(), "{name} is empty: {one:?}");
    }
    for column in COLUMNS.split_whitespace() {
        if matches!(column, "tags" | "metadata" | "subject") {
            continue;
        }
        for order in ["asc", "desc"] {
            let listed = halonctl.run(&["queue", "list", "--sort", column, "--order", order, "--json"]);
            let rows: Vec<Value> = serde_json::from_str(good(&listed)).expect("JSON");
            assert_eq!(rows.len(), 2, "{column}");
        }
        let grouped = halonctl.run(&["queue", "groupby", "-G", column, "--json"]);
        let groups: Vec<Value> = serde_json::from_str(good(&grouped)).expect("JSON");
        let all: u64 = groups.iter().filter_map(|group| group["count"].as_str()?.parse::<u64>().ok()).sum();
        assert_eq!(all, 2, "{column}: {groups:?}");
    }
    let by_metadata = halonctl.run(&["queue", "groupby", "-G", "metadata:k"]);
    assert_eq!(good(&by_metadata).lines().filter(|line| line.starts_with('│')).count(), 3);
}
