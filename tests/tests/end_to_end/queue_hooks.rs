//! Hooks of the queue: the acceptance cases of the reference and some of our own, against the real program. The cases are in
//! `queue_hooks.txt`.

use std::time::Duration;

use control::Command;
use control::smtpd::queue_update_request::Action;
use control::smtpd::{
    Fields8, QueueActive, QueueBounce, QueueDelete, QueueUpdateRequest, QueueUpdateResponse,
    SuspendAddRequest, SuspendAddResponse, SuspendDeleteRequest, SuspendDeleteResponse,
};
use serde_json::Value;
use tests::name_server::{NameServer, Record};
use tests::{Behaviour, Client, Halonctl, Message, Peer, Phase, Rule, Smtpd, wait_until};

const CASES: &str = include_str!("queue_hooks.txt");

/// What `by mx` finds.
const ZONE: [(&str, Record); 3] = [
    ("null.example", Record::Mx(0, "")),
    ("slow.example", Record::Mx(10, "mx1.q.example")),
    ("*.example", Record::A("127.0.0.1")),
];

/// One case: its scripts, its keys of the transport, and the steps.
#[derive(Default)]
struct Case<'c> {
    name: &'c str,
    scripts: Vec<(&'c str, String)>,
    transport: Vec<&'c str>,
    by_mx: bool,
    soft_bounce: bool,
    peer: Vec<&'c str>,
    steps: Vec<(&'c str, &'c str)>,
}

const SCRIPTS: [&str; 3] = ["predelivery", "postdelivery", "eod"];

fn cases() -> Vec<Case<'static>> {
    let mut cases: Vec<Case<'static>> = Vec::new();
    for line in CASES.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("== ") {
            cases.push(Case { name, ..Case::default() });
            continue;
        }
        let case = cases.last_mut().expect("a case has begun");
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word.strip_suffix(':') {
            Some(script) if SCRIPTS.contains(&script) => case.scripts.push((script, rest.to_owned())),
            Some("transport") => case.transport.push(rest),
            _ if line.starts_with(' ') => {
                let (_, script) = case.scripts.last_mut().expect("a script goes on");
                script.push('\n');
                script.push_str(line);
            }
            _ if line == "by mx" => case.by_mx = true,
            _ if line == "soft bounce" => case.soft_bounce = true,
            _ if word == "peer" => case.peer.push(rest),
            _ => case.steps.push((word, rest)),
        }
    }
    cases
}

/// The next hop of a case.
fn behaviour(case: &Case<'_>) -> Behaviour {
    let mut rules: Vec<Rule> = Vec::new();
    let mut behaviour = Behaviour::new();
    let last = |rules: &mut Vec<Rule>, change: &dyn Fn(Rule) -> Rule| {
        let rule = rules.pop().expect("it is about a reply");
        rules.push(change(rule));
    };
    for line in &case.peer {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "Banner" => rules.push(Rule::at(Phase::Banner).reply(rest)),
            "Rcpt" => rules.push(Rule::at(Phase::Rcpt).reply(rest)),
            "Dot" => rules.push(Rule::at(Phase::Dot).reply(rest)),
            "once" => last(&mut rules, &|rule| rule.first(1)),
            "rcpt" => last(&mut rules, &|rule| rule.containing(&format!("<{rest}"))),
            "dsn" => behaviour = behaviour.extension("DSN"),
            "offers" => behaviour = behaviour.extension(rest),
            "lmtp" => behaviour = behaviour.lmtp(),
            other => panic!("{}: no such peer: {other}", case.name),
        }
    }
    rules.into_iter().fold(behaviour, Behaviour::rule)
}

fn server(case: &Case<'_>, port: u16, dns: &NameServer) -> Smtpd {
    let of_queue = case.scripts.iter().filter(|(name, _)| *name != "eod");
    let quoted = |text: &str| quoted(&text.replace("PEER", &port.to_string()));
    let mut hooks: String = of_queue.map(|(name, text)| format!("    {name}: {}\n", quoted(text))).collect();
    let eod = case.scripts.iter().find(|(name, _)| *name == "eod");
    if let Some((_, text)) = eod {
        hooks.push_str(&format!("    eod:\n      - id: x\n        data: {}\n", quoted(text)));
    }
    let running = format!(
        "  - id: more\n    transports:\n      - id: t2\n        connection: {{server: 127.0.0.1, port: {port}}}\n\
         scripting:\n  hooks:\n{hooks}"
    );
    let mut builder = Smtpd::relay_to(port).running(&running).server("extensions: {dsn: true}");
    if case.by_mx {
        builder = builder
            .replace_connection(&format!("connection: {{port: {port}}}"))
            .running(&format!("resolver: {{servers: [\"127.0.0.1:{}\"]}}\n", dns.port()));
    }
    if case.soft_bounce {
        builder = builder.running("queues: {softbounce: true}\n");
    }
    for keys in &case.transport {
        builder = builder.transport(keys);
    }
    if eod.is_some() {
        builder = builder.server("phases: {eod: {hook: x}}");
    }
    builder.start()
}

