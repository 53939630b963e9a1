//! From a client through the server to a next hop.

use std::time::Duration;

use tests::{Client, NameServer, Record, Sink, SinkReply, Smtpd, wait_until};

/// Messages of awkward shapes. Each must arrive byte for byte behind the server's Received field.
fn awkward_messages() -> Vec<(&'static str, Vec<u8>)> {
    let long_line = [&b"Subject: long\r\n\r\n"[..], &[b'x'; 998], b"\r\n"].concat();
    let mut every_byte = b"Subject: eight bit\r\n\r\n".to_vec();
    every_byte.extend((0u8..=255).filter(|byte| *byte != b'\r' && *byte != b'\n'));
    every_byte.extend_from_slice(b"\r\n");
    vec![
        ("plain", b"Subject: hello\r\n\r\nworld\r\n".to_vec()),
        ("no bytes at all", Vec::new()),
        ("no header", b"\r\njust a body\r\n".to_vec()),
        ("header only", b"Subject: nothing else\r\n".to_vec()),
        ("one dot", b".\r\n".to_vec()),
        ("lines of dots", b"Subject: dots\r\n\r\n.\r\n..\r\n...\r\n.x\r\nx.\r\n.\r\n".to_vec()),
        ("empty lines", b"\r\n\r\n\r\n\r\n".to_vec()),
        ("NUL and every other byte but CR and LF", every_byte),
        ("a line of 998 octets", long_line),
        ("a line of 5,000 octets", [&b"Subject: x\r\n\r\n"[..], &[b'y'; 5000], b"\r\n"].concat()),
    ]
}

#[test]
fn messages_of_every_awkward_shape_arrive_byte_for_byte() {
    DRIVERS.into_iter().for_each(awkward_messages_arrive);
}

/// What sockets and files may be driven by.
const DRIVERS: [&str; 2] = ["uring", "epoll"];

fn awkward_messages_arrive(driver: &'static str) {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).driver(driver).start();
    let mut client = Client::connect(server.port());
    for (index, (_, body)) in awkward_messages().iter().enumerate() {
        client.send(&format!("{index}@a.example"), &["b@b.example"], body);
    }
    let arrived = sink.wait_for(awkward_messages().len());
    for (index, (what, body)) in awkward_messages().iter().enumerate() {
        let from = format!("{index}@a.example");
        let message = arrived.iter().find(|message| message.from == from).expect(what);
        assert!(message.original() == body, "{what}: changed on the way, with {driver}");
    }
}

#[test]
fn a_message_without_a_final_newline_gets_one() {
    // SMTP has no way to say it: the client must add a CRLF before the final dot.
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).start();
    Client::connect(server.port()).send("a@a.example", &["b@b.example"], b"Subject: x\r\n\r\nno newline");
    assert_eq!(sink.wait_for(1)[0].original(), b"Subject: x\r\n\r\nno newline\r\n");
}

#[test]
fn fifty_megabytes_arrive_byte_for_byte() {
    let mut body = b"Subject: large\r\n\r\n".to_vec();
    let mut number = 0u64;
    while body.len() < 50 << 20 {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        body.extend_from_slice(
            format!("{}{number:064x}\r\n", if number.is_multiple_of(7) { "." } else { "" }).as_bytes(),
        );
    }
    for driver in DRIVERS {
        let sink = Sink::start();
        let server = Smtpd::relay_to(sink.port()).driver(driver).start();
        Client::connect(server.port()).send("a@a.example", &["b@b.example"], &body);
        assert!(sink.wait_for(1)[0].original() == body, "changed on the way, with {driver}");
    }
}

#[test]
fn pipelined_transactions_are_all_answered_in_order() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).start();
    let mut client = Client::connect(server.port());
    let one = "MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n";
    client.write(one.as_bytes());
    for code in ["250", "250", "354"] {
        client.expect(code);
    }
    client.write(format!("Subject: 1\r\n\r\n1\r\n.\r\n{one}").as_bytes());
    for code in ["250", "250", "250", "354"] {
        client.expect(code);
    }
    client.write(b"Subject: 2\r\n\r\n2\r\n.\r\nQUIT\r\n");
    client.expect("250");
    client.expect("221");
    assert_eq!(sink.wait_for(2).len(), 2);
}

