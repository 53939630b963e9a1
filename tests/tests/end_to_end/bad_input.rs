//! What a hostile or broken peer may send: always a clear reply or a closed connection.

use std::time::{Duration, Instant};

use tests::{Client, Sink, Smtpd};

fn server() -> (Sink, Smtpd) {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).start();
    (sink, server)
}

/// The end-of-data variants of published smuggling attacks: none may end the message, and with bare line ends in
/// it the message is refused.
#[test]
fn no_smuggling_variant_ends_a_message() {
    let (sink, server) = server();
    let variants: [&[u8]; 14] = [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r\n.\r",
        b"\r.\r\n",
        b"\r.\n",
        b"\n.\r",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
        b"\r\r\n.\r\r\n",
        b"\r\n.\r\r\n",
        b"\r\n\r.\r\n",
        b"\n\n.\r\n",
    ];
    for variant in variants {
        let mut client = Client::connect(server.port());
        client.command("MAIL FROM:<a@a.example>\r\n", "250");
        client.command("RCPT TO:<b@b.example>\r\n", "250");
        client.command("DATA\r\n", "354");
        client.write(b"Subject: outer\r\n\r\nouter");
        client.write(variant);
        client.write(b"MAIL FROM:<evil@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\nSubject: inner\r\n\r\ninner\r\n.\r\n");
        let reply = client.reply();
        let has_bare =
            variant.windows(2).any(|pair| pair != b"\r\n" && (pair[0] == b'\r' || pair[1] == b'\n'))
                || variant[0] == b'\n'
                || variant.ends_with(b"\r");
        let expected = if has_bare { "550" } else { "250" };
        assert!(reply.starts_with(expected), "{variant:?}: {reply}");
        client.write(b"QUIT\r\n");
        let next = client.reply();
        assert!(next.starts_with("221"), "{variant:?} was taken for the end: {next}");
    }
    std::thread::sleep(Duration::from_millis(500));
    for message in sink.messages() {
        assert_eq!(message.from, "a@a.example", "a smuggled message came through");
    }
}

#[test]
fn a_bare_line_end_can_be_converted_where_the_configuration_says_so() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).server("phases: {data: {bareeol: convert}}").start();
    let mut client = Client::connect(server.port());
    client.command("MAIL FROM:<a@a.example>\r\n", "250");
    client.command("RCPT TO:<b@b.example>\r\n", "250");
    client.command("DATA\r\n", "354");
    client.write(b"Subject: x\n\nline\n.\r\nmore\r\n.\r\n");
    client.expect("250");
    assert_eq!(sink.wait_for(1)[0].original(), b"Subject: x\r\n\r\nline\r\n.\r\nmore\r\n");
}

#[test]
fn talking_before_the_greeting_is_refused() {
    let (_sink, server) = server();
    // The client's bytes must be there when the server accepts: a few tries make sure of it.
    let refused = (0..20).any(|_| {
        let mut client = Client::open(server.port());
        client.write(b"EHLO early.example\r\n");
        client.reply().starts_with("554")
    });
    assert!(refused, "nobody was refused");
}

#[test]
fn an_endless_command_line_is_refused_without_growing() {
    let (_sink, server) = server();
    let mut client = Client::connect(server.port());
    let before = resident_kib(server.pid());
    for _ in 0..1000 {
        if client.try_write(&[b'A'; 16384]).is_err() {
            break;
        }
    }
    let reply = client.reply();
    assert!(reply.starts_with("500") || reply.starts_with("421") || reply.is_empty(), "{reply}");
    let grown = resident_kib(server.pid()).saturating_sub(before);
    assert!(grown < 8192, "grew by {grown} KiB");
}

#[test]
fn an_oversized_command_is_refused_and_the_session_goes_on() {
    let (_sink, server) = server();
    let mut client = Client::connect(server.port());
    client.command(&format!("NOOP {}\r\n", "x".repeat(3000)), "500");
    client.command("NOOP\r\n", "250");
}

#[test]
fn twenty_bad_commands_end_the_session() {
    let (_sink, server) = server();
    let mut client = Client::connect(server.port());
    let mut replies = Vec::new();
    for _ in 0..40 {
        if client.try_write(b"FROBNICATE\r\n").is_err() {
            break;
        }
        let reply = client.reply();
        if reply.is_empty() {
            break;
        }
        replies.push(reply);
    }
    assert!(replies.len() <= 21, "{}", replies.len());
    assert!(replies.last().expect("some").starts_with("421"), "{replies:?}");
}

#[test]
fn endless_headers_are_refused_within_bounded_memory() {
    let (_sink, server) = server();
    let mut client = Client::connect(server.port());
    client.command("MAIL FROM:<a@a.example>\r\n", "250");
    client.command("RCPT TO:<b@b.example>\r\n", "250");
    client.command("DATA\r\n", "354");
    let before = resident_kib(server.pid());
    let chunk = format!("X-Header: {}\r\n", "v".repeat(900)).repeat(64);
    for _ in 0..200 {
        if client.try_write(chunk.as_bytes()).is_err() {
            break;
        }
    }
    let _ = client.try_write(b"\r\n.\r\n");
    let reply = client.reply();
    assert!(reply.starts_with("552") || reply.starts_with("554"), "{reply}");
    let grown = resident_kib(server.pid()).saturating_sub(before);
    assert!(grown < 128 << 10, "grew by {grown} KiB");
}

#[test]
fn a_slow_loris_is_closed_with_a_reply() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).server("timeout: {idle: 4}").start();
    let mut client = Client::connect(server.port());
    let start = Instant::now();
    // A byte now and then keeps the connection from being idle, but a command has a time of its own.
    for _ in 0..19 {
        client.write(b"N");
        std::thread::sleep(Duration::from_millis(200));
    }
    client.expect("421");
    assert!(start.elapsed() < Duration::from_millis(7500), "only after {:?}", start.elapsed());
    assert!(client.read_to_end().is_empty());
}

#[test]
fn an_idle_client_is_told_and_closed() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).server("timeout: {idle: 1}").start();
    let mut client = Client::connect(server.port());
    client.expect("421");
    assert!(client.read_to_end().is_empty());
}

#[test]
fn a_client_that_goes_away_in_mid_message_leaves_nothing_behind() {
    let (sink, server) = server();
    for _ in 0..20 {
        let mut client = Client::connect(server.port());
        client.command("MAIL FROM:<gone@a.example>\r\n", "250");
        client.command("RCPT TO:<b@b.example>\r\n", "250");
        client.command("DATA\r\n", "354");
        client.write(b"Subject: never finished\r\n\r\nhalf a line");
    }
    Client::connect(server.port()).send("a@a.example", &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    assert_eq!(sink.wait_for(1)[0].from, "a@a.example");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(sink.messages().len(), 1);
}

#[test]
fn connections_above_the_limit_get_421() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).server("concurrency: {total: 3}").start();
    let mut kept: Vec<Client> = (0..3).map(|_| Client::connect(server.port())).collect();
    let mut fourth = Client::open(server.port());
    fourth.expect("421");
    kept[0].command("QUIT\r\n", "221");
    assert!(kept[0].read_to_end().is_empty());
    assert!(tests::wait_until(Duration::from_secs(20), || Client::open(server.port())
        .reply()
        .starts_with("220")));
}

/// Resident memory of a process.
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}
