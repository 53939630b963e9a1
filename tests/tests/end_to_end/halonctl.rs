//! `halonctl` and `halontop` against the real server: acceptance cases of the reference. The cases are in `halonctl.txt`.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tests::{Client, Ended, Halonctl, Run, Sink, SinkReply, Smtpd, wait_until};

const CASES: &str = include_str!("halonctl.txt");

/// Queues by the local part, as the file of cases says.
const SCRIPT: &str = r#"
    function cached($x) { return $x; }
    foreach ($transaction["recipients"] as $r) {
        $who = $r["address"]["localpart"];
        $options = [];
        if (str_find($who, "held-") === 0)
            $options = ["hold" => true, "metadata" => ["qid" => "week"], "quotas" => ["q1"]];
        if (str_find($who, "job-") === 0)
            $options = ["jobid" => "x"];
        if (str_find($who, "cached-") === 0)
            cache [] cached($who);
        $arguments["mail"]->queue($transaction["senderaddress"], $r["address"], $r["transportid"], $options);
    }
    Accept();"#;

/// A run of the program, and what is expected of it.
struct Command<'c> {
    line: &'c str,
    once: bool,
    expected: Vec<(&'c str, &'c str)>,
}

enum Step<'c> {
    Command(Command<'c>),
    Other(&'c str, &'c str),
}

struct Case<'c> {
    name: &'c str,
    steps: Vec<Step<'c>>,
}

/// What a line begins with.
const STEPS: [&str; 7] = ["skip", "next hop", "policy", "send", "delivered", "held up", "log"];
const EXPECTED: [&str; 6] = ["exit", "rows", "out", "err", "json", "take"];

fn cases() -> Vec<Case<'static>> {
    let mut cases: Vec<Case<'static>> = Vec::new();
    for line in CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("== ") {
            cases.push(Case { name, steps: Vec::new() });
            continue;
        }
        let steps = &mut cases.last_mut().expect("a case has begun").steps;
        let rest = |word: &str| line.strip_prefix(word)?.strip_prefix(' ');
        if let Some((line, once)) =
            rest("$").map(|line| (line, false)).or(rest("$1").map(|line| (line, true)))
        {
            steps.push(Step::Command(Command { line, once, expected: Vec::new() }));
        } else if let Some((word, text)) = STEPS.iter().find_map(|word| Some((*word, rest(word)?))) {
            steps.push(Step::Other(word, text));
        } else if let Some((word, text)) = EXPECTED.iter().find_map(|word| Some((*word, rest(word)?))) {
            let Some(Step::Command(command)) = steps.last_mut() else { panic!("{line}: of which command?") };
            command.expected.push((word, text));
        } else {
            panic!("no such step: {line}");
        }
    }
    cases
}

/// Words as a shell splits them, with single quotes.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// What is at a place of JSON.
fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, part| match part.parse::<usize>() {
        Ok(index) => value.get(index),
        Err(_) => value.get(part),
    })
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The rows of a table, or the items of an array.
fn rows(output: &str) -> usize {
    match serde_json::from_str::<Value>(output) {
        Ok(value) => value.as_array().map_or(0, Vec::len),
        Err(_) => output.lines().filter(|line| line.starts_with('│')).count().saturating_sub(1),
    }
}

/// Whether a run is as expected; else what is not.
fn differs(ended: &Ended, expected: &[(&str, &str)]) -> Option<String> {
    let wanted = expected
        .iter()
        .find_map(|(word, text)| (*word == "exit").then(|| text.parse::<i32>().expect("a status")));
    if ended.status != Some(wanted.unwrap_or_default()) {
        return Some("exit".to_owned());
    }
    let json: Value = serde_json::from_str(&ended.stdout).unwrap_or(Value::Null);
    let wrong = expected.iter().find(|(word, text)| match *word {
        "rows" => rows(&ended.stdout) != text.parse::<usize>().expect("a number"),
        "out" => match text.strip_prefix('*') {
            Some(part) => !ended.stdout.lines().any(|line| line.contains(part)),
            None => !ended.stdout.lines().any(|line| line == *text),
        },
        "err" => !ended.stderr.contains(text),
        "json" => {
            let (path, value) = text.split_once(" = ").expect("PATH = VALUE");
            at(&json, path).map(as_text).as_deref() != Some(value)
        }
        "take" => at(&json, text.split_once(' ').expect("NAME PATH").1).is_none(),
        _ => false,
    });
    wrong.map(|(word, text)| format!("{word} {text}"))
}