#[test]
fn a_deferred_message_is_tried_again_and_delivered_once() {
    let sink = Sink::start();
    sink.answer(SinkReply::Rcpt("451 4.2.1 later".into()));
    let server = Smtpd::relay_to(sink.port()).start();
    Client::connect(server.port()).send("a@a.example", &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    server.wait_for_log("deferred from=<a@a.example> to=<b@b.example>");
    server.wait_for_log("state=RCPT enhanced=4.2.1 reply=\"451 4.2.1 later\"");
    sink.answer(SinkReply::Accept);
    sink.wait_for(1);
    server.wait_for_log("delivered from=<a@a.example> to=<b@b.example>");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(sink.messages().len(), 1);
}

#[test]
fn recipients_of_one_message_share_a_transaction() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).start();
    let to: Vec<String> = (0..30).map(|n| format!("{n}@d{}.example", n % 3)).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    Client::connect(server.port()).send("a@a.example", &to, b"Subject: x\r\n\r\nx\r\n");
    let arrived = sink.wait_for(1);
    let mut got: Vec<&str> = arrived.iter().flat_map(|message| &message.to).map(String::as_str).collect();
    let mut sent = to.clone();
    got.sort_unstable();
    sent.sort_unstable();
    assert_eq!(got, sent);
    assert_eq!(arrived.len(), 1);
}

#[test]
fn a_connection_is_used_again_while_messages_wait() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).shards(1).start();
    let mut client = Client::connect(server.port());
    for _ in 0..50 {
        client.send("a@a.example", &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    }
    sink.wait_for(50);
    assert!(sink.connections() <= 20, "{} connections for 50 messages", sink.connections());
}

#[test]
fn a_suspend_that_matches_all_stops_pick_up_and_a_reload_releases() {
    let sink = Sink::start();
    let hold_all = "version: \"6.10\"\nsuspends:\n  - {}\n";
    let server = Smtpd::relay_to(sink.port()).suspends(Some(hold_all)).start();
    let mut client = Client::connect(server.port());
    for _ in 0..20 {
        client.send("a@a.example", &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    }
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(sink.messages().len(), 0);
    std::fs::remove_file(server.dir().join("smtpd-suspend.yaml")).expect("it was written");
    server.signal(nix::sys::signal::Signal::SIGHUP);
    server.wait_for_log("Configuration reloaded");
    sink.wait_for(20);
}

#[test]
fn a_bad_reload_leaves_the_old_configuration_in_force() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).start();
    std::fs::write(server.dir().join("smtpd-app.yaml"), "version: \"6.10\"\nservres: []\n").expect("written");
    server.signal(nix::sys::signal::Signal::SIGHUP);
    server.wait_for_log("Could not reload configuration: smtpd_app:2:1: servres: unknown property");
    Client::connect(server.port()).send("a@a.example", &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    sink.wait_for(1);
}

#[test]
fn a_looping_message_is_refused() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).server("phases: {data: {maxhops: 3}}").start();
    let mut client = Client::connect(server.port());
    let body = "Received: from x by y; now\r\n".repeat(5) + "Subject: x\r\n\r\nx\r\n";
    let reply = client.try_send("a@a.example", &["b@b.example"], body.as_bytes());
    assert!(reply.starts_with("554 5.4.6"), "{reply}");
    client.send("a@a.example", &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    assert_eq!(sink.wait_for(1).len(), 1);
}

#[test]
fn a_message_above_maxsize_is_refused_at_mail_and_while_it_comes_in() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).server("phases: {data: {maxsize: 10000}}").start();
    let mut client = Client::open(server.port());
    client.expect("220");
    let offer = client.command("EHLO x.example\r\n", "250");
    assert!(offer.contains("SIZE 10000"), "{offer}");
    client.command("MAIL FROM:<a@a.example> SIZE=10001\r\n", "552");
    let body = [&b"Subject: x\r\n\r\n"[..], &b"0123456789\r\n".repeat(2000)].concat();
    let reply = client.try_send("a@a.example", &["b@b.example"], &body);
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
    client.send("a@a.example", &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    sink.wait_for(1);
}

