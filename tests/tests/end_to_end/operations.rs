//! What operators do: restart under load, freeze and thaw, check, count, and read the log slowly.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::pki::Authority;
use tests::{Builder, Client, ControlClient, SecureClient, Sink, Smtpd, free_port, program, wait_until};

const BODY: &[u8] = b"Subject: x\r\n\r\nx\r\n";

/// The service manager keeps the sockets: no connection is refused or broken, whatever the number of shards.
#[test]
fn restarts_under_load_refuse_no_connection() {
    let sink = Sink::start();
    for driver in ["uring", "epoll"] {
        let mut builder = Smtpd::relay_to(sink.port()).driver(driver);
        let configs: Vec<PathBuf> = [2, 1, 3]
            .into_iter()
            .map(|shards| {
                builder = std::mem::replace(&mut builder, Smtpd::relay_to(0)).shards(shards);
                let path = builder.dir().join(format!("smtpd-{shards}.yaml"));
                std::fs::copy(builder.write_files(), &path).expect("a temporary directory can be written");
                path
            })
            .collect();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/supervisor.py");
        let before = sink.messages().len();
        let output = Command::new("python3")
            .arg(script)
            .arg(program("smtpd"))
            .arg(builder.dir().join("notify"))
            .arg(builder.port().to_string())
            .args(&configs)
            .stderr(Stdio::piped())
            .output()
            .expect("python3 is there");
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
        println!("{driver}: {report}");
        let number = |name: &str| {
            let (_, rest) = report.split_once(&format!("\"{name}\": ")).expect("it is reported");
            rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse::<usize>().ok())
        };
        assert_eq!((number("refused"), number("broken")), (Some(0), Some(0)), "{report}");
        assert!(
            report.contains("\"handed_over\": [2, 2], \"exits\": [0, 0, 0], \"alive\": true"),
            "{report}"
        );
        let accepted = number("accepted").expect("a number");
        assert!(accepted > 20, "{report}");
        sink.wait_for(before + accepted);
    }
}

#[test]
fn a_frozen_server_loads_its_queue_takes_commands_and_waits_for_a_signal() {
    a_frozen_server_waits(false);
}

#[test]
fn a_frozen_server_can_be_thawed_by_command() {
    a_frozen_server_waits(true);
}

fn a_frozen_server_waits(by_command: bool) {
    let port = free_port();
    let server = Smtpd::relay_to(port).start();
    Client::connect(server.port()).send("a@a.example", &["b@b.example"], BODY);
    let (builder, _) = server.stop();
    let sink = Sink::start_on(port);
    let config = builder.write_files();
    let mut command = Command::new(program("smtpd"));
    command.arg("-f").arg("--frozen").arg("-c").arg(config).stderr(Stdio::null());
    let mut child = command.spawn().expect("smtpd can be started");
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("process ids fit"));
    // It takes commands, and shows what it has loaded.
    let socket = builder.control_socket();
    assert!(wait_until(Duration::from_secs(20), || std::os::unix::net::UnixStream::connect(&socket).is_ok()));
    let mut control = ControlClient::connect(&socket);
    let mut queued = || control.metric("halon_queue_loader_count_total");
    assert!(wait_until(Duration::from_secs(20), || queued() == Some(1.0)), "{:?}", queued());
    std::thread::sleep(Duration::from_millis(900));
    assert!(std::net::TcpStream::connect(("127.0.0.1", builder.port())).is_err(), "it accepts");
    assert!(sink.messages().is_empty(), "it sends");
    if by_command {
        control.order(control::Command::Thaw).expect("it is frozen");
        control.order(control::Command::Thaw).expect_err("it is not any more");
    } else {
        kill(pid, Signal::SIGUSR2).expect("the process is ours");
    }
    sink.wait_for(1);
    Client::connect(builder.port()).send("a@a.example", &["b@b.example"], BODY);
    sink.wait_for(2);
    kill(pid, Signal::SIGTERM).expect("the process is ours");
    assert!(child.wait().expect("our own child").success());
}

/// Thaws in vain: nothing happens to a server that is not frozen.
#[test]
fn signals_that_ask_for_nothing_end_nothing() {
    let server = Smtpd::relay_to(free_port()).start();
    server.signal(Signal::SIGUSR2);
    server.signal(Signal::SIGUSR1);
    server.wait_for_log("SIGUSR1: there is no accounting file");
    let (_, status) = server.stop();
    assert!(status.success());
}