/// A case under way.
struct Stage {
    sink: Sink,
    server: Smtpd,
    halonctl: Halonctl,
    taken: Vec<(String, String)>,
    /// Whether the next line of a policy file begins it.
    policy_ended: bool,
}

impl Stage {
    fn of(case: &Case<'_>) -> Stage {
        let sink = Sink::start();
        let script: String = SCRIPT.lines().map(|line| format!("          {line}\n")).collect();
        let builder = Smtpd::relay_to(sink.port())
            .without_retry()
            .server("phases: {eod: {hook: x}}")
            .running(&format!("scripting:\n  hooks:\n    eod:\n      - id: x\n        data: |\n{script}"));
        let policy = builder.dir().join("smtpd-policy.yaml");
        let first: String = case
            .steps
            .iter()
            .take_while(|step| matches!(step, Step::Other("policy", _)))
            .filter_map(|step| if let Step::Other(_, line) = step { Some(format!("{line}\n")) } else { None })
            .collect();
        if !first.is_empty() {
            std::fs::write(&policy, first).expect("a temporary directory can be written");
        }
        let server = builder.environment(&format!("policyconf: \"{}\"", policy.display())).start();
        let halonctl = Halonctl::of(&server.dir().join("smtpd.ctl"));
        Stage { sink, server, halonctl, taken: Vec::new(), policy_ended: true }
    }

    fn run(&mut self, name: &str, command: &Command<'_>) {
        let filled =
            self.taken.iter().fold(command.line.to_owned(), |line, (key, value)| line.replace(key, value));
        let words = words(&filled);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut ended = self.halonctl.run(&words);
        if !command.once {
            wait_until(Duration::from_secs(30), || {
                differs(&ended, &command.expected).is_none() || {
                    ended = self.halonctl.run(&words);
                    false
                }
            });
        }
        let wrong = differs(&ended, &command.expected);
        assert!(
            wrong.is_none(),
            "{name}: {}: {wrong:?}: {ended:#?}\n{}",
            command.line,
            self.server.log().join("\n")
        );
        for (_, text) in command.expected.iter().filter(|(word, _)| *word == "take") {
            let (key, path) = text.split_once(' ').expect("NAME PATH");
            let json: Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
            self.taken.push((format!("@{key}"), at(&json, path).map(as_text).expect("it is there")));
        }
    }

    fn other(&mut self, name: &str, step: &str, text: &str) {
        match step {
            "next hop" => match text {
                "accepts" => self.sink.answer(SinkReply::Accept),
                "defers" => self.sink.answer(SinkReply::Rcpt("451 4.3.0 come back later".to_owned())),
                "refuses" => self.sink.answer(SinkReply::Rcpt("550 5.1.1 nobody".to_owned())),
                _ => self.sink.pause(Duration::from_secs(3)),
            },
            "policy" => self.policy(text),
            "send" => {
                let (from, to) = text.split_once(" -> ").expect("FROM -> TO");
                let to: Vec<&str> = to.split_whitespace().collect();
                Client::connect(self.server.port()).send(from, &to, b"Subject: x\r\n\r\nx\r\n");
            }
            "delivered" => drop(self.sink.wait_for(text.parse::<usize>().expect("a number"))),
            "held up" => {
                let most: usize = text.parse().expect("a number");
                let more = wait_until(Duration::from_millis(700), || self.sink.messages().len() > most);
                assert!(!more, "{name}: {:?}", self.sink.messages());
            }
            _ => self.server.wait_for_log(text),
        }
        self.policy_ended = step != "policy";
    }

    fn policy(&self, line: &str) {
        let path = self.server.dir().join("smtpd-policy.yaml");
        let before = if self.policy_ended {
            String::new()
        } else {
            std::fs::read_to_string(&path).unwrap_or_default()
        };
        std::fs::write(path, format!("{before}{line}\n")).expect("a temporary directory can be written");
    }
}

#[test]
fn the_acceptance_cases_of_halonctl_hold() {
    let only = std::env::var("HALONCTL_CASE").unwrap_or_default();
    let cases = cases();
    assert!(cases.len() > 15, "{}", cases.len());
    for case in cases.iter().filter(|case| case.name.contains(&only)) {
        if let Some(Step::Other("skip", reason)) = case.steps.first() {
            println!("skipped: {}: {reason}", case.name);
            continue;
        }
        let mut stage = Stage::of(case);
        for step in &case.steps {
            match step {
                Step::Command(command) => stage.run(case.name, command),
                Step::Other(step, text) => stage.other(case.name, step, text),
            }
        }
    }
}

