//! Queued messages into files and back, through `halonctl`: OPS20 to OPS24, OPS74, OPS75.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tests::{Client, Ended, Halonctl, Sink, SinkReply, Smtpd, wait_until};

/// Holds everything, with metadata, a job by the local part, and a header of its own for those who want one.
const SCRIPT: &str = r#"
scripting:
  hooks:
    eod:
      - id: x
        data: |
          foreach ($transaction["recipients"] as $r) {
              $options = ["hold" => true, "metadata" => ["qid" => "week"], "quotas" => ["q1"]];
              if (str_find($r["address"]["localpart"], "job-") === 0)
                  $options["jobid"] = "x";
              $arguments["mail"]->queue($transaction["senderaddress"], $r["address"], $r["transportid"], $options);
          }
          Accept();
"#;

fn node(sink: &Sink) -> Smtpd {
    Smtpd::relay_to(sink.port()).server("phases: {eod: {hook: x}}").running(SCRIPT).start()
}

fn halonctl(server: &Smtpd) -> Halonctl {
    Halonctl::of(&server.dir().join("smtpd.ctl"))
}

/// What is queued, once the queue is read, by id.
fn queued(halonctl: &Halonctl) -> Vec<Value> {
    let mut rows = Vec::new();
    let whole = wait_until(Duration::from_secs(30), || {
        let ended = halonctl.run(&["queue", "list", "--sort", "id", "--json"]);
        rows = serde_json::from_str(&ended.stdout).unwrap_or_default();
        ended.status == Some(0) && ended.stderr.is_empty()
    });
    assert!(whole, "{:?}", halonctl.run(&["queue", "list"]));
    rows
}