/// A YAML string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn send(server: &Smtpd, text: &str) {
    try_send(server, text, "250");
}

/// Sends what `FROM -> TO...` describes; the end of data is answered so.
fn try_send(server: &Smtpd, text: &str, answer: &str) {
    let mut parts = text.splitn(3, " ; ");
    let (envelope, of_rcpt, of_mail) =
        (parts.next().unwrap_or(text), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (from, to): (&str, Vec<String>) = match envelope.strip_prefix("to ") {
        Some(rest) => {
            let (count, from) = rest.split_once(' ').expect("N FROM");
            let count: usize = count.parse().expect("a number");
            (from, (1..=count).map(|number| format!("r{number}@z.example")).collect())
        }
        None => {
            let (from, to) = envelope.split_once("->").expect("FROM -> TO");
            (from.trim(), to.split_whitespace().map(str::to_owned).collect())
        }
    };
    let mut client = Client::connect(server.port());
    let mail = format!("MAIL FROM:<{from}> {of_mail}");
    client.command(&format!("{}\r\n", mail.trim_end()), "250");
    for to in to {
        let rcpt = format!("RCPT TO:<{to}> {of_rcpt}");
        client.command(&format!("{}\r\n", rcpt.trim_end()), "250");
    }
    client.command("DATA\r\n", "354");
    client.command("Subject: x\r\n\r\nhello\r\n.\r\n", answer);
}

/// What is queued, as `halonctl queue list` has it.
fn rows(server: &Smtpd) -> Vec<Value> {
    let halonctl = Halonctl::of(&server.dir().join("smtpd.ctl"));
    let ended = halonctl.run(&["queue", "list", "--json"]);
    serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", ended.stdout, ended.stderr))
}

/// Whether so many recipients are queued, each in this state and for this address.
fn is_queued(server: &Smtpd, text: &str) -> bool {
    let words: Vec<&str> = text.split(' ').collect();
    let rows = rows(server);
    let is = |row: &Value| {
        let of_row = [&row["state"], &row["recipient"]].map(|value| value.as_str().unwrap_or_default());
        words[1..].iter().zip(of_row).all(|(wanted, is)| *wanted == is)
    };
    rows.len().to_string() == words[0] && rows.iter().all(is)
}

/// Whether all that is queued has been tried so often and is tried again so many seconds after something that happened between
/// `since_s` and now.
fn waits(server: &Smtpd, text: &str, since_s: f64) -> bool {
    let (retry, seconds) = text.split_once(' ').expect("RETRY SECONDS");
    let seconds: f64 = seconds.parse().expect("a number");
    let rows = rows(server);
    let until_s = unix_s() + seconds + 1.0;
    let is = |row: &Value| {
        let at_s = row["retryts"].as_f64().unwrap_or_default();
        row["retry"].as_u64().unwrap_or_default().to_string() == retry
            && (since_s + seconds - 1.0..=until_s).contains(&at_s)
    };
    !rows.is_empty() && rows.iter().all(is)
}

fn unix_s() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("it is after 1970").as_secs_f64()
}