#[test]
fn who_may_not_open_the_socket_is_told_so() {
    // OPS66
    let server = Smtpd::relay_to(1).control_keys(", chmod: \"0660\"").start();
    let socket = server.dir().join("smtpd.ctl");
    let mode = std::fs::metadata(&socket).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!(mode, 0o660);
    let halonctl = Halonctl::of(&socket);
    let ended = if nix::unistd::geteuid().is_root() {
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(server.dir(), open).expect("it is ours");
        halonctl.command(&["process-stats"]).as_nobody().end()
    } else {
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o000)).expect("it is ours");
        halonctl.run(&["process-stats"])
    };
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("Permission denied"), "{ended:?}");
}

#[test]
fn a_server_that_is_not_there_and_a_wrong_file_are_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let ended = Halonctl::of(&dir.path().join("none.ctl")).run(&["queue", "list"]);
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("none.ctl: No such file or directory; is smtpd running?"), "{ended:?}");
    let config = dir.path().join("wrong.yaml");
    std::fs::write(&config, "environment: {controlsocket: {prt: 1}}").expect("it can be written");
    let ended = Run::of("halonctl").args(["queue", "list"]).arg_path("--config", &config).end();
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("wrong.yaml:1:31: environment.controlsocket.prt"), "{ended:?}");
}

#[test]
fn halontop_prints_one_screen_for_scripts() {
    // OPS69, without a terminal.
    let server = Smtpd::relay_to(1).start();
    let halonctl = Halonctl::of(&server.dir().join("smtpd.ctl"));
    assert_eq!(halonctl.run(&["process-stats"]).status, Some(0));
    let config = server.dir().join("halonctl.yaml");
    let ended = Run::of("halontop").args(["--once"]).arg_path("--config", &config).end();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stdout.starts_with(&format!("smtpd pid {}", server.pid())), "{}", ended.stdout);
    for pane in ["SERVERS", "SHARDS", "SCRIPTS", "QUEUES", "POOLING", "DELIVERY", "RESOLVER"] {
        assert!(ended.stdout.contains(pane), "{pane}: {}", ended.stdout);
    }
}

#[test]
fn halontop_shows_panes_on_a_terminal_and_leaves_it_as_it_was() {
    // OPS69
    let server = Smtpd::relay_to(1).start();
    drop(Halonctl::of(&server.dir().join("smtpd.ctl")));
    let size = nix::pty::Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = nix::pty::openpty(&size, None).expect("a pseudo terminal");
    let slave = || Stdio::from(pty.slave.try_clone().expect("descriptors are left"));
    let before = nix::sys::termios::tcgetattr(&pty.slave).expect("it is a terminal");
    let mut child = std::process::Command::new(tests::program("halontop"))
        .arg("--config")
        .arg(server.dir().join("halonctl.yaml"))
        .env("TERM", "xterm")
        .stdin(slave())
        .stdout(slave())
        .stderr(slave())
        .spawn()
        .expect("halontop can be started");
    let screen = Arc::new(Mutex::new(String::new()));
    let mut output = File::from(pty.master.try_clone().expect("descriptors are left"));
    let writer = Arc::clone(&screen);
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = output.read(&mut chunk) {
            let text = String::from_utf8_lossy(&chunk[..length]).into_owned();
            writer.lock().expect("no panic").push_str(&text);
        }
    });
    let text = || screen.lock().expect("no panic").clone();
    let pid = server.pid().to_string();
    let shown = wait_until(Duration::from_secs(60), || {
        let text = text();
        [pid.as_str(), "SERVERS", "QUEUES", "DELIVERY"].iter().all(|part| text.contains(part))
    });
    assert!(shown, "{}", text());
    let mut keyboard = File::from(pty.master);
    let drawn = text().len();
    // The right arrow key moves on: something is drawn anew.
    keyboard.write_all(b"\x1b[C").expect("it reads");
    assert!(wait_until(Duration::from_secs(60), || text().len() > drawn));
    keyboard.write_all(b"q").expect("it reads");
    let mut ended = None;
    let gone = wait_until(Duration::from_secs(60), || {
        ended = child.try_wait().expect("our own child");
        ended.is_some()
    });
    if !gone {
        let _ = child.kill();
    }
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "{}", text());
    // The other screen is left, and the terminal is in the mode that it was in.
    assert!(wait_until(Duration::from_secs(20), || text().contains("\x1b[?1049l")), "{}", text());
    let after = nix::sys::termios::tcgetattr(&pty.slave).expect("it is a terminal");
    assert_eq!(after.local_flags, before.local_flags);
}