#[test]
fn the_time_that_a_stop_may_take_is_a_key() {
    let server = Smtpd::relay_to(free_port()).environment("drain: 1").start();
    let mut client = Client::connect(server.port());
    client.command("MAIL FROM:<a@a.example>\r\n", "250");
    let begun = Instant::now();
    let (_, status) = server.stop();
    assert!(status.success());
    let took = begun.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(10)).contains(&took), "{took:?}");
}

/// What clients are told when the server stops, wherever they are. Idle ones at once; one in a transaction may end it; who has
/// not done so when the time is over is told then, and not just cut off.
#[test]
fn a_stop_tells_every_client_with_421_wherever_it_is() {
    let authority = Authority::new();
    let script = "scripting: {hooks: {helo: [{id: x, data: 'if ($arguments[\"host\"] == \"wait.example\") sleep(60);'}], \
        disconnect: [{id: x, data: 'echo \"gone \" . $arguments[\"close\"] . ($arguments[\"reply\"][\"code\"] ?? 0);'}]}}";
    let builder = Smtpd::relay_to(free_port()).environment("drain: 2").running(script);
    let (certificate, key) = authority.issue(&["mx.test.example"]).write(builder.dir(), "mx");
    let pki = format!(
        "pki: {{private: [{{id: mx, certificate: {{path: \"{}\"}}, privatekey: {{path: \"{}\"}}}}]}}",
        certificate.display(),
        key.display()
    );
    let builder = builder
        .server("tls: {certs: {cert: mx}}")
        .server("phases: {helo: {hook: x}, disconnect: {hook: x}}")
        .startup(&pki);
    let mut server = builder.start();
    let port = server.port();
    let in_transaction = || {
        let mut client = Client::connect(port);
        client.command("MAIL FROM:<a@a.example>\r\n", "250");
        client.command("RCPT TO:<b@b.example>\r\n", "250");
        client
    };
    let in_data = || {
        let mut client = in_transaction();
        client.command("DATA\r\n", "354");
        client.write(b"Subject: x\r\n\r\nhalf a li");
        client
    };
    let mut idle = Client::connect(port);
    let mut greeted = Client::open(port);
    greeted.expect("220");
    let mut waits = Client::open(port);
    waits.expect("220");
    waits.write(b"EHLO wait.example\r\n");
    let (mut ends, mut gives_up, mut silent, mut half) =
        (in_data(), in_transaction(), in_transaction(), in_data());
    let mut sends = in_data();
    let config = Arc::new(authority.client());
    let mut secure = SecureClient::starttls(port, &config, "mx.test.example").expect("it offers TLS");
    secure.command("EHLO client.test.example\r\n", "250").expect("it answers");
    secure.command("MAIL FROM:<a@a.example>\r\n", "250").expect("it answers");
    let mut shakes = Client::connect(port);
    shakes.command("STARTTLS\r\n", "220");

    let begun = Instant::now();
    server.signal(Signal::SIGTERM);
    for client in [&mut idle, &mut greeted] {
        client.expect("421 4.3.2");
        assert_eq!(client.reply(), "");
    }
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    ends.write(b"ne\r\n.\r\n");
    ends.expect("250");
    gives_up.command("RSET\r\n", "250");
    for client in [&mut ends, &mut gives_up] {
        client.expect("421 4.3.2");
        assert_eq!(client.reply(), "");
    }
    assert!(begun.elapsed() < Duration::from_millis(1900), "{:?}", begun.elapsed());
    // The last script hears of each, and of what it was told.
    let heard = || server.log().iter().filter(|line| line.contains("gone local421")).count();
    assert!(wait_until(Duration::from_secs(1), || heard() == 4), "{:#?}", server.log());
    // One that never stops sending is told, too.
    let sender = std::thread::spawn(move || {
        while begun.elapsed() < Duration::from_secs(2) {
            sends.write(b"a line\r\n");
            std::thread::sleep(Duration::from_millis(1));
        }
        sends.expect("421 4.3.2");
        assert_eq!(sends.reply(), "");
    });
    for client in [&mut waits, &mut silent, &mut half] {
        client.expect("421 4.3.2");
        assert_eq!(client.reply(), "");
    }
    let took = begun.elapsed();
    assert!((Duration::from_millis(1900)..Duration::from_secs(4)).contains(&took), "{took:?}");
    secure.expect("421 4.3.2").expect("it is told over TLS");
    assert_eq!(shakes.read_to_end(), b"", "it would not understand");
    sender.join().expect("no panic");
    drop((waits, silent, half, secure));
    assert!(server.wait().success());
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn a_check_finds_an_address_and_a_user_that_do_not_exist_and_binds_nothing() {
    let server = Smtpd::relay_to(free_port()).start();
    // Beside a running server: the port and the spool are in use, and nothing is bound or opened.
    let config = server.dir().join("smtpd.yaml");
    let check = |config: &Path| {
        let output =
            Command::new(program("smtpd")).arg("-t").arg("-c").arg(config).output().expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (good, said) = check(&config);
    assert!(good && said.lines().all(|line| line.contains("warning: open files")), "{said}");
    let text = std::fs::read_to_string(&config).expect("written");
    let bad = server.dir().join("bad.yaml");
    std::fs::write(&bad, text.replace("address: 127.0.0.1", "address: 192.0.2.5")).expect("written");
    let app = server.dir().join("smtpd-app.yaml");
    let running = std::fs::read_to_string(&app).expect("written");
    let open = running.replace("    transport: out\n", "    transport: out\n    openrelay: true\n");
    std::fs::write(&app, open).expect("written");
    let (good, said) = check(&bad);
    assert!(!good && said.contains("192.0.2.5 is not an address of this host"), "{said}");
    std::fs::write(&bad, format!("{text}  privdrop: {{user: no-such-user}}\n")).expect("written");
    let (good, said) = check(&bad);
    assert!(!good && said.contains("no user \"no-such-user\""), "{said}");
}

/// Where systemd is there to ask.
#[test]
fn the_unit_file_is_one_that_systemd_accepts() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/systemd/smtpd.service");
    let unit = std::fs::read_to_string(source).expect("it is part of the project");
    let unit = unit.replace("/opt/halon/sbin/smtpd", &program("smtpd").display().to_string());
    let path = dir.path().join("smtpd.service");
    std::fs::write(&path, unit).expect("it can be written");
    let Ok(output) = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output() else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("smtpd.service"), "{said}");
}

