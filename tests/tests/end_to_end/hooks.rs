//! Hooks: the acceptance cases of the reference, against the real program. The cases are in `hooks.txt`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use control::Command;
use control::smtpd::ProcessStatsResponse;
use tests::{Client, Message, Sink, Smtpd, wait_until};

const CASES: &str = include_str!("hooks.txt");

/// One case: its scripts, and the steps.
struct Case<'c> {
    name: &'c str,
    /// Phase and text; `rcptto@domain` for one recipient domain.
    scripts: Vec<(&'c str, String)>,
    steps: Vec<(&'c str, &'c str)>,
}

/// What a line of a case begins with, if it is a step.
const STEPS: [&str; 14] = [
    "C:",
    "lines",
    "S:",
    "S+",
    "closed",
    "reset",
    "delivered",
    "body",
    "no body",
    "equal",
    "log",
    "no log",
    "metric",
    "on disk",
];

fn cases() -> Vec<Case<'static>> {
    let mut cases: Vec<Case<'static>> = Vec::new();
    for line in CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("== ") {
            cases.push(Case { name, scripts: Vec::new(), steps: Vec::new() });
            continue;
        }
        let case = cases.last_mut().expect("a case has begun");
        let step = STEPS.iter().find(|step| line.starts_with(**step));
        if line == "nothing delivered" {
            case.steps.push((line, ""));
        } else if let Some(step) = step {
            case.steps.push((step, line[step.len()..].trim_start()));
        } else if line.starts_with(' ') {
            let (_, script) = case.scripts.last_mut().expect("a script goes on");
            script.push('\n');
            script.push_str(line);
        } else {
            let (phase, script) = line.split_once(": ").expect("a script has a phase");
            case.scripts.push((phase, script.to_owned()));
        }
    }
    cases
}

/// Starts the server of a case.
fn server(case: &Case<'_>, port: u16) -> Smtpd {
    let mut phases: Vec<String> = Vec::new();
    let mut scripts: Vec<String> = Vec::new();
    let (mut recipients, mut domains, mut of_recipients) = (Vec::new(), Vec::new(), Vec::new());
    for (phase, text) in &case.scripts {
        let domain = phase.split_once('@').map(|(_, domain)| domain);
        let id = domain.map_or_else(|| "x".to_owned(), |_| format!("of{}", domains.len()));
        let script = format!("      - id: \"{id}\"\n        data: {}\n", quoted(text));
        match *phase {
            "auth" => phases.push("auth: {hook: x, tls: false}".to_owned()),
            "rcptto" => recipients.push("id: x".to_owned()),
            phase if phase.starts_with("rcptto@") => {
                domains.push(format!("\"{}\": {id}", domain.unwrap_or_default()));
            }
            phase => phases.push(format!("{phase}: {{hook: x}}")),
        }
        if phase.starts_with("rcptto") {
            of_recipients.push(script);
        } else {
            scripts.push(format!("    {phase}:\n{script}"));
        }
    }
    if !domains.is_empty() {
        recipients.push(format!("recipientdomains: {{{}}}", domains.join(", ")));
    }
    if !recipients.is_empty() {
        phases.push(format!("rcptto: {{hook: {{{}}}}}", recipients.join(", ")));
        scripts.push(format!("    rcptto:\n{}", of_recipients.concat()));
    }
    let running = format!(
        "  - id: more\n    transports:\n      - id: t2\n        connection: {{server: 127.0.0.1, port: {port}}}\n\
         scripting:\n  hooks:\n{}",
        if scripts.is_empty() { "    connect: []\n".to_owned() } else { scripts.concat() }
    );
    let builder = Smtpd::relay_to(port).running(&running);
    let builder = if phases.is_empty() {
        builder
    } else {
        builder.server(&format!("phases: {{{}}}", phases.join(", ")))
    };
    builder.start()
}

/// A YAML string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn unescaped(text: &str) -> String {
    text.replace("\\r", "\r").replace("\\n", "\n")
}

/// Whether a line is as the pattern says: a `*` stands for anything, three digits for the code alone.
fn matches(pattern: &str, line: &str) -> bool {
    if pattern.len() == 3 {
        return line.starts_with(pattern);
    }
    match pattern.split_once('*') {
        Some((start, end)) => line.starts_with(start) && line.ends_with(end),
        None => line == pattern,
    }
}

