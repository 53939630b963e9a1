//! The monitor: probes, metrics, and a shard that stands still (reference: cli-and-operations 7.1 and 20).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use control::framing::{self, Status};
use control::smtpd::shard_status::State;
use control::smtpd::trace_event::Kind;
use control::smtpd::{
    ProcessStatsResponse, QueueListRequest, QueueListResponse, ShardStatus, ShardStatusResponse, StringMatch,
    TraceEvent, TraceRequest, TraceResponse, waiting,
};
use control::{Command, Message as _};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tests::{Builder, Client, Halonctl, Sink, Smtpd, free_port, wait_until};

/// What no answer takes, however busy the machine is.
const A_BUSY_MACHINE: Duration = Duration::from_secs(20);
const BODY: &[u8] = b"Subject: x\r\n\r\nx\r\n";

/// A server with a monitor, and the monitor's port.
fn monitored(next_hop: u16) -> (Builder, u16) {
    let port = free_port();
    let listener = format!("monitor: {{listener: {{address: 127.0.0.1, port: {port}}}}}");
    (Smtpd::relay_to(next_hop).startup(&listener), port)
}

/// The status and the body of an answer.
fn get(port: u16, path: &str, headers: &str) -> (u16, String) {
    request(port, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"))
}

fn request(port: u16, text: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the monitor listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    stream.write_all(text.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer of text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}

fn metrics(port: u16) -> String {
    let (status, text) = get(port, "/metrics", "");
    assert_eq!(status, 200, "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    text
}

/// The value of a sample.
fn value(text: &str, sample: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {sample} in\n{text}")).parse().expect("a number")
}

#[test]
fn ops40_metrics_want_a_key_and_health_ends_with_the_stop_while_ready_stays() {
    let sink = Sink::start();
    let (builder, port) = monitored(sink.port());
    let server = builder.running("monitor: {apikeys: [first, second]}\n").start();
    assert!(wait_until(Duration::from_secs(20), || get(port, "/ready", "").0 == 200));
    assert_eq!(get(port, "/healthy", ""), (200, "healthy\n".to_owned()));
    assert_eq!(get(port, "/metrics", "").0, 401);
    assert_eq!(get(port, "/metrics", "X-API-Key: third\r\n").0, 403);
    let (status, text) = get(port, "/metrics", "X-API-Key: second\r\n");
    assert_eq!(status, 200);
    let pid = format!(
        "# TYPE halon_process_pid gauge\n# HELP halon_process_pid Process id\nhalon_process_pid {}\n",
        server.pid()
    );
    assert!(text.starts_with(&pid), "{text}");
    assert_eq!((value(&text, "halon_monitor_ready"), value(&text, "halon_monitor_healthy")), (1.0, 1.0));
    assert_eq!(get(port, "/other", "").0, 404);
    assert_eq!(request(port, "DELETE /ready HTTP/1.1\r\nConnection: close\r\n\r\n").0, 405);
    assert_eq!(request(port, "EHLO x\r\n\r\n").0, 400);

    // A transaction keeps the server from ending at once.
    let mut client = Client::connect(server.port());
    client.command("MAIL FROM:<a@a.example>\r\n", "250");
    server.signal(Signal::SIGTERM);
    server.wait_for_log("Stopping");
    assert_eq!(get(port, "/healthy", ""), (503, "shutting down\n".to_owned()));
    assert_eq!(get(port, "/ready", "").0, 200);
    client.command("RSET\r\n", "250");
    drop(client);
    let mut server = server;
    assert!(server.wait().success());
}

#[test]
fn hk04_what_happens_is_counted_with_errors_of_scripts() {
    let sink = Sink::start();
    let (builder, port) = monitored(sink.port());
    let server = builder
        .server("phases: {mailfrom: {hook: x}, eod: {hook: x}}")
        .running(
            "scripting:\n  hooks:\n    mailfrom: [{id: x, data: 'if ($arguments[\"address\"][\"localpart\"] == \"bad\") throw Exception(\"no\");'}]\n    eod: [{id: x, data: '$t = $transaction; foreach ($t[\"recipients\"] as $r) $arguments[\"mail\"]->queue($t[\"senderaddress\"], $r[\"address\"], $r[\"transportid\"]); Accept();'}]\n",
        )
        .start();
    let mut client = Client::connect(server.port());
    client.command("MAIL FROM:<bad@a.example>\r\n", "4");
    drop(client);
    Client::connect(server.port()).send("a@a.example", &["b@b.example", "c@b.example"], BODY);
    sink.wait_for(1);
    let mut text = String::new();
    let done = wait_until(Duration::from_secs(10), || {
        text = metrics(port);
        value(&text, "halon_queue_delivery_delivered_total") == 2.0
    });
    assert!(done, "{text}");
    let script = |what: &str, hook: &str| {
        value(&text, &format!("halon_servers_scripts_{what}{{hook=\"{hook}\",server=\"default\"}}"))
    };
    assert_eq!((script("errors_total", "mailfrom"), script("finished_total", "mailfrom")), (1.0, 2.0));
    assert_eq!((script("errors_total", "eod"), script("finished_total", "eod")), (0.0, 1.0));
    assert_eq!(script("running", "eod"), 0.0);
    let counted = [
        ("halon_intake_connections_total", 2.0),
        ("halon_intake_messages_total", 1.0),
        ("halon_intake_recipients_total", 2.0),
        ("halon_intake_refused_total", 1.0),
        ("halon_queue_loader_count_total", 2.0),
        ("halon_spool_commits_total", 1.0),
        ("halon_process_stalled", 0.0),
    ];
    for (sample, expected) in counted {
        assert_eq!(value(&text, sample), expected, "{sample}\n{text}");
    }
    assert!(value(&text, "halon_queue_connections_opened_total") >= 1.0);
    assert!(value(&text, "halon_shards_cpu_total{shard=\"0\"}") > 0.0);
}

#[test]
fn a_keep_alive_connection_serves_one_request_after_the_other() {
    let (builder, port) = monitored(1);
    let _server = builder.start();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the monitor listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    for _ in 0..3 {
        stream.write_all(b"GET /healthy HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n")
            || !answer.windows(4).any(|end| end == b"\r\n\r\n")
            || answer.ends_with(b"\r\n\r\n")
        {
            let mut some = [0; 512];
            let count = stream.read(&mut some).expect("an answer");
            assert_ne!(count, 0, "it was closed: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&some[..count]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 "));
    }
}

#[test]
fn ops39_process_stats_have_the_documented_part_and_every_metric() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).driver("epoll").start();
    Client::connect(server.port()).send("a@a.example", &["b@b.example"], BODY);
    sink.wait_for(1);
    let mut stats = ProcessStatsResponse::default();
    let delivered = wait_until(Duration::from_secs(10), || {
        stats = server.control().ask_plainly(Command::ProcessStats).expect("an answer");
        stats.queue.as_ref().and_then(|queue| queue.delivery).is_some_and(|delivery| delivery.delivered == 1)
    });
    assert!(delivered, "{stats:?}");
    let process = stats.process.expect("there");
    assert_eq!(process.pid, u64::from(server.pid()));
    assert!(process.elapsed > 0.0 && process.runtime <= process.elapsed as u64);
    let connections = stats.servers["default"].connections.expect("there");
    assert!(connections.max > 0, "{connections:?}");
    let text = control::openmetrics::render(&stats.metrics);
    let pid = format!("# HELP halon_process_pid Process id\nhalon_process_pid {}\n", server.pid());
    assert!(text.starts_with("# TYPE halon_process_pid gauge\n") && text.contains(&pid), "{text}");
    assert!(text.contains("\nhalon_process_driver{driver=\"epoll\"} 1\n"), "{text}");
    let rows: ShardStatusResponse = server.control().ask_plainly(Command::ShardStatus).expect("an answer");
    assert_eq!(rows.shards.iter().map(|row| row.received).sum::<u64>(), 1);
    assert!(rows.shards.iter().all(|row| row.state() == State::Ok && row.elapsedus > 0), "{rows:?}");
}

#[test]
fn metrics_of_scripts_are_summed_over_the_shards() {
    let (builder, port) = monitored(1);
    let script = "metrics_increment(\"seen\", [\"from\" => $arguments[\"address\"][\"localpart\"]]); \
                  metrics_set(\"took\", [], 0.7); metrics_set(\"level\", [], 6); metrics_decrement(\"level\", [], 2); \
                  $none = metrics_increment(\"unknown\", []); \
                  Reject(\"seen \" . metrics_get(\"seen\", [\"from\" => \"a\"])[\"value\"] . \" level \" . metrics_get(\"level\", [])[\"value\"] . \" \" . ($none === none ? \"none\" : \"some\"));";
    let metrics = "monitor:\n  metrics:\n    - {name: seen, type: counter, help: Senders}\n    - {name: level, type: gauge}\n    - {name: took, type: histogram, buckets: [0.5, 1]}\n";
    let running = format!("{metrics}scripting:\n  hooks:\n    mailfrom: [{{id: x, data: '{script}'}}]\n");
    let server = builder.shards(2).server("phases: {mailfrom: {hook: x}}").running(&running).start();
    // Open at once, so that they are spread over the shards.
    let mut clients: Vec<Client> = (0..4).map(|_| Client::connect(server.port())).collect();
    for (count, client) in (1..).zip(&mut clients) {
        let reply = client.command("MAIL FROM:<a@a.example>\r\n", "5");
        assert!(reply.contains(&format!("seen {count} level 4 none")), "{reply}");
    }
    let text = self::metrics(port);
    assert_eq!(value(&text, "halon_seen_total{from=\"a\"}"), 4.0);
    assert_eq!(value(&text, "halon_level"), 4.0);
    assert_eq!(value(&text, "halon_took_bucket{le=\"0.5\"}"), 0.0);
    assert_eq!(value(&text, "halon_took_bucket{le=\"1\"}"), 4.0);
    assert_eq!(value(&text, "halon_took_count"), 4.0);
}

#[test]
fn a_trace_shows_both_directions_and_no_secret() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).start();
    let mut watcher = server.control();
    let domain = StringMatch { value: "b.example".to_owned(), ..StringMatch::default() };
    let request = TraceRequest {
        recipientdomains: vec![domain],
        incoming: true,
        connections: 1,
        time: 20.0,
        ..TraceRequest::default()
    };
    let mut wire = Vec::new();
    framing::write_request(&mut wire, Command::Trace, &request.encode_to_vec());
    watcher.write(&wire);
    server.wait_for_log("follows SMTP dialogues");
    // One that is not asked for, and one that is.
    Client::connect(server.port()).send("a@a.example", &["x@c.example"], BODY);
    let mut client = Client::connect(server.port());
    client.command("AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", "5");
    client.send("a@a.example", &["x@b.example"], BODY);
    client.command("QUIT\r\n", "221");
    let mut seen = Vec::new();
    let answer = loop {
        let response = watcher.read().expect("an answer");
        match response.status {
            Status::Asynchronous => {
                let event = TraceEvent::decode(&response.payload[..]).expect("an event");
                assert!(!event.outgoing && event.name == "default");
                seen.push((event.kind(), String::from_utf8_lossy(&event.text).into_owned()));
            }
            _ => break TraceResponse::decode(&response.payload[..]).expect("the end"),
        }
    };
    assert_eq!((answer.connections, answer.lost), (1, 0));
    let has = |kind: Kind, text: &str| seen.iter().any(|(own, line)| *own == kind && line.starts_with(text));
    for (kind, text) in [
        (Kind::Open, ""),
        (Kind::Sent, "220 "),
        (Kind::Received, "AUTH PLAIN ***"),
        (Kind::Received, "MAIL FROM:<a@a.example>"),
        (Kind::Received, "RCPT TO:<x@b.example>"),
        (Kind::Received, "DATA"),
        (Kind::Sent, "354"),
        (Kind::Note, "message, "),
        (Kind::Sent, "250 2.0.0"),
        (Kind::Received, "QUIT"),
        (Kind::Close, ""),
    ] {
        assert!(has(kind, text), "{kind:?} {text} in {seen:#?}");
    }
    let all = format!("{seen:?}");
    assert!(!all.contains("AGFsaWNl") && !all.contains("Subject") && !all.contains("c.example"), "{all}");
}