fn ids(rows: &[Value]) -> Vec<String> {
    let id =
        |row: &Value| format!("{}:{}", row["id"]["transaction"].as_str().unwrap_or(""), row["id"]["queue"]);
    rows.iter().map(id).collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("it is listed").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn succeeded(ended: &Ended) -> &str {
    assert_eq!(ended.status, Some(0), "{ended:?}");
    &ended.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

#[test]
fn an_unload_in_parts_cuts_no_message() {
    let sink = Sink::start();
    let server =
        Smtpd::relay_to(sink.port()).server("phases: {eod: {hook: x}}").running(SCRIPT).shards(1).start();
    let halonctl = halonctl(&server);
    // halonctl asks for 1,000 recipients at a time.
    let to: Vec<String> = (0..400).map(|number| format!("u{number}@a.example")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    for _ in 0..4 {
        Client::connect(server.port()).send("n@s.example", &to, b"Subject: x\r\n\r\nx\r\n");
    }
    let directory = server.dir().join("out");
    let ended = halonctl.run(&["queue", "unload", "--all", "--path", text(&directory)]);
    assert!(succeeded(&ended).starts_with("1600 messages affected\n"), "{ended:?}");
    let parts = || server.log().iter().filter(|line| line.contains("queue unload --path ")).count();
    assert!(wait_until(Duration::from_secs(60), || parts() == 2), "{} parts", parts());
    assert_eq!((files(&directory).len(), queued(&halonctl).len()), (4, 0));
    let ended = halonctl.run(&["queue", "load", text(&directory)]);
    assert_eq!((succeeded(&ended), queued(&halonctl).len()), ("1600 messages affected\n", 1600));
}

#[test]
fn unloaded_mail_leaves_one_server_and_is_delivered_once_by_another() {
    // OPS23, OPS24
    let (first_sink, second_sink) = (Sink::start(), Sink::start());
    let (first, second) = (node(&first_sink), node(&second_sink));
    let (one, two) = (halonctl(&first), halonctl(&second));
    let body = b"Subject: x\r\n\r\nx\r\n";
    Client::connect(first.port()).send(
        "n@s.example",
        &["a@a.example", "job-b@a.example", "c@b.example"],
        body,
    );
    Client::connect(first.port()).send("n@s.example", &["job-d@a.example"], body);
    succeeded(&one.run(&["queue", "update", "--jobid", "x", "--set-retrycount", "3"]));
    let before = queued(&one);
    let leaving: Vec<Value> = before.iter().filter(|row| row["jobid"] == "x").cloned().collect();
    assert_eq!((before.len(), leaving.len()), (4, 2));
    // Segments, and no file per message.
    assert!(files(first.spool()).iter().all(|path| path.extension().is_none_or(|ending| ending != "hqf")));

    let directory = first.dir().join("out");
    let dry = one.run(&["queue", "unload", "--jobid", "x", "--path", text(&directory), "--dry-run"]);
    assert_eq!(succeeded(&dry), "2 messages would be affected\n");
    assert_eq!((queued(&one).len(), directory.exists()), (4, false));
    let ended = one.run(&["queue", "unload", "--jobid", "x", "--path", text(&directory)]);
    assert!(succeeded(&ended).starts_with("2 messages affected\n"), "{ended:?}");
    let found = files(&directory);
    let expected: BTreeSet<PathBuf> = leaving
        .iter()
        .map(|row| row["id"]["transaction"].as_str().expect("an id"))
        .map(|id| directory.join(&id[..2]).join(format!("{id}.hqf")))
        .collect();
    assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), expected);
    assert!(found.iter().all(|path| ended.stdout.contains(text(path))), "{}", ended.stdout);

    // They are gone, also after a restart; the others are not.
    let (builder, _) = first.stop();
    let first = builder.start();
    let one = halonctl(&first);
    let left = queued(&one);
    assert_eq!((left.len(), left.iter().all(|row| row["jobid"] == "")), (2, true));

    let dry = two.run(&["queue", "load", "--dry-run", text(&directory)]);
    assert_eq!((succeeded(&dry), queued(&two).len()), ("2 messages would be affected\n", 0));
    let ended = two.run(&["queue", "load", text(&directory)]);
    assert_eq!(succeeded(&ended), "2 messages affected\n");
    assert!(files(&directory).is_empty());
    let arrived = queued(&two);
    for (sent, got) in leaving.iter().zip(&arrived) {
        for field in
            ["id", "ts", "state", "sender", "recipient", "jobid", "metadata", "quotas", "retry", "size"]
        {
            assert_eq!(sent[field], got[field], "{field}");
        }
    }
    second.wait_for_log("queue load /");
    let (builder, _) = second.stop();
    let second = builder.start();
    let two = halonctl(&second);
    assert_eq!(ids(&queued(&two)), ids(&leaving));
    succeeded(&two.run(&["queue", "update", "--all", "--active"]));
    let mut to: Vec<String> = second_sink.wait_for(2).into_iter().flat_map(|message| message.to).collect();
    to.sort();
    assert_eq!(to.len(), 2, "{to:?}");
    assert!(to[0].contains("job-b@a.example") && to[1].contains("job-d@a.example"), "{to:?}");
    assert_eq!((queued(&one).len(), first_sink.messages().len()), (2, 0));
}

#[test]
fn damaged_double_and_unreadable_files_stay_and_are_named() {
    // OPS20, OPS75
    let sink = Sink::start();
    let as_root = nix::unistd::geteuid().is_root();
    let builder = Smtpd::relay_to(sink.port()).server("phases: {eod: {hook: x}}").running(SCRIPT);
    let open = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("it is ours");
    };
    open(builder.dir());
    let builder = if as_root { builder.environment("privdrop: {user: nobody}") } else { builder };
    let server = builder.start();
    let halonctl = halonctl(&server);
    for to in ["a@a.example", "b@a.example", "c@a.example", "d@a.example"] {
        Client::connect(server.port()).send("n@s.example", &[to], b"Subject: x\r\n\r\nx\r\n");
    }
    let directory = server.dir().join("out");
    succeeded(&halonctl.run(&["queue", "unload", "--all", "--path", text(&directory)]));
    let found = files(&directory);
    let [damaged, double, unreadable, good] = &found[..] else { panic!("{found:?}") };
    succeeded(&halonctl.run(&["queue", "load", "--keep", text(double)]));
    let mut bytes = std::fs::read(damaged).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(damaged, bytes).expect("it is ours");
    std::fs::set_permissions(unreadable, std::fs::Permissions::from_mode(0o000)).expect("it is ours");
    if as_root {
        std::os::unix::fs::chown(unreadable, Some(0), Some(0)).expect("root may");
    }

    let ended = halonctl.run(&["queue", "load", text(&directory)]);
    assert_eq!(ended.status, Some(1));
    let said = |path: &Path, what: &str| {
        let line = ended.stderr.lines().find(|line| line.contains(text(path)));
        assert!(line.is_some_and(|line| line.contains(what)), "{what}: {ended:?}");
    };
    said(damaged, "is damaged: ");
    said(double, "is already queued (a duplicate)");
    said(unreadable, "Permission denied");
    assert!(ended.stderr.contains("3 of 4 files were not loaded"), "{ended:?}");
    assert!(ended.stdout.contains("1 messages affected"), "{ended:?}");
    assert_eq!(files(&directory), [damaged.clone(), double.clone(), unreadable.clone()]);
    let loaded: BTreeSet<String> = queued(&halonctl)
        .iter()
        .map(|row| row["id"]["transaction"].as_str().unwrap_or("").to_owned())
        .collect();
    let expected =
        [double, good].map(|path| path.file_stem().and_then(|name| name.to_str()).unwrap_or("").to_owned());
    assert_eq!(loaded, expected.into_iter().collect());
    let ended = halonctl.run(&["queue", "load", "/nowhere/x.hqf"]);
    assert!(ended.status == Some(1) && ended.stderr.contains("/nowhere/x.hqf: No such file"), "{ended:?}");
}