fn run(case: &Case<'_>) {
    let name = case.name;
    let sink = Sink::start();
    let server = server(case, sink.port());
    let mut connection = Some(Client::open(server.port()));
    let mut replied: Option<String> = None;
    let mut seen: Vec<Message> = Vec::new();
    let mut steps = case.steps.iter().peekable();
    while let Some((step, text)) = steps.next() {
        if *step == "reset" {
            connection.take().expect("it was open").reset();
            continue;
        }
        if let Some(client) = &mut connection
            && talk(name, client, (step, text), &mut replied)
        {
            if steps.peek().is_none_or(|(next, _)| *next != "S+") {
                replied = None;
            }
            continue;
        }
        match *step {
            "log" => server.wait_for_log(text),
            "no log" => {
                let log = server.log();
                assert!(!log.iter().any(|line| line.contains(text)), "{name}: {text}:\n{}", log.join("\n"));
            }
            "delivered" => {
                let message = delivered(name, &sink, text);
                seen.push(message);
            }
            "body" | "no body" => {
                let message = seen.last().expect("something was delivered");
                let data = String::from_utf8_lossy(&message.data);
                assert_eq!(data.contains(&unescaped(text)), *step == "body", "{name}: {text}: {data}");
            }
            "equal" => {
                let [.., one, other] = &seen[..] else { panic!("{name}: less than two were delivered") };
                assert_eq!(one.original(), other.original(), "{name}");
            }
            "metric" => {
                let (metric, expected) = text.split_once(' ').expect("NAME N");
                let is = || sum(&server, metric);
                let expected: f64 = expected.parse().expect("a number");
                assert!(wait_until(Duration::from_secs(20), || is() == expected), "{name}: {text}: {}", is());
            }
            "on disk" => {
                let (count, text) = text.split_once(' ').expect("N TEXT");
                assert_eq!(on_disk(server.spool(), text.as_bytes()).to_string(), count, "{name}: {text}");
            }
            "nothing delivered" => {
                let came = wait_until(Duration::from_millis(300), || sink.messages().len() > seen.len());
                assert!(!came, "{name}: {:?}", sink.messages());
            }
            other => panic!("{name}: no such step: {other}"),
        }
    }
}