#[test]
fn a_second_message_waits_for_the_first_and_sigterm_waits_for_both() {
    let sink = Sink::start();
    sink.pause(Duration::from_millis(700));
    let server = Smtpd::relay_to(sink.port()).shards(1).start();
    let mut client = Client::connect(server.port());
    client.send("a@a.example", &["b@b.example"], b"Subject: 1\r\n\r\n1\r\n");
    std::thread::sleep(Duration::from_millis(200));
    // An attempt is in flight, and the client idle: it is told to go.
    let (_, status) = server.stop();
    assert!(status.success());
    assert_eq!(sink.messages().len(), 1, "the attempt in flight was not waited for");
    let farewell = client.reply();
    assert!(farewell.starts_with("421"), "{farewell:?}");
}

#[test]
fn a_dead_next_hop_defers_and_later_delivers() {
    let port = tests::free_port();
    let server = Smtpd::relay_to(port).start();
    Client::connect(server.port()).send("a@a.example", &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    server.wait_for_log("deferred");
    let sink = Sink::start_on(port);
    assert!(wait_until(Duration::from_secs(20), || sink.messages().len() == 1));
}

#[test]
fn with_too_little_free_space_nothing_is_accepted_but_everything_is_delivered() {
    let port = tests::free_port();
    let server = Smtpd::relay_to(port).start();
    let mut client = Client::connect(server.port());
    for _ in 0..10 {
        client.send("a@a.example", &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    }
    let (builder, _) = server.stop();
    // No disk has this much: as good as a full one.
    let spool = builder.dir().join("spool");
    let more = format!("spool: {{path: \"{}\", minfree: {{bytes: 1000TiB}}}}", spool.display());
    // Before the start, which forgets that the next hop was dead.
    let sink = Sink::start_on(port);
    let server = builder.replace_spool(&more).start();
    let mut client = Client::connect(server.port());
    let refused = client.command("MAIL FROM:<a@a.example>\r\n", "452");
    assert!(refused.starts_with("452 4.3.1"), "{refused}");
    sink.wait_for(10);
    let (builder, status) = server.stop();
    assert!(status.success());
    // It starts again, still full, with nothing left to do.
    let server = builder.start();
    Client::connect(server.port()).command("MAIL FROM:<a@a.example>\r\n", "452");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(sink.messages().len(), 10);
}

#[test]
fn mail_goes_to_the_hosts_that_dns_names_in_order_of_preference() {
    let sink = Sink::start();
    let dead = "127.0.0.9";
    let dns = NameServer::start(&[
        ("b.example", Record::Mx(10, "first.b.example")),
        ("b.example", Record::Mx(20, "second.b.example")),
        ("first.b.example", Record::A(dead)),
        ("second.b.example", Record::A("127.0.0.1")),
        ("implicit.example", Record::A("127.0.0.1")),
        ("null.example", Record::Mx(0, ".")),
    ]);
    let server = Smtpd::by_mx(sink.port(), dns.port()).start();
    let mut client = Client::connect(server.port());
    for domain in ["b.example", "implicit.example", "[127.0.0.1]", "null.example", "missing.example"] {
        client.send("a@a.example", &[&format!("x@{domain}")], b"Subject: x\r\n\r\nx\r\n");
    }
    let arrived = sink.wait_for(3);
    let mut to: Vec<&str> = arrived.iter().map(|message| message.to[0].as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, ["x@[127.0.0.1]", "x@b.example", "x@implicit.example"]);
    server.wait_for_log("delivered from=<a@a.example> to=<x@b.example> transport=out size=");
    server.wait_for_log("mx=second.b.example remote=127.0.0.1:");
    server.wait_for_log("failed from=<a@a.example> to=<x@null.example>");
    // A first NXDOMAIN may be a mistake of somebody's zone file: it defers.
    server.wait_for_log("deferred from=<a@a.example> to=<x@missing.example>");
}
