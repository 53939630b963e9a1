//! How the program starts, and how it refuses to.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use tests::{Client, Sink, Smtpd, program, wait_until};

/// OPS01 of the reference.
#[test]
fn ops01_the_documented_lines_appear() {
    let server = Smtpd::relay_to(tests::free_port()).start();
    let log = server.log();
    let expected = [
        format!("smtpd: Starting Halon ({})", env!("CARGO_PKG_VERSION")),
        "smtpd: serverid: default".to_owned(),
        format!("smtpd: - listen on 127.0.0.1:{}", server.port()),
    ];
    for line in expected {
        assert!(log.contains(&line), "no line {line:?} in {log:#?}");
    }
}

/// OPS02 of the reference.
#[test]
fn ops02_an_address_that_the_host_lacks_ends_the_start() {
    let builder = Smtpd::relay_to(tests::free_port());
    let config = builder.write_files();
    let text =
        std::fs::read_to_string(&config).expect("written").replace("127.0.0.1, port", "192.0.2.5, port");
    std::fs::write(&config, text).expect("written");
    // Beyond loopback it would be an open relay: the operator says that it is meant.
    let app = builder.dir().join("smtpd-app.yaml");
    let text = std::fs::read_to_string(&app)
        .expect("written")
        .replace("    transport: out\n", "    transport: out\n    openrelay: true\n");
    std::fs::write(&app, text).expect("written");
    let output = Command::new(program("smtpd")).arg("-f").arg("-c").arg(&config).output().expect("it runs");
    assert!(!output.status.success());
    let log = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = log.lines().rev().take(2).collect();
    assert!(last[1].starts_with("smtpd: - listen on 192.0.2.5:"), "{log}");
    let reason = "smtpd: Could not load configuration: bind: Cannot assign requested address";
    assert!(last[0].starts_with(reason), "{log}");
}

/// OPS03 of the reference.
#[test]
fn ops03_environment_variables_are_put_in_where_the_flag_allows() {
    let builder = Smtpd::relay_to(tests::free_port());
    let config = builder.write_files();
    let port = builder.port();
    let text = std::fs::read_to_string(&config).expect("written");
    let text = text.replace(&format!("port: {port}"), &format!("port: !Env \"${{PORT_OF_TEST:{port}}}\""));
    std::fs::write(&config, text).expect("written");
    let check = |flag: Option<&str>| {
        Command::new(program("smtpd")).arg("-t").arg("-c").arg(&config).args(flag).output().expect("it runs")
    };
    let with = check(Some("--config-env-substitution"));
    assert!(with.status.success(), "{}", String::from_utf8_lossy(&with.stderr));
    let without = check(None);
    assert!(!without.status.success());
    assert!(String::from_utf8_lossy(&without.stderr).contains("--config-env-substitution"));
}

#[test]
fn a_port_in_use_is_named() {
    let sink = Sink::start();
    let builder = Smtpd::relay_to(tests::free_port());
    let config = builder.write_files();
    let text = std::fs::read_to_string(&config).expect("written");
    let text = text.replace(&format!("port: {}", builder.port()), &format!("port: {}", sink.port()));
    std::fs::write(&config, text).expect("written");
    let output = Command::new(program("smtpd")).arg("-f").arg("-c").arg(&config).output().expect("it runs");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("bind: Address already in use"));
}

#[test]
fn a_second_server_on_the_same_spool_is_refused_by_name() {
    let first = Smtpd::relay_to(tests::free_port()).start();
    let mut second = Smtpd::relay_to(tests::free_port()).spool(first.spool()).launch();
    assert!(!second.wait().success());
    second.wait_for_log(&format!("is in use by process {}", first.pid()));
}

#[test]
fn an_error_in_a_file_is_shown_with_its_place() {
    let builder = Smtpd::relay_to(tests::free_port()).server("transprt: out");
    let config = builder.write_files();
    let output = Command::new(program("smtpd")).arg("-t").arg("-c").arg(&config).output().expect("it runs");
    assert!(!output.status.success());
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        log.contains("smtpd_app:6:5: servers[0].transprt: unknown property; did you mean \"transport\"?"),
        "{log}"
    );
}