/// `environment.shards` is not set: one for each CPU that the process may use.
#[test]
fn shards_follow_the_affinity_mask() {
    let builder = Smtpd::relay_to(free_port());
    let config = builder.write_files();
    let text = std::fs::read_to_string(&config).expect("written").replace("  shards: 2\n", "");
    std::fs::write(&config, text).expect("written");
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let cpus = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("it is there");
    let cpu = cpus.trim().split([',', '-']).next().expect("one at least");
    let mut command = Command::new("taskset");
    command.args(["-c", cpu]).arg(program("smtpd")).arg("-f").arg("-c").arg(config).stderr(Stdio::piped());
    let mut child = command.spawn().expect("taskset is there");
    let up = || std::net::TcpStream::connect(("127.0.0.1", builder.port())).is_ok();
    assert!(wait_until(Duration::from_secs(20), up));
    kill(Pid::from_raw(i32::try_from(child.id()).expect("process ids fit")), Signal::SIGTERM).expect("ours");
    let mut log = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut log).expect("text");
    assert!(child.wait().expect("our own child").success());
    assert!(log.contains("Started: 1 shards"), "{log}");
}

// ---- accounting

fn with_accounting(builder: Builder, rotate: &str) -> Builder {
    let (spool, path) = (builder.dir().join("spool"), accounting_file(&builder));
    let block = format!(
        "spool: {{path: \"{}\"}}\naccounting: {{path: \"{}\"{rotate}}}",
        spool.display(),
        path.display()
    );
    builder.replace_spool(&block)
}

fn accounting_file(builder: &Builder) -> PathBuf {
    builder.dir().join("accounting.jsonl")
}