/// The thread of a shard is stopped as a debugger does it: it neither turns nor waits.
#[test]
fn a_shard_that_stands_still_is_told_of_while_the_others_serve() {
    let sink = Sink::start();
    let (builder, port) = monitored(sink.port());
    let server = builder.shards(2).start();
    assert!(wait_until(Duration::from_secs(20), || get(port, "/healthy", "").0 == 200));
    let thread = shard_thread(server.pid(), 1);
    stop(thread);

    server.wait_for_log("shard 1 stands still");
    assert_eq!(get(port, "/healthy", ""), (503, "1 shards stand still\n".to_owned()));
    let asked = Instant::now();
    let text = metrics(port);
    let took = asked.elapsed();
    println!("/metrics beside a shard that stands still: {took:?}");
    assert!(took < A_BUSY_MACHINE, "{took:?}");
    assert_eq!(value(&text, "halon_process_stalled"), 1.0);
    let asked = Instant::now();
    let rows: ShardStatusResponse =
        server.control().ask_plainly(Command::ShardStatus).expect("it answers while a shard stands still");
    let took = asked.elapsed();
    println!("shard status beside a shard that stands still: {took:?}");
    assert!(took < A_BUSY_MACHINE, "{took:?}");
    let states: Vec<State> = rows.shards.iter().map(ShardStatus::state).collect();
    assert_eq!(states, [State::Ok, State::Stalled]);
    assert!(rows.shards[1].stalledms >= 1000, "{rows:?}");
    assert_eq!(get(port, "/ready", "").0, 200);

    ptrace::detach(thread, None).expect("it goes on");
    server.wait_for_log("shard 1 goes on");
    assert!(wait_until(Duration::from_secs(20), || get(port, "/healthy", "").0 == 200));
    Client::connect(server.port()).send("a@a.example", &["b@b.example"], BODY);
    sink.wait_for(1);
}