#[test]
fn a_clean_stop_and_start_keeps_what_is_queued() {
    let port = tests::free_port();
    let server = Smtpd::relay_to(port).start();
    let mut client = Client::connect(server.port());
    for n in 0..25 {
        client.send(&format!("{n}@a.example"), &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    }
    let (builder, status) = server.stop();
    assert!(status.success());
    let sink = Sink::start_on(port);
    let _server = builder.start();
    sink.wait_for(25);
    std::thread::sleep(Duration::from_millis(300));
    assert!(wait_until(Duration::ZERO, || sink.messages().len() == 25), "delivered more than once");
}

/// Needs root, as CI has it; elsewhere there is nothing to drop.
#[test]
fn privileges_are_dropped_before_the_spool_is_opened() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let nobody =
        nix::unistd::User::from_name("nobody").expect("the user list can be read").expect("it exists");
    let sink = Sink::start();
    let builder = Smtpd::relay_to(sink.port());
    nix::unistd::chown(builder.dir(), Some(nobody.uid), Some(nobody.gid)).expect("root can");
    let keys = "privdrop: {user: nobody, group: nogroup}";
    let server = builder.environment(keys).environment("umask: \"0027\"").start();
    Client::connect(server.port()).send("a@a.example", &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    sink.wait_for(1);
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it lives");
    let id = |what: &str| status.lines().find(|line| line.starts_with(what)).expect("it has one").to_owned();
    assert_eq!(id("Uid:").split_whitespace().nth(2), Some(nobody.uid.to_string().as_str()));
    assert_eq!(id("Groups:").split_whitespace().skip(1).collect::<Vec<_>>(), [nobody.gid.to_string()]);
    for entry in std::fs::read_dir(server.spool()).expect("the spool exists") {
        let metadata = entry.and_then(|entry| entry.metadata()).expect("a file of the spool");
        assert_eq!((metadata.uid(), metadata.mode() & 0o027), (nobody.uid.as_raw(), 0));
    }
}

/// `servers[].listeners[].path`: who connects there counts as 127.0.0.1, and scripts learn which user it is.
#[test]
fn mail_comes_in_through_a_socket_in_the_file_system() {
    let sink = Sink::start();
    for driver in ["uring", "epoll"] {
        let builder = Smtpd::relay_to(sink.port()).shards(2).driver(driver);
        let path = builder.dir().join("in.sock");
        let server = builder
            .listener(&format!("{{path: \"{}\"}}", path.display()))
            .server("phases: {rcptto: {hook: rcpt}}")
            .running(concat!(
                "scripting: {hooks: {rcptto: [{id: rcpt, data: '",
                "Reject($connection[\"remoteip\"].\" \".$connection[\"remoteuid\"]);'}]}}\n"
            ))
            .start();
        let uid = std::fs::metadata(server.dir()).expect("there").uid();
        for _ in 0..4 {
            let mut stream = UnixStream::connect(&path).expect("it listens");
            stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
            let mut replies = BufReader::new(stream.try_clone().expect("a socket")).lines();
            let mut reply = || replies.next().expect("a reply").expect("text");
            assert!(reply().starts_with("220 "));
            stream.write_all(b"HELO here.example\r\nMAIL FROM:<a@a.example>\r\n").expect("written");
            assert!(reply().starts_with("250 ") && reply().starts_with("250 "));
            stream.write_all(b"RCPT TO:<b@b.example>\r\nQUIT\r\n").expect("written");
            assert_eq!(reply(), format!("554 127.0.0.1 {uid}"));
            assert!(reply().starts_with("221 "));
        }
        let (builder, status) = server.stop();
        assert!(status.success());
        assert!(!path.exists(), "its name goes with it");
        drop(builder);
    }
}

/// `servers[].logging.verbose`: what both sides say, but no secret and no message.
#[test]
fn a_verbose_server_logs_the_dialogue() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).server("logging: {verbose: true}").start();
    let mut client = Client::connect(server.port());
    client.send("a@a.example", &["b@b.example"], b"Subject: x\r\n\r\nnothing for the log\r\n");
    client.command("QUIT\r\n", "221");
    for said in [
        "> 220 ",
        "< EHLO client.test.example",
        "< MAIL FROM:<a@a.example>",
        "- message, ",
        "< QUIT",
        "closed",
    ] {
        server.wait_for_log(said);
    }
    let log = server.log();
    assert!(log.iter().any(|line| line.contains("protocol server=default remote=127.0.0.1:")), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("nothing for the log")), "{log:#?}");
}