/// Everything in the file and those that it was rotated to, oldest first.
fn accounted(dir: &Path) -> Vec<String> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .expect("it is ours")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().contains("accounting.jsonl"))
        .collect();
    // `accounting.jsonl.000000000001` ... and the present one last.
    files.sort_by_key(|path| (path.extension().is_some_and(|end| end == "jsonl"), path.clone()));
    let texts = files.iter().map(|path| std::fs::read_to_string(path).expect("it is ours"));
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn member<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
    let rest = rest.strip_prefix('"').unwrap_or(rest);
    rest.split(['"', ',', '}']).next()
}

/// How many of these messages have no such event in the file.
fn unaccounted(dir: &Path, event: &str, queued: &HashSet<String>) -> usize {
    let lines = accounted(dir);
    let found: HashSet<&str> = lines
        .iter()
        .filter(|line| member(line, "event") == Some(event))
        .filter_map(|line| member(line, "transaction"))
        .collect();
    queued.iter().filter(|id| !found.contains(id.as_str())).count()
}

/// At least once: each message that was answered `250` is in the file as accepted, and each that arrived as delivered.
#[test]
fn accounting_loses_no_event_by_kill_9_under_load() {
    let sink = Sink::start();
    let mut builder = with_accounting(Smtpd::relay_to(sink.port()), "");
    let mut queued = HashSet::new();
    let dir = builder.dir().to_owned();
    let undelivered = |queued: &HashSet<String>| unaccounted(&dir, "delivered", queued);
    for (start, shards) in [2, 1, 3, 2].into_iter().enumerate() {
        let driver = ["uring", "epoll"][start % 2];
        let server = builder.shards(shards).driver(driver).start();
        // What is in flight when the server ends badly twice in a row is held from then on.
        let all = wait_until(Duration::from_secs(60), || undelivered(&queued) == 0);
        assert!(all, "{} of {} not accounted as delivered after a kill", undelivered(&queued), queued.len());
        let (port, stop) = (server.port(), Arc::new(AtomicBool::new(false)));
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || send_until(port, &stop))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(300 + 70 * start as u64));
        builder = server.kill();
        stop.store(true, Ordering::SeqCst);
        queued.extend(senders.into_iter().flat_map(|sender| sender.join().expect("no panic")));
    }
    let server = builder.start();
    let all = wait_until(Duration::from_secs(60), || undelivered(&queued) == 0);
    println!("{} messages answered 250, {} lines", queued.len(), accounted(&dir).len());
    assert!(all, "{} of {} not accounted as delivered", undelivered(&queued), queued.len());
    assert_eq!(unaccounted(&dir, "accepted", &queued), 0, "of {}", queued.len());
    let (builder, _) = server.stop();
    let mut last = 0;
    for line in accounted(builder.dir()) {
        let sequence: u64 = member(&line, "seq").and_then(|n| n.parse().ok()).expect("each line has one");
        assert!(sequence > last && line.ends_with('}'), "{last} is followed by {line}");
        last = sequence;
    }
}

/// The ids of the messages that were answered `250`.
fn send_until(port: u16, stop: &AtomicBool) -> Vec<String> {
    let mut ids = Vec::new();
    let mut client = Client::open(port);
    if !client.reply().starts_with("220") || client.try_write(b"EHLO x.example\r\n").is_err() {
        return ids;
    }
    client.reply();
    while !stop.load(Ordering::SeqCst) {
        let message = b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n";
        if client.try_write(message).is_err()
            || ["250", "250", "354"].iter().any(|code| !client.reply().starts_with(code))
            || client.try_write(b"Subject: x\r\n\r\nx\r\n.\r\n").is_err()
        {
            return ids;
        }
        let reply = client.reply();
        let Some((_, id)) = reply.trim_end().rsplit_once("queued as ").filter(|_| reply.starts_with("250"))
        else {
            return ids;
        };
        ids.push(id.to_owned());
    }
    ids
}