fn run(case: &Case<'_>) {
    let name = case.name;
    let peer = Peer::start(behaviour(case));
    let dns = NameServer::start(&ZONE);
    let mut server = server(case, peer.port(), &dns);
    let mut seen: Vec<Message> = Vec::new();
    let begun_s = unix_s();
    for (step, text) in &case.steps {
        match *step {
            "refused" => {
                let (answer, message) = text.split_once(" ; ").expect("ANSWER ; FROM -> TO");
                try_send(&server, message, answer);
            }
            "queued" => {
                let is = wait_until(Duration::from_secs(20), || is_queued(&server, text));
                assert!(is, "{name}: {text}: {:#?}", rows(&server));
            }
            "waits" => {
                let is = wait_until(Duration::from_secs(20), || waits(&server, text, begun_s));
                assert!(is, "{name}: {text}: {:#?}", rows(&server));
            }
            "send" => send(&server, text),
            "update" => update(name, &server, text),
            "counted" => {
                let (metric, count) = text.split_once(' ').expect("METRIC COUNT");
                let is = || server.control().metric(metric).is_some_and(|value| value.to_string() == count);
                assert!(wait_until(Duration::from_secs(20), is), "{name}: {text}");
            }
            "restart" => server = server.kill().start(),
            "log" => {
                let there = wait_until(Duration::from_secs(20), || has_line(&server, text));
                assert!(there, "{name}: no line {text:?} in:\n{}", server.log().join("\n"));
            }
            "silent" => {
                let came = wait_until(Duration::from_millis(500), || has_line(&server, text));
                assert!(!came, "{name}: {text:?} in:\n{}", server.log().join("\n"));
            }
            "once" => {
                let count = || server.log().iter().filter(|line| line.contains(text)).count();
                assert!(!wait_until(Duration::from_millis(1200), || count() > 1), "{name}: {text:?} again");
                assert_eq!(count(), 1, "{name}: {text:?}");
            }
            "delivered" => seen.push(delivered(name, &server, &peer, text)),
            "body" => {
                let message = seen.last().expect("something was delivered");
                let data = String::from_utf8_lossy(&message.data);
                assert!(data.contains(&unescaped(text)), "{name}: {text}: {data}");
            }
            "lacks" => {
                let message = seen.last().expect("something was delivered");
                let data = String::from_utf8_lossy(&message.data);
                assert!(!data.contains(&unescaped(text)), "{name}: {text}: {data}");
            }
            "until" => {
                let after_s: f64 = text.parse().expect("SECONDS");
                let message = seen.last().expect("something was delivered");
                let data = String::from_utf8_lossy(&message.data);
                let dates = [begun_s, unix_s()].map(|at_s| minute(at_s + after_s));
                let said = dates.iter().any(|date| data.contains(&format!("Will-Retry-Until: {date}")));
                assert!(said, "{name}: none of {dates:?}: {data}");
            }
            "mail" | "rcpt" => {
                let message = seen.last().expect("something was delivered");
                let first = || message.rcpt_parameters.first().cloned().unwrap_or_default();
                let had = if *step == "mail" { message.mail_parameters.clone() } else { first() };
                has_parameters(name, &had, text);
            }
            "said" => {
                let has = |line: &String| has_parts(line, text);
                let heard =
                    || peer.connections().iter().any(|connection| connection.commands.iter().any(has));
                assert!(
                    wait_until(Duration::from_secs(20), heard),
                    "{name}: {text}: {:?}",
                    peer.connections()
                );
            }
            "report" => {
                let is_it = |message: &Message| {
                    message.from.is_empty()
                        && has_parts(&String::from_utf8_lossy(&message.data), &unescaped(text))
                };
                let there = wait_until(Duration::from_secs(20), || peer.messages().iter().any(is_it));
                assert!(there, "{name}: {text}: {:?}", peer.messages());
            }
            "nothing" => {
                let came = wait_until(Duration::from_millis(500), || peer.message_count() > seen.len());
                assert!(!came, "{name}: {:?}", peer.messages());
            }
            "no" => {
                let came = wait_until(Duration::from_millis(500), || peer.connection_count() > 0);
                assert!(!came, "{name}: the next hop was connected to:\n{}", server.log().join("\n"));
            }
            "connections" => {
                assert_eq!(peer.connection_count().to_string(), *text, "{name}");
            }
            other => panic!("{name}: no such step: {other}"),
        }
    }
}