/// What all metrics of a name come to.
pub(crate) fn sum(server: &Smtpd, name: &str) -> f64 {
    let stats: ProcessStatsResponse = server.control().ask_plainly(Command::ProcessStats).expect("an answer");
    let text = control::openmetrics::render(&stats.metrics);
    let of_name = text.lines().filter(|line| line.starts_with(name));
    of_name.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// How often the files below a directory have a text.
pub(crate) fn on_disk(directory: &Path, text: &[u8]) -> usize {
    let entries = std::fs::read_dir(directory).expect("it can be read");
    let paths = entries.map(|entry| entry.expect("it is listed").path());
    let count = |path: PathBuf| match path.is_dir() {
        true => on_disk(&path, text),
        false => {
            let bytes = std::fs::read(path).unwrap_or_default();
            // Most of a segment was never written.
            let blocks = bytes.chunks(4096).filter(|block| **block != [0; 4096][..block.len()]);
            let written = blocks.collect::<Vec<_>>().concat();
            written.windows(text.len()).filter(|part| *part == text).count()
        }
    };
    paths.map(count).sum()
}

/// Carries out a step that is about the connection; false: it is not. `replied` is the reply that further lines are looked for in.
fn talk(name: &str, client: &mut Client, (step, text): (&str, &str), replied: &mut Option<String>) -> bool {
    match step {
        "C:" => client.write(format!("{}\r\n", unescaped(text)).as_bytes()),
        "lines" => {
            let line = [&[b'x'; 998][..], b"\r\n"].concat();
            client.write(&line.repeat(text.parse().expect("a number")));
        }
        "S:" => {
            let reply = client.reply();
            let last = reply.lines().last().unwrap_or_default();
            assert!(matches(text, last) || matches(text, reply.trim_end()), "{name}: {text}: {reply:?}");
        }
        "S+" => {
            let reply = replied.get_or_insert_with(|| client.reply());
            assert!(reply.lines().any(|line| matches(text, line)), "{name}: {text}: {reply:?}");
        }
        "closed" => assert_eq!(client.reply(), "", "{name}: is not closed"),
        _ => return false,
    }
    true
}

/// The message that `FROM -> TO...` describes, once it has come.
fn delivered(name: &str, sink: &Sink, text: &str) -> Message {
    let (from, to) = text.split_once("->").expect("FROM -> TO");
    let (from, to): (&str, Vec<&str>) = (from.trim(), to.split_whitespace().collect());
    let find = || sink.messages().into_iter().find(|message| message.from == from && message.to == to);
    wait_until(Duration::from_secs(10), || find().is_some());
    find().unwrap_or_else(|| panic!("{name}: {text}: {:?}", sink.messages()))
}

#[test]
fn the_acceptance_cases_of_the_reference_hold() {
    let only = std::env::var("CASE").unwrap_or_default();
    let cases = cases();
    assert!(cases.len() > 20, "{}", cases.len());
    for case in cases.iter().filter(|case| case.name.contains(&only)) {
        run(case);
    }
}

#[test]
fn a_configuration_with_a_wrong_script_or_an_unknown_one_is_refused_with_its_place() {
    let running = "scripting:\n  hooks:\n    mailfrom:\n      - id: x\n        data: \"Accept(\"\n";
    let server = Smtpd::relay_to(1).running(running).server("phases: {mailfrom: {hook: x}}").launch();
    server.wait_for_log("mailfrom:x:1:8: error: expected an expression");
    let server = Smtpd::relay_to(1).server("phases: {mailfrom: {hook: y}}").launch();
    server.wait_for_log("there is no mailfrom script \"y\"");
}

#[test]
fn what_a_script_can_hardly_mean_is_told_by_the_check_the_start_and_a_reload() {
    let running = |text: &str| format!("scripting:\n  hooks:\n    predelivery: {}\n", quoted(text));
    let told = "predelivery:1:6: warning: Try() has no option `hots`";
    let builder = Smtpd::relay_to(1).running(&running("Try([\"hots\" => \"x\"]);"));
    let config = builder.write_files();
    let mut check = std::process::Command::new(tests::program("smtpd"));
    let check = check.arg("-t").arg("-c").arg(config).output().expect("it runs");
    let text = String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success() && text.contains(told), "{text}");
    assert!(text.contains("help: is `host` meant?") && !text.contains("warning: predelivery"), "{text}");
    let server = builder.start();
    server.wait_for_log(told);
    let path = server.dir().join("smtpd-app.yaml");
    let text = std::fs::read_to_string(&path).expect("it was written");
    std::fs::write(&path, text.replace("hots", "hosts")).expect("its directory can be written");
    server.signal(nix::sys::signal::Signal::SIGHUP);
    server.wait_for_log("predelivery:1:6: warning: Try() has no option `hosts`");
}

#[test]
fn a_held_and_a_delayed_copy_are_so_after_a_restart_too() {
    let script = "$m = $arguments[\"mail\"];
        $m->queue(\"a@x.example\", \"held@z.example\", \"out\", [\"hold\" => true]);
        $m->queue(\"a@x.example\", \"later@z.example\", \"out\", [\"delay\" => 3]);
        $m->queue(\"a@x.example\", \"now@z.example\", \"out\");
        Accept();";
    let running =
        format!("scripting:\n  hooks:\n    eod:\n      - id: x\n        data: {}\n", quoted(script));
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).running(&running).server("phases: {eod: {hook: x}}").start();
    Client::connect(server.port()).send("a@x.example", &["b@z.example"], b"Subject: x\r\n\r\nhi\r\n");
    sink.wait_for(1);
    let server = server.kill().start();
    let to = || sink.messages().iter().flat_map(|message| message.to.clone()).collect::<Vec<_>>();
    assert!(!to().contains(&"later@z.example".to_owned()), "{:?}", to());
    assert!(
        wait_until(Duration::from_secs(10), || to().contains(&"later@z.example".to_owned())),
        "{:?}",
        to()
    );
    assert!(!to().contains(&"held@z.example".to_owned()), "{:?}", to());
    drop(server);
}