#[test]
fn the_accounting_file_is_rotated_by_size_and_opened_anew_by_sigusr1() {
    let sink = Sink::start();
    let builder = with_accounting(Smtpd::relay_to(sink.port()), ", rotate: {size: 2000}");
    let (file, dir) = (accounting_file(&builder), builder.dir().to_owned());
    let server = builder.start();
    let mut client = Client::connect(server.port());
    for number in 0..12 {
        client.send("a@a.example", &["b@b.example"], BODY);
        sink.wait_for(number + 1);
    }
    let rotated = || {
        let entries = std::fs::read_dir(&dir).expect("it is ours").filter_map(Result::ok);
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("accounting.jsonl.")).count()
    };
    assert!(wait_until(Duration::from_secs(20), || rotated() >= 2), "{}", rotated());
    // It may be away for a moment, while it is being rotated.
    assert!(wait_until(Duration::from_secs(20), || std::fs::rename(&file, dir.join("moved-away")).is_ok()));
    server.signal(Signal::SIGUSR1);
    server.wait_for_log("accounting: the file is opened anew");
    client.send("a@a.example", &["b@b.example"], BODY);
    assert!(wait_until(Duration::from_secs(20), || {
        std::fs::read_to_string(&file).is_ok_and(|text| text.contains("\"event\":\"delivered\""))
    }));
    let _stopped = server.stop();
    std::fs::rename(dir.join("moved-away"), dir.join("accounting.jsonl.999999")).expect("it is there");
    let mut times: HashMap<String, u32> = HashMap::new();
    for line in accounted(&dir) {
        *times.entry(member(&line, "event").expect("each has one").to_owned()).or_default() += 1;
    }
    assert_eq!((times["accepted"], times["delivered"]), (13, 13), "{times:?}");
}

// ---- slow readers of the log

/// Standard error is a pipe that nobody reads: mail goes on, and the lines that were dropped are counted.
#[test]
fn a_log_reader_that_stands_still_stalls_no_mail() {
    let sink = Sink::start();
    let builder = Smtpd::relay_to(sink.port());
    let config = builder.write_files();
    let mut command = Command::new(program("smtpd"));
    command.arg("-f").arg("-c").arg(config).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("smtpd can be started");
    let up = || std::net::TcpStream::connect(("127.0.0.1", builder.port())).is_ok();
    assert!(wait_until(Duration::from_secs(20), up));
    let mut client = Client::connect(builder.port());
    // Each line names ten long recipients; the pipe takes 64 KiB, the queue behind it 8 MiB.
    let domain = format!("{0}.{0}.example", "y".repeat(60));
    let long: Vec<String> = (0..10).map(|n| format!("{}{n}@{domain}", "x".repeat(60))).collect();
    let recipients: Vec<&str> = long.iter().map(String::as_str).collect();
    let messages = 1500;
    for _ in 0..messages {
        client.send(recipients[0], &recipients, BODY);
    }
    sink.wait_for(messages);
    let lost = || {
        let mut control = ControlClient::connect(&builder.control_socket());
        control.metric("halon_log_dropped_total").expect("it is there")
    };
    assert!(wait_until(Duration::from_secs(20), || lost() > 0.0), "what the reader costs is counted");
    // Now somebody reads.
    let mut log = child.stderr.take().expect("a pipe");
    let text = Arc::new(Mutex::new(Vec::new()));
    let read = Arc::clone(&text);
    let reader = std::thread::spawn(move || {
        let mut some = vec![0; 65_536];
        while let Ok(count @ 1..) = log.read(&mut some) {
            read.lock().expect("no panic").extend_from_slice(&some[..count]);
        }
    });
    let so_far = || String::from_utf8_lossy(&text.lock().expect("no panic")).into_owned();
    // What queues up is through once a line comes that was queued since.
    let mut sent = messages;
    let through = wait_until(Duration::from_secs(60), || {
        client.send("a@a.example", &["last@b.example"], BODY);
        sent += 1;
        sink.wait_for(sent);
        so_far().contains("last@b.example")
    });
    assert!(through, "{} bytes came", so_far().len());
    kill(Pid::from_raw(i32::try_from(child.id()).expect("process ids fit")), Signal::SIGTERM).expect("ours");
    assert!(child.wait().expect("our own child").success());
    reader.join().expect("no panic");
    let log = so_far();
    let dropped = log.lines().filter(|line| line.contains("lines dropped, its reader is too slow")).count();
    let lines = log.lines().count();
    println!("{lines} lines came, {dropped} lines told of others");
    assert!(log.contains("Stopped"), "the end is missing");
    assert!(dropped > 0 && lines < messages * 11, "12 MB of lines do not fit");
}