/// A time as reports write it, to the minute.
fn minute(unix_s: f64) -> String {
    let at = format!("@{}", unix_s as u64);
    let out = std::process::Command::new("date")
        .args(["-u", "-d", &at, "+%a, %d %b %Y %H:%M"])
        .output()
        .expect("date runs");
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// Does this to all that is queued, as an operator.
fn update(name: &str, server: &Smtpd, action: &str) {
    let action = match action {
        "active" => Action::Active(QueueActive::default()),
        "delete" => Action::Delete(QueueDelete::default()),
        "bounce" => Action::Bounce(QueueBounce::default()),
        other => panic!("{name}: no such action: {other}"),
    };
    let request = QueueUpdateRequest { action: Some(action), ..QueueUpdateRequest::default() };
    let answer = server.control().ask::<QueueUpdateResponse>(Command::QueueUpdate, &request);
    assert!(answer.is_ok_and(|answer| answer.affected > 0), "{name}");
}

/// Whether a line of the log has all parts of a text.
fn has_line(server: &Smtpd, text: &str) -> bool {
    server.log().iter().any(|line| has_parts(line, text))
}

/// Whether there are all parts of a text, which `*` divides, in order.
fn has_parts(mut rest: &str, text: &str) -> bool {
    text.split('*').all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

fn unescaped(text: &str) -> String {
    text.replace("\\r", "\r").replace("\\n", "\n")
}

/// A command had these parameters, and none that begins as one with a `!`.
fn has_parameters(name: &str, had: &str, expected: &str) {
    let had: Vec<&str> = had.split_whitespace().collect();
    for word in expected.split_whitespace() {
        match word.strip_prefix('!') {
            Some(start) => assert!(!had.iter().any(|word| word.starts_with(start)), "{name}: {had:?}"),
            None => assert!(had.contains(&word), "{name}: {word}: {had:?}"),
        }
    }
}

/// The message that `FROM -> TO...` describes, once it has come.
fn delivered(name: &str, server: &Smtpd, peer: &Peer, text: &str) -> Message {
    let (from, to) = text.split_once("->").expect("FROM -> TO");
    let (from, to): (&str, Vec<&str>) = (from.trim(), to.split_whitespace().collect());
    let find = || peer.messages().into_iter().find(|message| message.from == from && message.to == to);
    wait_until(Duration::from_secs(10), || find().is_some());
    find().unwrap_or_else(|| panic!("{name}: {text}: {:?}\n{}", peer.messages(), server.log().join("\n")))
}

#[test]
fn the_acceptance_cases_of_the_queue_hold() {
    let only = std::env::var("CASE").unwrap_or_default();
    let cases = cases();
    assert!(cases.len() > 20, "{}", cases.len());
    // Each has a server and a next hop of its own, and mostly waits.
    let failed: Vec<&str> = std::thread::scope(|scope| {
        let chunks = cases.chunks(cases.len().div_ceil(4));
        let threads: Vec<_> = chunks.map(|chunk| scope.spawn(|| failures(chunk, &only))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("failures are caught")).collect()
    });
    assert_eq!(failed, [""; 0], "what went wrong stands above");
}

/// The cases that do not hold.
fn failures<'c>(cases: &[Case<'c>], only: &str) -> Vec<&'c str> {
    let cases = cases.iter().filter(|case| case.name.contains(only));
    let fails = |case: &&Case<'c>| std::panic::catch_unwind(|| run(case)).is_err();
    cases.filter(fails).map(|case| case.name).collect()
}

#[test]
fn whoever_waits_without_having_been_tried_is_not_asked_again() {
    let peer = Peer::start(Behaviour::new());
    let dns = NameServer::start(&ZONE);
    let case = Case {
        name: "suspended",
        scripts: vec![
            ("predelivery", "echo \"asked\"; $context = 7;".to_owned()),
            ("postdelivery", "echo \"found \" . $context;".to_owned()),
        ],
        by_mx: true,
        ..Case::default()
    };
    let server = server(&case, peer.port(), &dns);
    // It is known only once the host is, so the script has been asked by then.
    let mut control = server.control();
    let fields = Fields8 { remotemx: Some("mx.example".to_owned()), ..Fields8::default() };
    let request = SuspendAddRequest { fields: Some(fields), ttl: 60.0, ..SuspendAddRequest::default() };
    let added = control.ask::<SuspendAddResponse>(Command::SuspendAdd, &request).expect("it is added");
    send(&server, "a@x.example -> b@mx.example");
    server.wait_for_log("] asked");
    assert!(!wait_until(Duration::from_millis(500), || peer.connection_count() > 0));
    let request = SuspendDeleteRequest { ids: vec![added.id], ..SuspendDeleteRequest::default() };
    control.ask::<SuspendDeleteResponse>(Command::SuspendDelete, &request).expect("it is there");
    peer.wait_for(1);
    server.wait_for_log("] found 7");
    assert_eq!(server.log().iter().filter(|line| line.contains("] asked")).count(), 1);
}