/// A script that computes gives way many times a second: its shard is stopped while it is at it.
#[test]
fn a_shard_that_is_stopped_in_a_script_says_which_hook_in_which_file_and_line() {
    let lines = ["function spin() {", "  while (true)", "    $turns = 1;", "}"]
        .map(|line| format!("        {line}\n"));
    let scripting = format!(
        "scripting:\n  files:\n    - id: lib.hsl\n      data: |\n{}  hooks:\n    mailfrom:\n      - id: x\n        data: |\n          include \"lib.hsl\";\n          spin();\n",
        lines.concat()
    );
    let server =
        Smtpd::relay_to(1).server("phases: {mailfrom: {hook: x}}").running(&scripting).shards(2).start();
    let halonctl = Halonctl::of(&server.dir().join("smtpd.ctl"));
    let rows = || -> Vec<ShardStatus> {
        let answer: ShardStatusResponse =
            server.control().ask_plainly(Command::ShardStatus).expect("it answers");
        answer.shards
    };
    let (mut clients, mut seen) = (Vec::new(), Vec::new());
    let stuck = (0..20).find_map(|_| {
        let busy = || rows().into_iter().find(|row| row.scriptsrunning > 0).map(|row| row.shard);
        let shard = busy().unwrap_or_else(|| {
            let mut client = Client::connect(server.port());
            client.write(b"MAIL FROM:<a@a.example>\r\n");
            clients.push(client);
            assert!(wait_until(Duration::from_secs(60), || busy().is_some()), "no script runs");
            busy().expect("it runs for long")
        });
        let thread = shard_thread(server.pid(), shard);
        stop(thread);
        let row = || rows().into_iter().find(|row| row.shard == shard && row.state() == State::Stalled);
        assert!(wait_until(Duration::from_secs(60), || row().is_some()), "{:?}", rows());
        seen.extend(row().map(|row| row.r#where));
        // It may have been stopped between two slices of the script.
        if seen.last().is_some_and(|place| place.starts_with("mailfrom:x at ")) {
            return Some((shard, thread));
        }
        ptrace::detach(thread, None).expect("it goes on");
        assert!(wait_until(Duration::from_secs(60), || row().is_none()), "{:?}", rows());
        None
    });
    let (shard, thread) = stuck.unwrap_or_else(|| panic!("it is mostly in the script: {seen:?}"));
    let place = seen.pop().expect("it was seen");
    assert_eq!(place, "mailfrom:x at file:lib.hsl:3");

    let asked = Instant::now();
    let shown = halonctl.run(&["shard", "status"]);
    println!("halonctl shard status beside a shard that is stuck in a script: {:?}", asked.elapsed());
    let line = shown.stdout.lines().find(|line| line.contains("STALLED")).unwrap_or_default();
    assert!(line.starts_with(&format!("│     {shard} │")), "{shown:?}");
    assert!(line.contains(&format!(" in {place} │")), "{line}");
    let listed = halonctl.run(&["queue", "list"]);
    let partial = format!("the answer is partial: shard {shard} has been stalled for ");
    assert_eq!(listed.status, Some(0), "{listed:?}");
    assert!(listed.stderr.contains(&partial), "{listed:?}");
    assert!(listed.stderr.contains(&format!(" in {place}")), "{listed:?}");
    server.wait_for_log(&format!("ms, in {place}"));
    ptrace::detach(thread, None).expect("it goes on");
}

/// Its counters cannot be asked, which is not what their limits say.
#[test]
fn mail_whose_counters_stand_on_a_stuck_shard_says_that_it_waits_for_that() {
    let sink = Sink::start();
    let builder = Smtpd::relay_to(sink.port()).shards(2);
    let path = builder.dir().join("smtpd-policy.yaml");
    let policies = "version: \"6.10\"\npolicies: [{fields: [recipientdomain], default: {concurrency: 1}}]\n";
    std::fs::write(&path, policies).expect("it can be written");
    let server = builder.environment(&format!("policyconf: \"{}\"", path.display())).start();
    let halonctl = Halonctl::of(&server.dir().join("smtpd.ctl"));
    assert_eq!(halonctl.run(&["queue", "suspend", "add", "--id", "all"]).status, Some(0));
    // Both shards have some to domains that each of them counts for.
    for number in 0..40 {
        Client::connect(server.port()).send("a@a.example", &[&format!("x@d{number}.example")], BODY);
    }
    let thread = shard_thread(server.pid(), 1);
    stop(thread);
    server.wait_for_log("shard 1 stands still");
    assert_eq!(halonctl.run(&["queue", "suspend", "delete", "--id", "all"]).status, Some(0));
    let mut control = server.control();
    let mut seen = Vec::new();
    let told = wait_until(Duration::from_secs(30), || {
        let answer: QueueListResponse =
            control.ask(Command::QueueList, &QueueListRequest::default()).expect("an answer");
        seen = answer.queue.into_iter().filter_map(|row| row.waiting).collect();
        seen.iter().any(|waiting| waiting.kind() == waiting::Kind::Lease)
    });
    ptrace::detach(thread, None).expect("it goes on");
    assert!(told, "{seen:#?}");
    for waiting in seen.iter().filter(|waiting| waiting.kind() == waiting::Kind::Lease) {
        let text = waiting.text.strip_prefix("policy recipientdomain=d").unwrap_or_default();
        assert!(text.ends_with(".example: shard 1, which counts for it, does not answer"), "{waiting:?}");
    }
    sink.wait_for(40);
}

/// What a service manager that watches the process would see: it ends itself, and the next start goes on where it was.
#[test]
fn a_shard_that_stands_still_for_good_ends_the_process_and_the_next_start_loses_nothing() {
    let port = free_port();
    let notify = tempfile::tempdir().expect("a temporary directory");
    let path = notify.path().join("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket can be made there");
    let builder = Smtpd::relay_to(port)
        .shards(2)
        .variable("NOTIFY_SOCKET", path.to_str().expect("ASCII"))
        .variable("WATCHDOG_USEC", "6000000");
    let mut server = builder.start();
    Client::connect(server.port()).send("a@a.example", &["b@b.example"], BODY);
    let thread = shard_thread(server.pid(), 1);
    stop(thread);
    server.wait_for_log("in the server's own code: aborting, to be started anew");
    // A thread that is traced has to be waited for by who traces it.
    waitpid(thread, Some(WaitPidFlag::__WALL)).expect("it ends");
    assert_eq!(server.wait().signal(), Some(Signal::SIGABRT as i32));

    // With it go the listening sockets that it was given to keep.
    drop(manager);
    let sink = Sink::start_on(port);
    let server = server.into_builder().start();
    sink.wait_for(1);
    Client::connect(server.port()).send("a@a.example", &["c@b.example"], BODY);
    sink.wait_for(2);
}

/// Stops a thread as a debugger does it.
fn stop(thread: Pid) {
    ptrace::seize(thread, ptrace::Options::empty()).expect("our own child may be traced");
    ptrace::interrupt(thread).expect("it is traced");
    waitpid(thread, Some(WaitPidFlag::__WALL)).expect("it stops");
}

/// The id of a shard's thread.
fn shard_thread(pid: u32, shard: u32) -> Pid {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let wanted = format!("shard-{shard}\n");
    tasks
        .filter_map(Result::ok)
        .find(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name == wanted))
        .and_then(|task| task.file_name().to_str()?.parse().ok())
        .map(Pid::from_raw)
        .expect("there is such a shard")
}