/// Queues so many messages for one recipient each.
fn fill(server: &Smtpd, messages: usize) {
    let mut client = Client::connect(server.port());
    for number in 0..messages {
        let to = format!("r{number}@a.example");
        client.send("n@s.example", &[&to], b"Subject: x\r\n\r\nx\r\n");
    }
}

#[test]
fn a_server_that_is_killed_while_it_unloads_or_loads_has_each_message_once() {
    // OPS74
    const MESSAGES: usize = 500;
    let sink = Sink::start();
    sink.answer(SinkReply::Rcpt("451 4.3.0 come back later".to_owned()));
    let mut server = node(&sink);
    fill(&server, MESSAGES);
    let whole = ids(&queued(&halonctl(&server)));
    assert_eq!(whole.len(), MESSAGES);
    let directory = server.dir().join("out");
    let mut reached = Vec::new();
    // Each time a little further; then back.
    for (command, part) in [("unload", 50), ("unload", 150), ("load", 150), ("load", 50)] {
        let halonctl = halonctl(&server);
        let words = match command {
            "unload" => vec!["queue", "unload", "--all", "--path", text(&directory)],
            _ => vec!["queue", "load", text(&directory)],
        };
        let enough = |count: usize| if command == "unload" { count >= part } else { count <= part };
        std::thread::scope(|scope| {
            let run = scope.spawn(|| halonctl.run(&words));
            let seen = wait_until(Duration::from_secs(60), || enough(files(&directory).len()));
            assert!(seen, "{command}: {} files", files(&directory).len());
            let builder = std::mem::replace(&mut server, node(&sink)).kill();
            server = builder.start();
            drop(run.join());
        });
        let halonctl = self::halonctl(&server);
        let mut both = ids(&queued(&halonctl));
        let complete =
            files(&directory).into_iter().filter(|path| path.extension().is_some_and(|e| e == "hqf"));
        let in_files: Vec<String> = complete
            .map(|path| format!("{}:1", path.file_stem().and_then(|name| name.to_str()).unwrap_or("")))
            .collect();
        reached.push(in_files.len());
        both.extend(in_files);
        both.sort();
        assert_eq!(both, whole, "{command}: {reached:?}");
    }
    let halonctl = halonctl(&server);
    succeeded(&halonctl.run(&["queue", "load", text(&directory)]));
    assert_eq!(ids(&queued(&halonctl)), whole);
    assert!(reached.iter().any(|files| (1..MESSAGES).contains(files)), "{reached:?}");
}

/// The first recipient gets a header that the second does not get.
const HEADER_SCRIPT: &str = r#"
scripting:
  hooks:
    eod:
      - id: x
        data: |
          $mail = $arguments["mail"];
          $mail->addHeader("X-One", "yes");
          foreach ($transaction["recipients"] as $r) {
              $mail->queue($transaction["senderaddress"], $r["address"], $r["transportid"]);
              $mail->delHeader("X-One");
          }
          Accept();
"#;

fn output(program: &str, arguments: &[&str]) -> String {
    let run = std::process::Command::new(tests::program(program)).args(arguments).output().expect("it runs");
    let (out, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{program} {arguments:?}: {errors}");
    out.into_owned()
}

#[test]
fn the_offline_tools_say_the_same_of_the_spool_and_of_an_unloaded_file() {
    // OPS21, OPS22
    let sink = Sink::start();
    sink.answer(SinkReply::Rcpt("451 4.3.0 come back later".to_owned()));
    let builder = Smtpd::relay_to(sink.port()).without_retry().server("phases: {eod: {hook: x}}");
    let server = builder.running(HEADER_SCRIPT).start();
    let halonctl = halonctl(&server);
    let body = b"Subject: x\r\n\r\nx\r\n";
    Client::connect(server.port()).send("n@s.example", &["a@a.example", "b@a.example"], body);
    let deferred = wait_until(Duration::from_secs(60), || {
        let rows = queued(&halonctl);
        rows.len() == 2 && rows.iter().all(|row| row["state"] == "DEFER")
    });
    assert!(deferred, "{:?}", queued(&halonctl));
    let id = queued(&halonctl)[0]["id"]["transaction"].as_str().expect("an id").to_owned();
    let spool = text(server.spool());
    let mut listed = String::new();
    // What was settled is on disk a moment later.
    let on_disk = wait_until(Duration::from_secs(60), || {
        listed = output("hqfcat", &["--id", &id, spool]);
        listed.matches("\"retry\": 1").count() == 2
    });
    assert!(on_disk, "{listed}");
    let emls = |source: &[&str]| {
        [vec![], vec!["-R", "1"], vec!["-R", "2"]].map(|words| output("hqfeml", &[&words, source].concat()))
    };
    let live = emls(&["--id", &id, spool]);
    let directory = server.dir().join("out");
    let held = halonctl.run(&["queue", "unload", "--id", &id, "--path", text(&directory)]);
    assert!(succeeded(&held).starts_with("2 messages affected\n"), "{held:?}");
    let file = directory.join(&id[..2]).join(format!("{id}.hqf"));
    let rows = |listed: &str| -> Vec<Value> {
        let mut rows: Vec<Value> = serde_json::from_str(listed).expect("JSON");
        // A file has no place in the spool.
        rows.iter_mut().for_each(|row| row["message"] = Value::Null);
        rows
    };
    let (in_spool, in_file) = (rows(&listed), rows(&output("hqfcat", &[text(&file)])));
    assert_eq!(in_spool, in_file);
    let row = &in_file[0];
    assert_eq!(
        (&row["status"], &row["retry"], &row["transportid"]),
        (&"QUEUE".into(), &1.into(), &"out".into())
    );
    assert!(row["retryts"].as_u64() > row["ts"].as_u64(), "{row}");
    assert_eq!(emls(&[text(&file)]), live);
    assert_eq!(live.each_ref().map(|eml| eml.contains("X-One: yes")), [false, true, false], "{live:?}");
    assert!(live.iter().all(|eml| eml.ends_with("Subject: x\r\n\r\nx\r\n") || eml.contains("Subject: x")));
}
